// Policy: only hosts that take work and have a fitting role.
import Primitives

package struct EligibleHosts: PlacementPolicy {
    package init() {}
    package func refine(_ hosts: [PlacementHost], for request: PlacementRequest) -> [PlacementHost] {
        hosts.filter { $0.takesWork && (request.roles.isEmpty || !request.roles.isDisjoint(with: $0.roles)) }
    }
}
