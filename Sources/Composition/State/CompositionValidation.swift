// Whether a Composition State can be rendered from one recording.
package import Capture
package import Primitives

/// What a recording must tell for a state about it to be checked.
package struct CompositionSubject: Equatable, Sendable {
    package var peers: Set<ParticipantID>
    /// ms from time zero.
    package var duration: Int64
    package init(peers: Set<ParticipantID>, duration: Int64) { self.peers = peers; self.duration = duration }
    /// - Parameter manifest: the recording's metadata.json.
    package init(_ manifest: Manifest) {
        peers = Set(manifest.participants.map(\.peerID)).union(manifest.tracks.map(\.peerID))
        duration = Int64((min(max(0, manifest.duration), 1e9) * 1000).rounded(.up))
    }
}

extension CompositionState {
    /// Every mistake at once, in document order.
    package func validate(against recording: CompositionSubject) throws(CompositionError) {
        var mistakes: [CompositionMistake] = []
        for (index, entry) in timeline.enumerated() {
            let path = "timeline[\(index)]"
            if let peer = entry.action.peer, !recording.peers.contains(peer) { mistakes.append(Self.unknown(peer, "\(path).peer_id", recording)) }
            if entry.t > recording.duration { mistakes.append(Self.late(entry.t, "\(path).t", recording)) }
            if let until = entry.until, until > recording.duration { mistakes.append(Self.late(until, "\(path).until", recording)) }
        }
        mistakes += overlappingCuts()
        if cutMilliseconds >= max(1, recording.duration), mistakes.isEmpty {
            mistakes.append(CompositionMistake("timeline", "the cuts leave nothing of \(recording.duration) ms", instead: "leave a part of the recording"))
        }
        if timeline.count(where: { if case .chapter = $0.action { true } else { false } }) > Limits.chapters {
            mistakes.append(CompositionMistake("timeline", "more than \(Limits.chapters) chapters", instead: "write fewer"))
        }
        var seen: Set<ParticipantID> = []
        for (index, track) in tracks.enumerated() {
            let path = "tracks[\(index)].peer_id"
            if !recording.peers.contains(track.peer) { mistakes.append(Self.unknown(track.peer, path, recording)) }
            if !seen.insert(track.peer).inserted { mistakes.append(CompositionMistake(path, "\"\(track.peer)\" stands here twice", instead: "write one entry a person")) }
        }
        guard mistakes.isEmpty else { throw CompositionError(.unsupported, mistakes) }
    }

    private static func unknown(_ peer: ParticipantID, _ path: String, _ recording: CompositionSubject) -> CompositionMistake {
        let known = recording.peers.sorted().prefix(10).map(\.rawValue).joined(separator: ", ")
        return CompositionMistake(path, "\"\(peer)\" is not in this recording", instead: known.isEmpty ? "nobody is in it" : "write one of \(known)\(recording.peers.count > 10 ? ", …" : "")")
    }
    private static func late(_ time: Int64, _ path: String, _ recording: CompositionSubject) -> CompositionMistake {
        CompositionMistake(path, "\(time) is after the end", instead: "the recording ends at \(recording.duration) ms")
    }
    private var cuts: [(index: Int, range: Range<Int64>)] {
        timeline.enumerated().compactMap { index, entry in
            guard case .cut = entry.action, let until = entry.until, until > entry.t else { return nil }
            return (index, entry.t..<until)
        }
    }
    private var cutMilliseconds: Int64 { cuts.reduce(0) { $0 + ($1.range.upperBound - $1.range.lowerBound) } }
    private func overlappingCuts() -> [CompositionMistake] {
        let sorted = cuts.sorted { ($0.range.lowerBound, $0.index) < ($1.range.lowerBound, $1.index) }
        return zip(sorted, sorted.dropFirst()).compactMap { before, after in
            guard after.range.lowerBound < before.range.upperBound else { return nil }
            return CompositionMistake(
                "timeline[\(after.index)].t", "this cut begins inside the one of timeline[\(before.index)]", instead: "join them, or begin it at \(before.range.upperBound)")
        }
    }
}
