// Whether a node may go on deciding for what it has claimed. Design: docs/decisions/0022-placement-and-moves.md
import Primitives

/// The life of a node's right to decide.
///
///     firm ──neither renews nor sees a majority──▶ frozen ──store or majority back──▶ checking ──▶ firm, or frozen again
///      └────────nothing ran for `freezeAfter`─────────────────────────────────────────▶┘
///
/// While frozen calls are refused, while checking they wait; forwarding and capture know nothing of either. A renewal is as
/// old as its beginning. `freezeAfter` is shorter than the lease time, after which others may end this life by its row: who
/// is cut off, or asleep, stops deciding before anyone else begins.
package struct Ownership: Sendable {
    package enum State: Equatable, Sendable {
        case firm
        case frozen
        case checking(wasFrozen: Bool)
    }
    package enum Action: Equatable, Sendable {
        case freeze
        case thaw
        /// Compare the claims with the store's, then say `checked`.
        case check
    }
    package private(set) var state = State.firm
    /// An answer to a renewal that comes later is of no use.
    package let freezeAfter: Duration
    private let protections: Protections
    private var renewed: Instant
    private var lastTick: Instant
    package init(leaseTime: Duration, now: Instant, protections: Protections = .all) {
        self.protections = protections
        freezeAfter = leaseTime * 3 / 5
        renewed = now
        lastTick = now
    }

    package var isFrozen: Bool { state == .frozen || state == .checking(wasFrozen: true) }

    /// A renewal that began at `began` was answered.
    package mutating func renewed(began: Instant) { renewed = max(renewed, began) }

    /// Whether nothing has looked for so long that `handleTimeout` must be asked before anything is decided.
    package func isStale(now: Instant) -> Bool { now - lastTick >= freezeAfter && protections.contains(.stallCheck) }

    /// Call it at every renewal interval, and where `isStale`.
    package mutating func handleTimeout(now: Instant, seesMajority: Bool) -> Action? {
        let stalled = isStale(now: now)
        lastTick = now
        switch state {
        case .checking: return nil
        case .firm:
            if stalled { return check(wasFrozen: false) }
            guard !canRenew(now), !seesMajority, protections.contains(.freeze) else { return nil }
            state = .frozen
            return .freeze
        case .frozen: return canRenew(now) || seesMajority ? check(wasFrozen: true) : nil
        }
    }
    private mutating func check(wasFrozen: Bool) -> Action? {
        state = .checking(wasFrozen: wasFrozen)
        return .check
    }
    private func canRenew(_ now: Instant) -> Bool { now - renewed < freezeAfter }

    /// - Parameter began: when the renewal began that the store answered before the claims were compared; nil: it is away, so
    ///   that nothing was compared; then a majority that is seen will do.
    package mutating func checked(began: Instant?, seesMajority: Bool, now: Instant) -> Action? {
        guard case .checking(let wasFrozen) = state else { return nil }
        lastTick = now
        if let began { renewed = max(renewed, began) }
        if began != nil || seesMajority || !protections.contains(.freeze) {
            state = .firm
            return wasFrozen ? .thaw : nil
        }
        state = .frozen
        return wasFrozen ? nil : .freeze
    }
}
