// One track, one source after another: its publisher came back, or moved, and is attached elsewhere now (docs/decisions/0024-resume-and-move.md).
import Cluster
import Contracts
import Distributed
import EventLoop
import Forwarding
import Primitives
import Transport

extension Router {
    /// The track's packets come from `source` from now on. Who read it here goes over at the new source's first key frame; the source
    /// so far stays until all have, at most `Limits.switching`.
    func follow(_ track: TrackID, with source: Source) {
        var source = source
        if let old = sources[track] {
            var leaving: Set<Forwarding.OutboundTrack> = [], staying: [Destination: Forwarding.OutboundTrack] = [:]
            for (destination, outbound) in old.outbound {
                // Another node's Router hears of the new source itself, asks for it, and closes this pipe when it is done.
                if case .pipe = destination { staying[destination] = outbound; continue }
                source.outbound[destination] = outbound
                if made?.switchSource(outbound, to: source.inbound) == true { leaving.insert(outbound) }
            }
            sources[track] = source
            retire(track, old, staying: staying, leaving: leaving)
        } else {
            sources[track] = source
        }
    }

    private func retire(_ track: TrackID, _ old: Source, staying: [Destination: Forwarding.OutboundTrack], leaving: Set<Forwarding.OutboundTrack>) {
        retiredCount += 1
        var source = old
        source.outbound = staying
        let one = Retired(number: retiredCount, track: track, source: source, leaving: leaving)
        // Nothing comes from there: its readers wait at the new source right away.
        if case .absent = old.origin { return discard(source) }
        retired.append(one)
        guard one.isRead else { return forgetRetired(one.number) }
        media.loop.schedule(after: Limits.switching) { [weak self, number = one.number] in self?.assumeIsolated { $0.forgetRetired(number) } }
    }

    /// A reader gets its packets from its new source, or is gone.
    func switched(_ outbound: Forwarding.OutboundTrack) {
        for index in retired.indices.reversed() where retired[index].leaving.remove(outbound) != nil {
            if !retired[index].isRead { forgetRetired(retired[index].number) }
        }
    }
    func forgetRetired(_ number: UInt64) {
        guard let index = retired.firstIndex(where: { $0.number == number }) else { return }
        let one = retired.remove(at: index)
        discard(one.source)
        guard case .pipe(let origin, _, let streamID) = one.source.origin else { return }
        giveBack(one.track, streamID: streamID, to: origin)
    }

    /// Nothing of it is received or sent any more; readers that have another source go on with that.
    func discard(_ source: Source) {
        made?.removeInbound(source.inbound)
        for (pipe, streamID) in source.pipedOut.values { media.unbindPipeStream(streamID, of: pipe) }
        if case .pipe(_, let pipe, let streamID) = source.origin { media.unbindPipeStream(streamID, of: pipe) }
    }

    /// How many still read what was published here under `attachment`: a publisher that moved may go when nobody does.
    func readers(of track: TrackID, attachment: UInt64) -> Int {
        let current = sources[track].map { $0.attachment == attachment ? $0.outbound.count : 0 } ?? 0
        return current + retired.filter { $0.track == track && $0.source.attachment == attachment }.reduce(0) { $0 + $1.leaving.count + $1.source.outbound.count }
    }

    /// The publisher's transport here goes away; it has, or will have, another elsewhere. Readers keep their streams.
    func handOver(_ track: TrackID, attachment: UInt64) {
        if let number = retired.first(where: { $0.track == track && $0.source.attachment == attachment })?.number { return forgetRetired(number) }
        guard let source = sources[track], source.attachment == attachment, case .peer = source.origin else { return }
        let local = source.outbound.filter { if case .pipe = $0.key { false } else { true } }
        guard !local.isEmpty, let made else { return unpublish(track, attachment: attachment) }
        var configuration = source.configuration
        configuration.transport = Self.nowhere
        configuration.encodings = []
        let place = Source(inbound: made.addInbound(configuration), configuration: configuration, origin: .absent, attachment: attachment, outbound: local)
        for outbound in local.values {
            made.switchSource(outbound, to: place.inbound)
            made.switchNow(outbound)
        }
        sources[track] = place
        discard(source)
    }
    /// No transport has this index.
    private static let nowhere: TransportIndex = -1

    /// A publication that is read here comes from another Router now.
    func move(_ publication: Publication) async throws {
        guard let source = sources[publication.info.trackID], publication.attachment > source.attachment, publication.router != address else { return }
        try await require(publication)
    }
}
