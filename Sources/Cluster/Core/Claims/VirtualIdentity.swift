// What a virtual actor is, wherever it is.

package struct VirtualIdentity: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let kind: String
    package let key: String
    package init(kind: String, key: String) { self.kind = kind; self.key = key }
    package static func < (a: Self, b: Self) -> Bool { (a.kind, a.key) < (b.kind, b.key) }
    package var description: String { "\(kind)/\(key)" }
}
extension Claim {
    package var identity: VirtualIdentity { VirtualIdentity(kind: kind, key: key) }
}
