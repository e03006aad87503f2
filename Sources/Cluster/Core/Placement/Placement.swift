// Where a virtual actor belongs: the hosts in the order in which they should be asked.
import Primitives

/// A node as placement sees it.
package struct PlacementHost: Hashable, Sendable {
    package var name: NodeName
    package var roles: Set<String>
    package var region: String?
    /// Its share of work beside others'; 0 takes none.
    package var weight: Double
    /// Up, and neither draining nor leaving nor suspected.
    package var takesWork: Bool
    package init(name: NodeName, roles: Set<String> = [], region: String? = nil, weight: Double = 1, takesWork: Bool = true) {
        self.name = name; self.roles = roles; self.region = region; self.weight = weight; self.takesWork = takesWork
    }
}

/// What is to be placed.
package struct PlacementRequest: Hashable, Sendable {
    package var kind: String
    package var key: String
    /// A host needs one of them; empty: any host will do.
    package var roles: Set<String>
    /// Hosts of this region come first.
    package var region: String?
    package var pinned: NodeName?
    package init(kind: String, key: String, roles: Set<String> = [], region: String? = nil, pinned: NodeName? = nil) {
        self.kind = kind; self.key = key; self.roles = roles; self.region = region; self.pinned = pinned
    }
}

/// One reason to prefer or exclude hosts.
package protocol PlacementPolicy: Sendable {
    /// - Parameter hosts: best first. - Returns: the same, with some left out or brought forward, otherwise in their order.
    func refine(_ hosts: [PlacementHost], for request: PlacementRequest) -> [PlacementHost]
}

/// Rendezvous order, refined by one policy after the other; the last word is the last policy's.
package enum Placement {
    package static let policies: [any PlacementPolicy] = [EligibleHosts(), NearestRegion(), PinnedHost()]

    /// - Returns: hosts, the one to ask first in front; empty where none may host it.
    package static func order(_ request: PlacementRequest, among hosts: [PlacementHost]) -> [NodeName] {
        let ranked = Rendezvous.rank(kind: request.kind, key: request.key, among: hosts)
        return policies.reduce(ranked) { $1.refine($0, for: request) }.map(\.name)
    }
}
