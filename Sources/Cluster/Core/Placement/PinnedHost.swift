// Policy: the host an operator has named, before all others, while it may host at all.
import Primitives

package struct PinnedHost: PlacementPolicy {
    package init() {}
    package func refine(_ hosts: [PlacementHost], for request: PlacementRequest) -> [PlacementHost] {
        guard let pinned = request.pinned else { return hosts }
        return hosts.filter { $0.name == pinned } + hosts.filter { $0.name != pinned }
    }
}
