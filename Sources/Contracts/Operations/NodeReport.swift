// What a node tells operators of itself.
import Cluster
import Primitives

/// One node as `troupectl nodes` shows it. What a node that does not answer would have said is missing.
package struct NodeReport: Codable, Sendable, Equatable {
    /// A link to another node, in this node's eyes.
    package struct Link: Codable, Sendable, Equatable {
        package var peer: NodeName
        package var roundTripMilliseconds: Double?
        package var queueBytes: Int
        package var callsInFlight: Int
        /// The peer's wall clock minus this node's, and how far that may be off.
        package var clockOffsetMilliseconds: Double?
        package var clockUncertaintyMilliseconds: Double?
        package var reconnects: Int
        package init(peer: NodeName, roundTripMilliseconds: Double? = nil, queueBytes: Int = 0, callsInFlight: Int = 0, clockOffsetMilliseconds: Double? = nil, clockUncertaintyMilliseconds: Double? = nil, reconnects: Int = 0) {
            self.peer = peer; self.roundTripMilliseconds = roundTripMilliseconds; self.queueBytes = queueBytes; self.callsInFlight = callsInFlight
            self.clockOffsetMilliseconds = clockOffsetMilliseconds; self.clockUncertaintyMilliseconds = clockUncertaintyMilliseconds; self.reconnects = reconnects
        }
    }
    /// What a node holds of what it may hold, in placement's units.
    package struct Capacity: Codable, Sendable, Equatable {
        package var units: Int
        package var used: Int
        package var reserved: Int
        package init(units: Int, used: Int, reserved: Int) { self.units = units; self.used = used; self.reserved = reserved }
    }

    package var name: NodeName
    /// `joining`, `up`, `draining`, `leaving`, `suspect`, or `away`: it does not answer.
    package var state: String
    /// Why it is away.
    package var reason: String?
    package var incarnation: Incarnation?
    package var region: String?
    package var roles: [String]
    package var version: String?
    /// Where its links arrive, and where people reach it.
    package var address: String?
    package var url: String?
    package var uptimeSeconds: Double?
    package var capacity: Capacity?
    /// Rooms whose actor lives here.
    package var rooms: Int?
    /// Clients attached here.
    package var participants: Int?
    /// Recordings being captured here.
    package var recordings: Int?
    package var links: [Link]
    package var drain: DrainReport?
    package init(name: NodeName, state: String, reason: String? = nil, roles: [String] = []) {
        self.name = name; self.state = state; self.reason = reason; self.roles = roles
        links = []
    }
    package static let away = "away"
    package var isAway: Bool { state == Self.away }
}

/// What a node is doing right now: one line of `troupectl top`.
package struct NodeSample: Codable, Sendable, Equatable {
    package var name: NodeName
    package var state: String
    /// Of one processor: 1.5 is one and a half. Nil with what follows for a node that is away, and in its first second.
    package var cpu: Double?
    /// The latest a timer of the control loop rang, in the last second.
    package var loopLagMilliseconds: Double?
    /// Datagrams from clients and other nodes, and to them.
    package var packetsInPerSecond: Double?
    package var packetsOutPerSecond: Double?
    package var bytesInPerSecond: Double?
    package var bytesOutPerSecond: Double?
    /// Packets of publishers that were lost for good, of all they sent: 0 to 1.
    package var loss: Double?
    package var residentBytes: Int64?
    package var rooms: Int?
    package var participants: Int?
    package var recordings: Int?
    package init(name: NodeName, state: String) { self.name = name; self.state = state }
}
