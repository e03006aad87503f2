// A node as its peers know it.
import Primitives

package struct Member: Hashable, Codable, Sendable {
    package var name: NodeName
    package var incarnation: Incarnation
    package var roles: Set<String>
    package var region: String?
    package init(name: NodeName, incarnation: Incarnation, roles: Set<String> = [], region: String? = nil) {
        self.name = name; self.incarnation = incarnation; self.roles = roles; self.region = region
    }
}

package enum MemberEvent: Equatable, Sendable {
    case up(Member)
    case down(Member)
}
