// Policy: hosts of the wanted region before all others.
import Primitives

package struct NearestRegion: PlacementPolicy {
    package init() {}
    package func refine(_ hosts: [PlacementHost], for request: PlacementRequest) -> [PlacementHost] {
        guard let region = request.region else { return hosts }
        return hosts.filter { $0.region == region } + hosts.filter { $0.region != region }
    }
}
