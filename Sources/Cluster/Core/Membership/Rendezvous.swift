// Placement by rendezvous hashing: every node ranks the hosts of a key alike without asking anyone, and a host that
// comes or goes moves only the keys it wins or held (Thaler, Ravishankar 1998).
import Primitives

package enum Rendezvous {
    /// The host with the highest score for this identity; equal scores go to the smaller name. nil without hosts.
    package static func place(kind: String, key: String, among hosts: some Sequence<NodeName>) -> NodeName? {
        let identity = StableHash.fnv1a(Array(kind.utf8) + [0] + Array(key.utf8))
        var best: (score: UInt64, host: NodeName)?
        for host in hosts {
            let score = mix(identity ^ mix(StableHash.fnv1a(host.rawValue.utf8)))
            if let current = best, current.score > score || (current.score == score && current.host < host) { continue }
            best = (score, host)
        }
        return best?.host
    }
    /// The finaliser of SplitMix64: FNV alone leaves neighbouring names with neighbouring scores.
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
