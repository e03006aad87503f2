// Weighted rendezvous hashing: every node ranks the hosts of a key alike without asking anyone, and a host that comes or
// goes moves only the keys it wins or held (Thaler, Ravishankar 1998; weights: Schindelhauer, Schomaker 2005).
import Primitives

package enum Rendezvous {
    /// The hosts by falling score −w / ln h, where h in (0, 1] is the hash of key and host and w the host's weight: a host
    /// is first for a share of keys proportional to its weight. Hosts of weight 0 are left out; equal scores go to the
    /// smaller name.
    ///
    /// Integers all the way: the order is the same in every process, on every machine.
    package static func rank(kind: String, key: String, among hosts: [PlacementHost]) -> [PlacementHost] {
        let identity = StableHash.fnv1a(Array(kind.utf8) + [0] + Array(key.utf8))
        let scored = hosts.compactMap { host -> (cost: Double, hash: UInt64, host: PlacementHost)? in
            guard host.weight > 0 else { return nil }
            let hash = mix(identity ^ mix(StableHash.fnv1a(host.name.rawValue.utf8)))
            return (Double(bitsBelowOne(hash)) / host.weight, hash, host)
        }
        return scored.sorted { a, b in
            if a.cost != b.cost { return a.cost < b.cost }
            if a.hash != b.hash { return a.hash > b.hash }
            return a.host.name < b.host.name
        }.map(\.host)
    }
    /// The finaliser of SplitMix64: FNV alone leaves neighbouring names with neighbouring scores.
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    /// −log2(hash / 2⁶⁴) in units of 2⁻³², rounded up, at least 1. The binary logarithm digit by digit: squaring the mantissa
    /// doubles its logarithm, whose next digit is whether the square reaches 2.
    static func bitsBelowOne(_ hash: UInt64) -> UInt64 {
        let value = max(hash, 1)
        let lead = value.leadingZeroBitCount
        var mantissa = value << UInt64(lead)
        var fraction: UInt64 = 0
        for _ in 0..<32 {
            let square = mantissa.multipliedFullWidth(by: mantissa).high
            fraction = fraction << 1 | square >> 63
            mantissa = square >> 63 == 1 ? square : square << 1
        }
        return (UInt64(lead + 1) << 32) - fraction
    }
}
