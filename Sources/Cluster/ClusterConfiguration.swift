// What a node must be told before it can join its cluster, and every bound of the cluster's machinery.
import EventLoop
import Primitives

package struct ClusterConfiguration: Sendable {
    package enum Limits {
        package static let defaultDeadline = Duration.seconds(5)
        /// Calls of this node that wait for an answer from one peer.
        package static let callsInFlight = 8192
        /// Calls of one peer that are being executed here.
        package static let callsExecuting = 4096
        /// Bytes that may wait in one link; beyond it calls are refused.
        package static let linkBytes = 8 << 20
        /// Beyond this even answers do not fit: the peer reads nothing and the link is cut.
        package static let linkBytesMost = 32 << 20
        /// Calls that wait while one virtual actor is activated or released.
        package static let waitingCalls = 1024
        /// Times a call is sent on to the node its actor moved to.
        package static let redirects = 2
        /// Between two looks at an owner that is being judged.
        package static let settleInterval = Duration.milliseconds(100)
        package static let activation = Duration.seconds(10)
        package static let storeCall = Duration.seconds(3)
        /// Locations of virtual actors that are remembered.
        package static let knownLocations = 16_384
        /// Connections that have not shown who they are yet.
        package static let strangers = 64
        package static let handshake = Duration.seconds(3)
        package static let connect = Duration.seconds(2)
        package static let redialShortest = Duration.milliseconds(50)
        package static let redialLongest = Duration.seconds(2)
        package static let leaseRenewal = Duration.milliseconds(250)
        /// A row that stands still for so long (margin included), of a node that does not answer, is of a dead one.
        package static let leaseTime = Duration.milliseconds(1250)
    }
    package static let protocolVersions: ClosedRange<UInt32> = 1...1

    package var name: NodeName
    /// What the node may host; compared with the roles of `ClusterSystem.virtual`.
    package var roles: Set<String>
    package var region: String?
    /// Where links of other nodes arrive; nil where nobody else is (a single node, a test).
    package var bind: SocketAddress?
    /// Every other node of the topology, by the address of its links. Of two nodes, the one with the smaller name dials.
    package var peers: [NodeName: SocketAddress]
    /// Needed as soon as there are peers.
    package var tls: TLSIdentity?
    package var timing = MembershipTable.Timing()
    package var leaseTime = Limits.leaseTime
    package var leaseRenewal = Limits.leaseRenewal

    package init(name: NodeName, roles: Set<String> = [], region: String? = nil, bind: SocketAddress? = nil, peers: [NodeName: SocketAddress] = [:], tls: TLSIdentity? = nil) {
        self.name = name; self.roles = roles; self.region = region; self.bind = bind; self.peers = peers; self.tls = tls
    }
}

/// Why a system cannot start; each text says what to do.
package enum ClusterStartError: Error, Sendable, CustomStringConvertible {
    case noIdentity
    case tls(TLSError)
    case network(NetworkError)
    case store(String)
    case startedBefore
    /// Another life of this node registered meanwhile and actors with the smaller incarnation exist already.
    case actorsBeforeStart
    package var description: String {
        switch self {
        case .noIdentity: "the topology names other nodes, but no certificate for links is given; make them with `troupe keys`"
        case .tls(let error): "\(error)"
        case .network(let error): "cluster port: \(error)"
        case .store(let text): "the store does not answer, and a node cannot join without it: \(text)"
        case .startedBefore: "a cluster system starts once"
        case .actorsBeforeStart: "the clock is behind the node's last start, and actors were made before `start`; make them after it"
        }
    }
}

/// What operators should see. Nothing depends on it.
package enum ClusterNotice: Sendable, CustomStringConvertible {
    case linkUp(NodeName, SocketAddress)
    case linkDown(NodeName, String)
    /// A connection that did not become a link.
    case refused(SocketAddress, String)
    case dialFailed(NodeName, String)
    case storeAway(String)
    case storeBack
    /// Another life of this node has registered: this one may claim nothing any more.
    case superseded
    case claimLost(kind: String, key: String)
    case activationFailed(kind: String, key: String, String)
    package var description: String {
        switch self {
        case .linkUp(let node, let address): "link to \(node) (\(address))"
        case .linkDown(let node, let why): "link to \(node) ended: \(why)"
        case .refused(let address, let why): "\(address) refused: \(why)"
        case .dialFailed(let node, let why): "no link to \(node) yet: \(why)"
        case .storeAway(let text): "store away: \(text)"
        case .storeBack: "store back"
        case .superseded: "another process runs under this node's name; this one claims nothing any more"
        case .claimLost(let kind, let key): "\(kind)/\(key) is claimed elsewhere now"
        case .activationFailed(let kind, let key, let why): "\(kind)/\(key) was not activated: \(why)"
        }
    }
}

/// Sums since the start.
package struct ClusterCounters: Sendable, Equatable {
    package var callsSent: UInt64 = 0
    package var callsExecuted: UInt64 = 0
    package var callsRefused: UInt64 = 0
    package var callsUnknown: UInt64 = 0
    package var redirects: UInt64 = 0
    package var linksUp: UInt64 = 0
    package var linksLost: UInt64 = 0
    package var connectionsRefused: UInt64 = 0
    package var badFrames: UInt64 = 0
    package var unknownFrames: UInt64 = 0
    package var answersTooLate: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var claimsTaken: UInt64 = 0
    package var claimsLost: UInt64 = 0
    package var storeFailures: UInt64 = 0
    package init() {}
}
