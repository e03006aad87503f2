// What a gateway is told at start.
package import Conference
package import Primitives

/// PEM files: the certificate with its chain, and its private key.
package struct TLSFiles: Sendable, Equatable {
    package var certificate: String
    package var privateKey: String
    package init(certificate: String, privateKey: String) { self.certificate = certificate; self.privateKey = privateKey }
}

package struct GatewayConfiguration: Sendable {
    package var node: NodeName
    package var region: String?
    package var roles: [String]
    package var version: String
    /// Port 0 lets the system choose; `Gateway.address` tells which.
    package var bind: SocketAddress
    /// nil: plain HTTP, allowed on loopback only.
    package var tls: TLSFiles?
    /// "https://rooms.example": the one address of all nodes; nil: each node names itself by the request's `Host`.
    package var publicURL: String?
    /// Other origins whose pages may call ("https://app.example"; "*" for all). A node's own is always allowed.
    package var origins: [String]
    package var keys: [APIKey]
    /// The studio's pages; nil serves none.
    package var studioDirectory: String?
    /// The storage folder whose `rooms/…` files `/media/` serves; nil serves none.
    package var mediaDirectory: String?
    /// STUN and TURN servers clients are given.
    package var iceServers: [TURNService]
    /// What a visitor without a token may do.
    package var anonymous: Caller
    package var limits: GatewayLimits

    package init(
        node: NodeName, region: String? = nil, roles: [String] = [], version: String = "0", bind: SocketAddress, tls: TLSFiles? = nil, publicURL: String? = nil,
        origins: [String] = [], keys: [APIKey], studioDirectory: String? = nil, mediaDirectory: String? = nil, iceServers: [TURNService] = [],
        anonymous: Caller = .visitor, limits: GatewayLimits = GatewayLimits()
    ) {
        self.node = node; self.region = region; self.roles = roles; self.version = version; self.bind = bind; self.tls = tls
        self.publicURL = publicURL; self.origins = origins; self.keys = keys; self.studioDirectory = studioDirectory
        self.mediaDirectory = mediaDirectory; self.iceServers = iceServers; self.anonymous = anonymous; self.limits = limits
    }
}

extension Caller {
    /// Anyone with the address: may open a room and join one whose id or code they know.
    package static var visitor: Caller {
        var caller = Caller()
        caller.canCreate = true
        caller.canJoin = true
        return caller
    }
}

/// Every bound of the gateway, with its unit.
package struct GatewayLimits: Sendable, Equatable {
    package var connections = 4096                              // sockets, HTTP and WebSocket together
    package var bodyBytes = 256 * 1024                          // of a request
    package var largeBodies: Int64 = 256 << 20                  // bytes of all chunks that are under way at once
    package var headerBytes = 16 * 1024                         // of a request, all of them
    package var frameBytes = 256 * 1024                         // of a WebSocket message
    package var messagesPerSecond = 60.0                        // of one client, sustained
    package var messageBurst = 120.0                            // messages
    package var refusalsBeforeClose = 120                       // messages over the rate, then the connection is closed
    package var malformedBeforeClose = 20                       // messages
    package var sendQueueBytes = 1 << 20                        // waiting for one client; beyond it the client is a slow reader
    package var requestsPerSecond = 100.0                       // of one address, sustained
    package var requestBurst = 400.0                            // requests
    package var handlerTime = Duration.seconds(30)              // of one request
    package var bodyTime = Duration.seconds(30)                 // to send a request's body
    package var largeBodyTime = Duration.seconds(120)           // to send a chunk: 16 MiB at 1.2 Mbit/s
    package var stalledWrite = Duration.seconds(30)             // a client that takes nothing of an answer for so long is dropped
    package var keepAlive = Duration.seconds(60)                // an idle connection
    package var pingInterval = Duration.seconds(15)             // WebSocket ping after so long without a frame
    package var pongTimeout = Duration.seconds(40)              // no frame at all for so long: gone
    package var drainTime = Duration.seconds(2)                 // open requests get so long at stop
    package init() {}
}

/// What the node gives the gateway to ask and to tell.
package struct GatewayHooks: Sendable {
    package struct Readiness: Sendable, Equatable {
        package var isReady: Bool
        package var reason: String?
        package init(isReady: Bool, reason: String? = nil) { self.isReady = isReady; self.reason = reason }
    }
    /// Whether this node takes new work: `/readyz`.
    package var ready: @Sendable () async -> Readiness
    /// Prometheus text of the whole node: `/metrics`. `Gateway.metrics()` is the gateway's part.
    package var metrics: @Sendable () async -> String
    /// One line of log; carries no token and no participant id.
    package var log: @Sendable (GatewayLogLine) -> Void
    package init(
        ready: @escaping @Sendable () async -> Readiness = { Readiness(isReady: true) },
        metrics: @escaping @Sendable () async -> String = { "" }, log: @escaping @Sendable (GatewayLogLine) -> Void = { _ in }
    ) {
        self.ready = ready; self.metrics = metrics; self.log = log
    }
}

package struct GatewayLogLine: Sendable, Equatable {
    package enum Level: String, Sendable { case debug, info, warning, error }
    package var level: Level
    package var message: String
    package var fields: [String: String]
    package init(_ level: Level, _ message: String, _ fields: [String: String] = [:]) { self.level = level; self.message = message; self.fields = fields }
}
