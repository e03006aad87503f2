// What keeps a cluster right, one by one: so that a simulation can switch one off and must then find what it was for.

/// Everything is on unless a test or the simulator says otherwise; no configuration of a node reaches it.
/// Decision: docs/decisions/0025-simulation.md
package struct Protections: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let all = Protections(rawValue: .max)

    /// A claim is taken only if its stored epoch is the expected one. (Of the simulated store: a real one cannot be told to forget it.)
    package static let claimCAS = Protections(rawValue: 1 << 0)
    /// The owner's row must have stood still for the lease time before its claim is taken.
    package static let leaseCheck = Protections(rawValue: 1 << 1)
    /// After a stall a node looks at its claims before it decides anything.
    package static let stallCheck = Protections(rawValue: 1 << 2)
    /// A call whose time is up does not begin.
    package static let expiryCheck = Protections(rawValue: 1 << 3)
    /// A call to an instance of an earlier life of its node is refused.
    package static let incarnationCheck = Protections(rawValue: 1 << 4)
    /// Events of an older epoch are refused: by edges, by Rooms, and by the store's log (of the simulated store: see `claimCAS`).
    package static let epochCheck = Protections(rawValue: 1 << 5)
    /// Events that were delivered before are skipped.
    package static let eventDedup = Protections(rawValue: 1 << 6)
    /// Words of an older attachment are refused.
    package static let attachmentCheck = Protections(rawValue: 1 << 7)
    /// A takeover needs a majority that declared the owner down.
    package static let vote = Protections(rawValue: 1 << 8)
    /// An owner that can neither renew nor see a majority decides nothing.
    package static let freeze = Protections(rawValue: 1 << 9)
    /// Of two tries of one client to resume the later counts, whichever arrives first.
    package static let resumeDedup = Protections(rawValue: 1 << 10)
    /// A word is acknowledged as kept only once the store has it.
    package static let keptWords = Protections(rawValue: 1 << 11)

    package static let names: [(String, Protections)] = [
        ("claim_cas", .claimCAS), ("lease_check", .leaseCheck), ("stall_check", .stallCheck), ("expiry_check", .expiryCheck),
        ("incarnation_check", .incarnationCheck), ("epoch_check", .epochCheck), ("event_dedup", .eventDedup),
        ("attachment_check", .attachmentCheck), ("vote", .vote), ("freeze", .freeze), ("resume_dedup", .resumeDedup), ("kept_words", .keptWords),
    ]
    package static func named(_ name: String) -> Protections? { names.first { $0.0 == name }?.1 }
}

extension ClusterSystem {
    /// Whether a protection is on.
    func checks(_ protection: Protections) -> Bool { configuration.protections.contains(protection) }
}
