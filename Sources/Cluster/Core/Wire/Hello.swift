// The greeting of a link: who, of which release, and why one is not let in.
import Primitives

/// The first thing both sides say. Fields a release does not know are passed over.
package struct Hello: Codable, Equatable, Sendable {
    /// Lowest and highest protocol version spoken; the highest common one is used.
    package var versions: [UInt32]
    /// Names of what may be used beyond the version; what both name is used, unknown ones are ignored.
    package var capabilities: [String]
    package var member: Member
    /// Of the member's facts; absent: 0.
    package var revision: UInt64?
    /// Set by a client that is no member: the name in its certificate.
    package var operatorName: String?
    package init(versions: [UInt32], capabilities: [String], member: Member, revision: UInt64? = nil, operatorName: String? = nil) {
        self.versions = versions; self.capabilities = capabilities; self.member = member; self.revision = revision; self.operatorName = operatorName
    }
    /// The highest version both speak.
    package func commonVersion(with range: ClosedRange<UInt32>) -> UInt32? {
        guard let low = versions.first, let high = versions.last, low <= high else { return nil }
        let best = min(high, range.upperBound)
        return best >= max(low, range.lowerBound) ? best : nil
    }
}

/// Certificates of operators carry a name no node can have.
package enum OperatorName {
    package static let prefix = "operator:"
    package static func isValid(_ name: String) -> Bool { name.hasPrefix(prefix) && NodeName(String(name.dropFirst(prefix.count))).isSafe }
}

/// What is wrong with a certificate.
package enum CertificateFault: String, Sendable {
    case expired, notYetValid
    /// Not of this cluster's CA.
    case foreign
    case wrongName, revoked, other
}

/// Why a connection does not become, or no longer is, a link. Told to the peer as well.
///
/// Coded as an array: a number for the reason, then its details; a number this release does not know reads as `.other`.
package enum LinkRefusal: Error, Equatable, Sendable {
    case versions(theirs: [UInt32], ours: [UInt32])
    /// The certificate is of this cluster but not of the name in the hello.
    case wrongName(String)
    case notListed(NodeName)
    /// Between these two nodes the other one dials.
    case wrongDirection(NodeName)
    /// This node was dialed under another name.
    case notDialed(expected: NodeName, NodeName)
    /// Another process with this name is a member and alive.
    case nameTaken(NodeName)
    case staleLife(NodeName, Incarnation)
    /// The life was declared down by these.
    case dead(NodeName, Incarnation, by: Set<NodeName>)
    case full
    case operatorsFull
    case protocolBreach(String)
    /// The certificate is not accepted: by us, or ours by the peer. Only told here: there is no link to tell it on.
    case certificate(CertificateFault, String)
    case other(String)
}

extension LinkRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .versions(let theirs, let ours): "speaks protocol versions \(theirs); this release speaks \(ours): upgrade the older one"
        case .wrongName(let name): "the peer's certificate is not of \(name)"
        case .notListed(let name): "\(name) is not in the topology"
        case .wrongDirection(let name): "\(name) has to be dialed, not to dial"
        case .notDialed(let expected, let name): "\(expected) was dialed, \(name) answers"
        case .nameTaken(let name): "another process named \(name) is a member; give one of them another name, or stop it"
        case .staleLife(let name, let incarnation): "\(name) comes with incarnation \(incarnation.rawValue), which is over"
        case .dead(let name, let incarnation, let by): "\(name) was declared down in incarnation \(incarnation.rawValue) by \(by.sorted().map(\.rawValue).joined(separator: ", "))"
        case .full: "no room for more members"
        case .operatorsFull: "too many operators are connected"
        case .protocolBreach(let text), .certificate(_, let text), .other(let text): text
        }
    }
    /// What a notice is told once for.
    package var cause: String {
        switch self {
        case .versions: "versions"
        case .wrongName: "wrong_name"
        case .notListed: "not_listed"
        case .wrongDirection: "wrong_direction"
        case .notDialed: "not_dialed"
        case .nameTaken: "name_taken"
        case .staleLife: "stale_life"
        case .dead: "dead"
        case .full: "full"
        case .operatorsFull: "operators_full"
        case .protocolBreach: "protocol_breach"
        case .certificate(let fault, _): "certificate_\(fault.rawValue)"
        case .other: "other"
        }
    }
}

extension LinkRefusal: Codable {
    package init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        func name() throws -> NodeName { try list.decode(NodeName.self) }
        switch try list.decode(Int.self) {
        case 1: self = .versions(theirs: try list.decode([UInt32].self), ours: try list.decode([UInt32].self))
        case 2: self = .wrongName(try list.decode(String.self))
        case 3: self = .notListed(try name())
        case 4: self = .wrongDirection(try name())
        case 5: self = .notDialed(expected: try name(), try name())
        case 6: self = .nameTaken(try name())
        case 7: self = .staleLife(try name(), try list.decode(Incarnation.self))
        case 8: self = .dead(try name(), try list.decode(Incarnation.self), by: Set(try list.decode([NodeName].self).prefix(Rumor.Limits.names)))
        case 9: self = .full
        case 10: self = .operatorsFull
        case 11: self = .protocolBreach(try list.decode(String.self))
        case 12: self = .other(try list.decode(String.self))
        case let code: self = .other("reason \(code), which this release does not know")
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        switch self {
        case .versions(let theirs, let ours):
            try list.encode(1)
            try list.encode(theirs)
            try list.encode(ours)
        case .wrongName(let name):
            try list.encode(2)
            try list.encode(FrameWriter.cut(name))
        case .notListed(let name):
            try list.encode(3)
            try list.encode(name)
        case .wrongDirection(let name):
            try list.encode(4)
            try list.encode(name)
        case .notDialed(let expected, let name):
            try list.encode(5)
            try list.encode(expected)
            try list.encode(name)
        case .nameTaken(let name):
            try list.encode(6)
            try list.encode(name)
        case .staleLife(let name, let incarnation):
            try list.encode(7)
            try list.encode(name)
            try list.encode(incarnation)
        case .dead(let name, let incarnation, let by):
            try list.encode(8)
            try list.encode(name)
            try list.encode(incarnation)
            try list.encode(by.sorted())
        case .full: try list.encode(9)
        case .operatorsFull: try list.encode(10)
        case .protocolBreach(let text):
            try list.encode(11)
            try list.encode(FrameWriter.cut(text))
        case .other(let text), .certificate(_, let text):
            try list.encode(12)
            try list.encode(FrameWriter.cut(text))
        }
    }
}
