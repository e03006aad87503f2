// What members tell each other about members. SWIM §4.1 (Das, Gupta, Motivala 2002), with votes.
import Primitives

/// One fact, mergeable in any order and any number of times.
///
/// A *revision* grows with everything a node says of itself: a refutation, a change of state. It orders facts within one
/// life; the incarnation orders lives. Coded as an array that begins with the kind; later items are passed over.
package enum Rumor: Equatable, Sendable {
    case alive(Member, revision: UInt64)
    /// `suspects` got no answer from it, `votes` hold it for dead. Void under a greater revision.
    case doubt(Life, revision: UInt64, suspects: Set<NodeName>, votes: Set<NodeName>)
    /// Final. `votes`: who held it for dead; the life itself where it took its leave.
    case dead(Life, votes: Set<NodeName>)
    /// It answers pings but not calls. Holds until `Timing.complaint` after the last `number`.
    case complaint(Life, by: NodeName, number: UInt64)
    /// Of a newer release.
    case unknown

    package enum Limits {
        package static let names = 1024              // in one set
        package static let perMessage = 2048         // rumors
    }
    /// What replaces what in a queue.
    struct Key: Hashable, Comparable, Sendable {
        let name: NodeName
        let kind: Int
        let by: NodeName
        static func < (a: Key, b: Key) -> Bool { (a.kind, a.name, a.by) < (b.kind, b.name, b.by) }
    }
    var key: Key {
        switch self {
        case .alive(let member, _): Key(name: member.name, kind: 0, by: "")
        case .doubt(let life, _, _, _): Key(name: life.name, kind: 1, by: "")
        case .dead(let life, _): Key(name: life.name, kind: 2, by: NodeName(String(life.incarnation.rawValue)))
        case .complaint(let life, let by, _): Key(name: life.name, kind: 3, by: by)
        case .unknown: Key(name: "", kind: 4, by: "")
        }
    }
    var subject: NodeName { key.name }
    /// About how many bytes it takes on a link.
    var weight: Int {
        func names(_ set: Set<NodeName>) -> Int { set.reduce(0) { $0 + $1.rawValue.utf8.count + 2 } }
        return switch self {
        case .alive(let member, _): member.weight + 12
        case .doubt(let life, _, let suspects, let votes): 32 + life.name.rawValue.utf8.count + names(suspects) + names(votes)
        case .dead(let life, let votes): 24 + life.name.rawValue.utf8.count + names(votes)
        case .complaint(let life, let by, _): 36 + life.name.rawValue.utf8.count + by.rawValue.utf8.count
        case .unknown: 1
        }
    }
}

extension Rumor: Codable {
    package init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        func life() throws -> Life { Life(try list.decode(NodeName.self), try list.decode(Incarnation.self)) }
        func names() throws -> Set<NodeName> {
            let all = try list.decode([NodeName].self)
            guard all.count <= Limits.names else {
                throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "more than \(Limits.names) names"))
            }
            return Set(all)
        }
        switch try list.decode(Int.self) {
        case 0: self = .alive(try list.decode(Member.self), revision: try list.decode(UInt64.self))
        case 1: self = .doubt(try life(), revision: try list.decode(UInt64.self), suspects: try names(), votes: try names())
        case 2: self = .dead(try life(), votes: try names())
        case 3: self = .complaint(try life(), by: try list.decode(NodeName.self), number: try list.decode(UInt64.self))
        default: self = .unknown
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        func put(_ life: Life) throws {
            try list.encode(life.name)
            try list.encode(life.incarnation)
        }
        switch self {
        case .alive(let member, let revision):
            try list.encode(0)
            try list.encode(member)
            try list.encode(revision)
        case .doubt(let life, let revision, let suspects, let votes):
            try list.encode(1)
            try put(life)
            try list.encode(revision)
            try list.encode(suspects.sorted())
            try list.encode(votes.sorted())
        case .dead(let life, let votes):
            try list.encode(2)
            try put(life)
            try list.encode(votes.sorted())
        case .complaint(let life, let by, let number):
            try list.encode(3)
            try put(life)
            try list.encode(by)
            try list.encode(number)
        case .unknown: try list.encode(4)
        }
    }
}

/// One message of the failure detector. Every kind may carry rumors.
package struct MembershipMessage: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case ping(UInt64)
        /// The number is the one its asker gave.
        case ack(UInt64)
        /// Asks a third node to ping `target`; it answers with `ack` or, when its own time is up, `nack`.
        case pingRequest(UInt64, target: NodeName)
        case nack(UInt64)
        case gossip
        /// Everything the sender knows.
        case sync(wantsAnswer: Bool)
        /// Of a newer release: only its rumors count.
        case unknown
    }
    package var kind: Kind
    package var rumors: [Rumor]
    package init(_ kind: Kind, _ rumors: [Rumor] = []) { self.kind = kind; self.rumors = rumors }
}

extension MembershipMessage: Codable {
    private enum CodingKeys: String, CodingKey { case kind = "k", number = "n", target = "t", rumors = "r" }
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        func number() throws -> UInt64 { try fields.decode(UInt64.self, forKey: .number) }
        switch try fields.decode(Int.self, forKey: .kind) {
        case 0: kind = .ping(try number())
        case 1: kind = .ack(try number())
        case 2: kind = .pingRequest(try number(), target: try fields.decode(NodeName.self, forKey: .target))
        case 3: kind = .nack(try number())
        case 4: kind = .gossip
        case 5: kind = .sync(wantsAnswer: try number() != 0)
        default: kind = .unknown
        }
        rumors = try fields.decodeIfPresent([Rumor].self, forKey: .rumors) ?? []
        guard rumors.count <= Rumor.Limits.perMessage else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "more than \(Rumor.Limits.perMessage) rumors"))
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        func put(_ code: Int, _ number: UInt64? = nil) throws {
            try fields.encode(code, forKey: .kind)
            try fields.encodeIfPresent(number, forKey: .number)
        }
        switch kind {
        case .ping(let number): try put(0, number)
        case .ack(let number): try put(1, number)
        case .pingRequest(let number, let target):
            try put(2, number)
            try fields.encode(target, forKey: .target)
        case .nack(let number): try put(3, number)
        case .gossip: try put(4)
        case .sync(let wantsAnswer): try put(5, wantsAnswer ? 1 : 0)
        case .unknown: try put(6)
        }
        if !rumors.isEmpty { try fields.encode(rumors, forKey: .rumors) }
    }
}
