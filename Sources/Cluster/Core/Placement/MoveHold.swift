// The target's side of a move: a snapshot held until it is known whose actor it is.
import Primitives

/// What the target of a move keeps between "prepare" and the compare-and-set. It never decides by itself who owns the actor:
/// the store does, and the hold is looked at beside it.
package struct MoveHold: Equatable, Sendable {
    package enum Limits {
        /// One part of a snapshot in one call. Bytes.
        package static let partBytes = 256 << 10
        /// A whole snapshot. Bytes.
        package static let snapshotBytes = 16 << 20
        /// Holds of one node at a time.
        package static let holds = 64
        /// How long a hold lasts unless renewed, before the store is asked.
        package static let span = Duration.seconds(10)
        /// How often a hold that nothing decides is renewed.
        package static let renewals = 6
    }
    /// What the source owned when it began.
    package let claim: Claim
    package private(set) var snapshot: [UInt8] = []
    package private(set) var isWhole = false
    private var parts = 0
    private var renewals = 0
    package init(claim: Claim) { self.claim = claim }

    /// - Returns: false where a part is out of turn or too large: the move cannot go on.
    package mutating func take(part: Int, of count: Int, _ bytes: [UInt8]) -> Bool {
        guard !isWhole, part == parts, count > part, bytes.count <= Limits.partBytes, snapshot.count + bytes.count <= Limits.snapshotBytes else { return false }
        snapshot += bytes
        parts += 1
        isWhole = parts == count
        return true
    }

    package enum Verdict: Equatable, Sendable {
        /// It is this node's: go on from the snapshot.
        case activate(Claim)
        /// Undecided yet.
        case keep
        /// Not this node's, or too old to be of use.
        case drop
    }
    /// - Parameters:
    ///   - stored: the claim as the store has it.
    package func judge(_ stored: Claim?, me: NodeName, incarnation: Incarnation) -> Verdict {
        guard let stored else { return .drop }
        if stored.epoch == claim.epoch, !stored.isReleased { return .keep }
        let isMine = stored.epoch == claim.epoch.next && stored.node == me && stored.incarnation == incarnation && !stored.isReleased
        return isMine && isWhole ? .activate(stored) : .drop
    }
    /// Called when its span is over and nothing was decided. - Returns: whether it lasts another span.
    package mutating func renew(sourceIsUp: Bool) -> Bool {
        renewals += 1
        return sourceIsUp && renewals <= Limits.renewals
    }
    /// The parts a snapshot travels in: at least one.
    package static func parts(of snapshot: [UInt8]) -> [[UInt8]] {
        guard !snapshot.isEmpty else { return [[]] }
        return stride(from: 0, to: snapshot.count, by: Limits.partBytes).map { Array(snapshot[$0..<min(snapshot.count, $0 + Limits.partBytes)]) }
    }
}
