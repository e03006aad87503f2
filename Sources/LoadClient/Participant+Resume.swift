// Coming back at another node, and moving to one without a gap (docs/decisions/0024-resume-and-move.md).
internal import EventLoop
internal import Primitives

/// How often a client changed its node, and how long that took.
struct HandoverTally: Equatable {
    static let features = ["move", "resume"]
    var resumes = 0
    var moves = 0
    /// From losing a node to being attached at the next, ms.
    var longestAway: Int64 = 0
}

extension Participant {
    enum ResumeLimits {
        static let open = Duration.milliseconds(1500)       // for a socket; a node that vanished does not even refuse
        static let openAgain = Duration.milliseconds(300)   // for one at the node that was just lost
        static let answer = Duration.seconds(6)
        static let pauses: [Duration] = [.zero, .milliseconds(150), .milliseconds(300), .milliseconds(600), .seconds(1), .seconds(2), .seconds(2), .seconds(4)]
        static let media = Duration.seconds(6)              // for a move's new connection to carry everything
        static let look = Duration.milliseconds(10)
        static let linger = Duration.seconds(6)             // until the node lets go of an old connection
    }
    private static let final: Set<String> = ["left", "removed", "ended", "replaced", "bad_request", "rate_limited"]

    func farewell(_ reason: String, on attachment: Attachment) {
        if attachment !== current { return drop(attachment) }
        guard !isLeaving, !isMoving, !resumes || Self.final.contains(reason) else { return }
        note("the node said goodbye: \(reason)")
        isGone = true
    }

    /// - Parameter isSilent: its node does not say that it is gone.
    func lost(_ attachment: Attachment, _ reason: String, isSilent: Bool = false) {
        guard !isLeaving else { return }
        if attachment !== current { return drop(attachment) }
        guard resumes, token != nil, !isGone else {
            if !isGone { note(reason) }
            return attachment.end()
        }
        // A move that is under way brings the next attachment; if it fails it comes back here.
        attachment.end()
        guard !isMoving, !isRecovering else { return }
        recover(isSilent: isSilent)
    }

    private func recover(isSilent: Bool = false) {
        isRecovering = true
        let lostAt = media.loop.now
        media.loop.spawn { [self] in
            var tries = 0
            for pause in ResumeLimits.pauses {
                try? await media.loop.sleep(for: pause)
                // One's own node comes first, unless it would be asked in vain.
                for node in isSilent ? nodes.dropFirst() + nodes.prefix(1) : nodes[...] where !isLeaving {
                    tries += 1
                    guard await resume(at: node, isMove: false, within: tries == 1 && !isSilent ? ResumeLimits.openAgain : ResumeLimits.open) else { continue }
                    tally.resumes += 1
                    tally.longestAway = max(tally.longestAway, (media.loop.now - lostAt).inMilliseconds)
                    isRecovering = false
                    return
                }
                if isLeaving { break }
            }
            isRecovering = false
            if !isLeaving { note("could not come back at any of \(nodes.map(\.description).joined(separator: ", "))") }
        }
    }

    /// - Returns: whether the node took the session.
    private func resume(at node: NodeURL, isMove: Bool, within time: Duration) async -> Bool {
        guard let credentials, let token, let attachment = try? await open(node, "/ws/\(credentials.session_id)", within: time) else { return false }
        attempt += 1
        attachment.say(ClientSignal(resume: token, lastSeen: sequence, attempt: attempt, isMove: isMove, features: HandoverTally.features))
        let isTaken = (try? await media.loop.withDeadline(ResumeLimits.answer) {
            try await withCheckedThrowingContinuation { attachment.answered.open($0) }
        }) ?? false
        guard isTaken else {
            drop(attachment)
            return false
        }
        let old = current
        current = attachment
        if let old, !old.isOver {
            if isMove { leaving.append(old) } else { drop(old) }
        } else if let old { drop(old) }
        return true
    }

    // MARK: Moving

    func move(to sockets: [String], within time: Duration) {
        guard resumes, !isMoving, !isRecovering, !isLeaving, let old = current else { return }
        isMoving = true
        let end = media.loop.now + time
        let targets = sockets.compactMap { NodeURL(webSocket: $0) }
        media.loop.spawn { [self] in
            while !isLeaving, media.loop.now < end {
                for node in targets where current === old {
                    if await resume(at: node, isMove: !old.isOver, within: ResumeLimits.open) { tally.moves += 1 }
                }
                if current !== old { break }
                try? await media.loop.sleep(for: ResumeLimits.pauses[1])
            }
            isMoving = false
            guard current !== old else { return old.isOver && !isLeaving ? recover() : () }
            await letGo(of: old)
        }
    }
    /// Says goodbye to the old node once the new one brings everything it brought; ends the connection when the node has let go.
    private func letGo(of old: Attachment) async {
        let end = media.loop.now + ResumeLimits.media
        while !isLeaving, !old.isOver, media.loop.now < end, !hasAll(of: old) { try? await media.loop.sleep(for: ResumeLimits.look) }
        old.say(ClientSignal("bye"))
        let last = media.loop.now + ResumeLimits.linger
        while !isLeaving, !old.isOver, media.loop.now < last { try? await media.loop.sleep(for: ResumeLimits.look) }
        if !isLeaving { drop(old) }
    }
    private func hasAll(of old: Attachment) -> Bool {
        guard let current, current.isConnected else { return false }
        let here = Set(current.receives.values.filter { $0.firstArrival != nil }.map(\.trackID))
        return old.receives.values.allSatisfy { $0.firstArrival == nil || here.contains($0.trackID) }
    }
}
