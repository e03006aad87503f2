// Who needs a key frame of what, and who has a clock to report.
internal import Primitives
internal import RTP

extension RouterCore {
    /// The reader cannot go on without a key frame of the encoding it is to get.
    func requestKeyFrame(for reader: UnsafeMutablePointer<OutboundStream>) {
        let track = reader.pointee.track
        guard track.pointee.kind == .video, !reader.pointee.isPaused, !track.pointee.isMuted else { return }
        requestKeyFrame(of: Int(reader.pointee.selection.target), track)
    }
    func requestKeyFrames(_ track: UnsafeMutablePointer<InboundTrackState>) {
        for i in 0..<track.pointee.readers.count { requestKeyFrame(for: track.pointee.readers[i]) }
        for i in 0..<track.pointee.waiting.count { requestKeyFrame(upcomingOf: track.pointee.waiting[i]) }
    }
    /// The reader goes over to another source as soon as that gives it a key frame.
    func requestKeyFrame(upcomingOf reader: UnsafeMutablePointer<OutboundStream>) {
        guard let upcoming = reader.pointee.upcoming, upcoming.held == nil, upcoming.track.pointee.kind == .video, !upcoming.track.pointee.isMuted else { return }
        requestKeyFrame(of: Int(upcoming.selection.target), upcoming.track)
    }
    /// A reader that gets the encoding lost its way (PLI, FIR).
    func requestKeyFrame(of encoding: Int, _ track: UnsafeMutablePointer<InboundTrackState>) {
        guard encoding < track.pointee.streamCount else { return }
        let stream = track.pointee.streams + encoding
        stream.pointee.keyFrames.request()
        state.pointee.wantFeedback(at: stream.pointee.feedbackDeadline)
    }
    /// Makes sender reports due for a reader that came after the publisher's first one.
    func startReports(_ reader: UnsafeMutablePointer<OutboundStream>) {
        let track = reader.pointee.track
        guard let peer = reader.pointee.peer, let transport = state.pointee.transport(reader.pointee.transport) else { return }
        for i in 0..<track.pointee.streamCount {
            guard let at = track.pointee.streams[i].report?.at else { continue }
            if peer.pointee.reports.start(now: at) { state.pointee.wantReport(transport, at: at) }
        }
    }
}
