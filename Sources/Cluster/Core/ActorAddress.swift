// The identity of a distributed actor.
import Primitives

/// Where an actor is, or, for a virtual one, only what it is.
///
/// Codable as an array: `[0, node, incarnation, number, shard]`, `[1, kind, key]` or `[2, node, name]`.
package enum ActorAddress: Hashable, Sendable {
    /// One actor of one life of one node; gone with it. `shard` −1 is the node's control loop.
    case instance(node: NodeName, incarnation: Incarnation, number: UInt64, shard: Int)
    /// A role that exists once in the cluster, wherever it is claimed: the address survives moves.
    case virtual(kind: String, key: String)
    /// The actor a node offers under a well-known name (`ClusterSystem.provide`), in whichever life the node is. For a
    /// client that is no member, the empty node is the one it is connected to.
    case service(node: NodeName, name: String)

    /// The node of an instance or a service; the empty name for a virtual address.
    package var node: NodeName {
        switch self {
        case .instance(let node, _, _, _), .service(let node, _): node
        case .virtual: NodeName("")
        }
    }
    package var incarnation: Incarnation { if case .instance(_, let incarnation, _, _) = self { incarnation } else { Incarnation(0) } }
    package var shard: Int { if case .instance(_, _, _, let shard) = self { shard } else { -1 } }
    package var isVirtual: Bool { if case .virtual = self { true } else { false } }
}

extension ActorAddress: CustomStringConvertible {
    package var description: String {
        switch self {
        case .instance(let node, let incarnation, let number, let shard):
            "\(node)/\(incarnation.rawValue)#\(number)" + (shard < 0 ? "" : "@\(shard)")
        case .virtual(let kind, let key): "\(kind)/\(key)"
        case .service(let node, let name): "\(node)!\(name)"
        }
    }
}

extension ActorAddress: Codable {
    package init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        switch try list.decode(Int.self) {
        case 0:
            self = .instance(
                node: NodeName(try list.decode(String.self)), incarnation: Incarnation(try list.decode(UInt64.self)),
                number: try list.decode(UInt64.self), shard: Int(try list.decode(Int32.self)))
        case 1: self = .virtual(kind: try list.decode(String.self), key: try list.decode(String.self))
        case 2: self = .service(node: NodeName(try list.decode(String.self)), name: try list.decode(String.self))
        case let form:
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "an address of form \(form), which this release does not know"))
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        switch self {
        case .instance(let node, let incarnation, let number, let shard):
            try list.encode(0)
            try list.encode(node.rawValue)
            try list.encode(incarnation.rawValue)
            try list.encode(number)
            try list.encode(shard)
        case .virtual(let kind, let key):
            try list.encode(1)
            try list.encode(kind)
            try list.encode(key)
        case .service(let node, let name):
            try list.encode(2)
            try list.encode(node.rawValue)
            try list.encode(name)
        }
    }
}
