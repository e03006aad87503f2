// A node as its peers know it.
import Primitives

/// How a member stands. The first four a node says of itself; the last two are what this node thinks of another.
///
///     joining ──▶ up ◀──▶ draining ──▶ leaving          (anyone of them) ◀──▶ suspect ──▶ down
package enum MemberState: Int, Codable, Sendable, CaseIterable {
    case joining = 0, up, draining, leaving, suspect, down

    /// Whether new rooms, recordings and jobs may be placed there.
    package var takesWork: Bool { self == .up }
    package init(from decoder: any Decoder) throws {
        // A state of a newer release is one that gets no work from us.
        self = MemberState(rawValue: try decoder.singleValueContainer().decode(Int.self)) ?? .joining
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// One life of a node.
package struct Life: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var name: NodeName
    package var incarnation: Incarnation
    package init(_ name: NodeName, _ incarnation: Incarnation) { self.name = name; self.incarnation = incarnation }
    package static func < (a: Life, b: Life) -> Bool { (a.name, a.incarnation) < (b.name, b.incarnation) }
    package var description: String { "\(name)/\(incarnation.rawValue)" }
}

package struct Member: Hashable, Sendable {
    package enum Limits {
        package static let tags = 16                 // entries
        package static let tagBytes = 1024           // all names and values together
        package static let roles = 16
        package static let roleBytes = 64            // each
        package static let formerLives = 8           // the latest
        package static let capacityMost = 1e6
    }
    package var name: NodeName
    package var incarnation: Incarnation
    package var roles: Set<String>
    package var region: String?
    /// How much the node takes beside others; 1 is an ordinary one, 0 takes nothing.
    package var capacity: Double
    package var state: MemberState
    /// Small facts for other parts of the program, such as where its HTTP server answers.
    package var tags: [String: String]
    /// Where its links arrive, as far as it knows.
    package var address: SocketAddress?
    /// Incarnations the same process had before it was declared down and came back: its actors still answer to them.
    package var formerly: [Incarnation]

    package init(
        name: NodeName, incarnation: Incarnation, roles: Set<String> = [], region: String? = nil, capacity: Double = 1, state: MemberState = .up,
        tags: [String: String] = [:], address: SocketAddress? = nil, formerly: [Incarnation] = []
    ) {
        self.name = name; self.incarnation = incarnation; self.roles = roles; self.region = region; self.capacity = capacity; self.state = state
        self.tags = tags; self.address = address; self.formerly = formerly
    }
    package var life: Life { Life(name, incarnation) }
    /// Whether an actor that names this incarnation of the node may be here.
    package func answers(to incarnation: Incarnation) -> Bool { incarnation == self.incarnation || formerly.contains(incarnation) }

    /// Why a member is not taken as it is; nil when it is.
    package var objection: String? {
        if !name.isSafe { return "a node's name is 1 to \(NodeName.maxBytes) letters, digits, `_`, `.` or `-`" }
        if tags.count > Limits.tags || tags.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) > Limits.tagBytes {
            return "\(name): at most \(Limits.tags) tags of \(Limits.tagBytes) bytes together"
        }
        if roles.count > Limits.roles || roles.contains(where: { $0.utf8.count > Limits.roleBytes }) { return "\(name): at most \(Limits.roles) roles of \(Limits.roleBytes) bytes" }
        if (region?.utf8.count ?? 0) > Limits.roleBytes { return "\(name): a region is at most \(Limits.roleBytes) bytes" }
        if !capacity.isFinite || capacity < 0 || capacity > Limits.capacityMost { return "\(name): a capacity is between 0 and \(Limits.capacityMost)" }
        if formerly.count > Limits.formerLives { return "\(name): at most \(Limits.formerLives) former incarnations" }
        return nil
    }
    /// About how many bytes it takes on a link.
    var weight: Int {
        64 + name.rawValue.utf8.count + roles.reduce(0) { $0 + $1.utf8.count + 2 } + tags.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 4 } + 9 * formerly.count
    }
}

extension Member: Codable {
    private enum CodingKeys: String, CodingKey { case name, incarnation, roles, region, capacity, state, tags, host, port, formerly }

    /// Fields an older release does not send have the values an older release means.
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(NodeName.self, forKey: .name)
        incarnation = try fields.decode(Incarnation.self, forKey: .incarnation)
        roles = Set(try fields.decode([String].self, forKey: .roles))
        region = try fields.decodeIfPresent(String.self, forKey: .region)
        capacity = try fields.decodeIfPresent(Double.self, forKey: .capacity) ?? 1
        state = try fields.decodeIfPresent(MemberState.self, forKey: .state) ?? .up
        let list = try fields.decodeIfPresent([String].self, forKey: .tags) ?? []
        tags = [:]
        for index in stride(from: 0, to: list.count - 1, by: 2) { tags[list[index]] = list[index + 1] }
        if let host = try fields.decodeIfPresent(String.self, forKey: .host), let port = try fields.decodeIfPresent(UInt16.self, forKey: .port) {
            address = SocketAddress(host: host, port: port)
        }
        formerly = try fields.decodeIfPresent([Incarnation].self, forKey: .formerly) ?? []
        if let objection { throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: objection)) }
    }
    /// Sets and dictionaries in order: the same member is the same bytes.
    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(name, forKey: .name)
        try fields.encode(incarnation, forKey: .incarnation)
        try fields.encode(roles.sorted(), forKey: .roles)
        try fields.encodeIfPresent(region, forKey: .region)
        try fields.encode(capacity, forKey: .capacity)
        try fields.encode(state, forKey: .state)
        if !tags.isEmpty { try fields.encode(tags.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }, forKey: .tags) }
        if let address {
            try fields.encode(address.host, forKey: .host)
            try fields.encode(address.port, forKey: .port)
        }
        if !formerly.isEmpty { try fields.encode(formerly, forKey: .formerly) }
    }
}

package enum MemberEvent: Equatable, Sendable {
    /// A life of a node seen for the first time, in whatever state it says.
    case up(Member)
    /// What it says of itself changed, or it became suspect, or is so no longer.
    case changed(Member)
    /// This life is over, whatever it may think. It comes back only as a later one.
    case down(Member)
    /// The others have declared this node down: what it held may be taken. It rejoins by itself under a new incarnation.
    case condemned(by: Set<NodeName>)
}
