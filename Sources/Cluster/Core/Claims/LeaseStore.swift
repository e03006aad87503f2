// What the cluster asks of a store: lives of nodes, claims under epochs, who votes, what is pinned.
import Primitives

/// Every call is bounded in time and throws where the store is away; then it may or may not have been carried out.
///
/// All writes but `renewNode` are durable when they return.
package protocol LeaseStore: Sendable {
    // MARK: Lives of nodes

    /// Enters a new life of a node, replacing the row of an earlier one.
    /// - Returns: the incarnation to use: `proposed`, or one more than the stored one where that is not smaller.
    func registerNode(_ node: NodeName, proposed: Incarnation) async throws -> Incarnation
    /// Adds one to the node's counter.
    /// - Returns: false when the row is of another incarnation (a newer life has registered, this one was retired) or missing.
    func renewNode(_ node: NodeName, incarnation: Incarnation) async throws -> Bool
    func nodes() async throws -> [NodeLease]
    /// Ends a life: puts one more than its incarnation, which nobody lives, in its row, with counter 0. From then on its
    /// renewals answer false and its claims are orphans.
    /// - Parameter counter: where the row stood still; a renewal since prevents the end. nil: whatever it is (a majority has decided).
    /// - Returns: whether that life is over now, by this call or before (no row: over).
    func retireNode(_ node: NodeName, incarnation: Incarnation, counter: UInt64?) async throws -> Bool

    // MARK: Claims

    func claim(kind: String, key: String) async throws -> Claim?
    /// Compare-and-set: takes the claim under `expecting.next` if the stored epoch is `expecting` (`.none`: no row yet).
    /// A move is the same with the target's name and incarnation.
    func takeClaim(kind: String, key: String, by node: NodeName, incarnation: Incarnation, expecting: Epoch) async throws -> ClaimOutcome
    /// In one transaction, takes each of these that still stands under its epoch.
    /// - Returns: those taken, under their new epochs, in the order given.
    func takeClaims(_ stored: [Claim], by node: NodeName, incarnation: Incarnation) async throws -> [Claim]
    /// In one transaction, marks each claim released whose epoch is still the same. The rows stay.
    func releaseClaims(_ claims: [Claim]) async throws
    /// What a life holds, released ones left out, by kind and key.
    func claims(of node: NodeName, incarnation: Incarnation) async throws -> [Claim]
    /// Claims of these kinds held by lives that are over (their node's row names another incarnation, or there is none),
    /// by kind and key.
    func orphans(kinds: [String], limit: Int) async throws -> [Claim]

    // MARK: Who votes, what is pinned

    func voters() async throws -> VoterSet
    /// Compare-and-set on the version.
    /// - Returns: the set as it is afterwards: the names given under `expecting + 1`, or the one that was in the way.
    func setVoters(_ names: [NodeName], expecting version: UInt64) async throws -> VoterSet
    /// By kind and key.
    func pins() async throws -> [Pin]
    func pin(kind: String, key: String) async throws -> NodeName?
    /// - Parameter node: nil takes the pin out.
    func setPin(kind: String, key: String, to node: NodeName?) async throws
}
