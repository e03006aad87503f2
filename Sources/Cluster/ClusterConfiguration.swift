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
        /// Arguments of calls of one peer that are being executed here.
        package static let executingBytes = 64 << 20
        /// Bytes that may wait in one link; beyond it calls are refused.
        package static let linkBytes = 8 << 20
        /// Bytes handed to the connection at once; large messages wait in their lane for room.
        package static let streamBytes = 256 << 10
        /// Beyond this even answers do not fit: the peer reads nothing and the link is cut.
        package static let linkBytesMost = 32 << 20
        /// Calls that wait while one virtual actor is activated or released.
        package static let waitingCalls = 1024
        /// Times a call is sent on without news of a higher epoch, before it waits `settleInterval`.
        package static let redirects = 2
        /// Between two looks at an owner that is being judged.
        package static let settleInterval = Duration.milliseconds(100)
        package static let activation = Duration.seconds(10)
        package static let storeCall = Duration.seconds(3)
        /// Between questions to a store that did not answer at the start.
        package static let storePause = Duration.milliseconds(500)
        /// Calls that still run in an actor that is let go.
        package static let quiet = Duration.seconds(2)
        /// A capacity token, from the look at the ledger to the activated actor.
        package static let token = Duration.seconds(30)
        /// Capacity units of a node unless it says otherwise.
        package static let units = 10_000
        /// Compare-and-set attempts before the claim, or the set of voters, counts as contended.
        package static let claimAttempts = 4
        package static let voterAttempts = 16
        /// One question to one voter.
        package static let voteCall = Duration.milliseconds(500)
        /// Moves away from one node at once, and how long one may take unless told.
        package static let movesAtOnce = 16
        package static let move = Duration.seconds(10)
        /// Claims in one transaction.
        package static let claimBatch = 64
        /// Claims of the dead that are dealt out at a time, hosts each is offered to, and one batch's call.
        package static let orphansAtOnce = 512
        package static let revivalAttempts = 4
        package static let revivalCall = Duration.seconds(15)
        /// Activations under way at once for one batch.
        package static let activationsAtOnce = 16
        /// Between two looks for claims of the dead.
        package static let sweep = Duration.seconds(5)
        /// Locations of virtual actors that are remembered.
        package static let knownLocations = 16_384
        /// Connections that have not shown who they are yet.
        package static let strangers = 64
        package static let handshake = Duration.seconds(3)
        package static let connect = Duration.seconds(2)
        package static let redialShortest = Duration.milliseconds(50)
        package static let redialLongest = Duration.seconds(2)
        /// Clients that are no members, connected at once.
        package static let operators = 16
        /// The same notice for the same peer is told once in this time.
        package static let noticeInterval = Duration.seconds(60)
        package static let noticeCauses = 512
        /// Actors under well-known names.
        package static let services = 64
        /// Between two attempts to register a new life after being declared down.
        /// How long a link has to answer when another one claims its name in a later life, and frames kept of that one meanwhile.
        package static let trial = Duration.milliseconds(300)
        package static let trialFrames = 64
        /// How long after the news that a node takes its leave its link may take to say so itself.
        package static let farewell = Duration.seconds(1)
        /// A link that was replaced ends when its calls have, at the earliest and at the latest after so long.
        package static let retireShortest = Duration.seconds(1)
        package static let retireLongest = Duration.seconds(10)
        /// Between two links made anew with new certificates, where the first does not come.
        package static let renewal = Duration.seconds(5)
        /// How much longer than two renewals a node watches whether its row is kept alive by another process.
        package static let rivalMargin = Duration.milliseconds(50)
        package static let rejoinShortest = Duration.milliseconds(100)
        package static let rejoinLongest = Duration.seconds(2)
        /// Between two looks of a client whether it is connected.
        package static let connectedLook = Duration.milliseconds(10)
        package static let leaseRenewal = Duration.milliseconds(250)
        /// Between two looks at who votes; whoever judges another life looks as well.
        package static let votersLook = Duration.seconds(1)
        /// A row that stands still for so long (margin included), of a node that does not answer, is of a dead one.
        package static let leaseTime = Duration.milliseconds(1250)
    }
    package static let protocolVersions: ClosedRange<UInt32> = 1...1
    /// What this release can beyond its protocol version; a link uses what both ends name.
    package static let allCapabilities: Set<String> = ["chunks", "clock", "membership", "renew"]

    package enum Kind: Sendable {
        case node
        /// A client with an operator's certificate: dials `seeds`, listens nowhere, is no member, claims nothing.
        case `operator`
    }
    package var kind = Kind.node
    /// Narrower where a node is made to speak like an older release.
    package var versions = ClusterConfiguration.protocolVersions
    package var capabilities = ClusterConfiguration.allCapabilities
    /// For an operator, the name in its certificate without the prefix `operator:`.
    package var name: NodeName
    /// What the node may host; compared with the roles of `ClusterSystem.virtual`.
    package var roles: Set<String>
    package var region: String?
    /// How much the node takes beside others.
    package var capacity = 1.0
    /// Small facts told to every member; `Member.Limits` bounds them.
    package var tags: [String: String] = [:]
    /// Where links of other nodes arrive; nil where nobody else is (a single node, a test).
    package var bind: SocketAddress?
    /// Every other node of the topology, by the address of its links. Of two nodes, the one with the smaller name dials.
    package var peers: [NodeName: SocketAddress]
    /// Members of any name by whose links this node learns the others while it knows nobody.
    package var seeds: [SocketAddress] = []
    /// Where others reach this node's links; nil: where it listens, if that is one address.
    package var advertised: SocketAddress?
    /// Lets nodes join that the topology does not name: a certificate of the cluster's CA and a name of their own suffice.
    package var allowUnlisted = false
    /// Needed as soon as there are peers.
    package var tls: TLSIdentity?
    package var timing = Membership.Timing()
    package var leaseTime = Limits.leaseTime
    package var leaseRenewal = Limits.leaseRenewal
    /// How long each question to the store is repeated while the node starts; then the start fails.
    package var storePatience = Duration.zero
    /// What this node may hold at once, in the units of `VirtualKind.cost`.
    package var units = Limits.units
    /// Everything is on but where the simulator is tested.
    package var protections = Protections.all

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
    /// Another process keeps this node's row in the store alive.
    case nameTaken(NodeName)
    /// A fact about this node is too large.
    case unfit(String)
    /// Another life of this node registered meanwhile and actors with the smaller incarnation exist already.
    case actorsBeforeStart
    package var description: String {
        switch self {
        case .noIdentity: "the topology names other nodes, but no certificate for links is given; make them with `troupe keys`"
        case .tls(let error): "\(error)"
        case .network(let error): "cluster port: \(error)"
        case .store(let text): "the store does not answer, and a node cannot join without it: \(text)"
        case .nameTaken(let name): "another process named \(name) is running; stop it, or give this one another name"
        case .unfit(let text): text
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
    case refused(SocketAddress, LinkRefusal)
    /// A peer did not let us in, or put us out.
    case refusedBy(SocketAddress, LinkRefusal)
    /// Another process with this node's name is a member.
    case rival(Member)
    /// The others declared this node down; it comes back under a new incarnation.
    case condemned(by: [NodeName])
    case rejoined(Incarnation)
    /// Whom (a node's name or a seed's address), and why.
    case dialFailed(String, String)
    /// The peer's wall clock minus ours.
    case clockOff(NodeName, Duration)
    case answersNoCalls(NodeName)
    case operatorUp(String, SocketAddress)
    case operatorDown(String, String)
    case storeAway(String)
    case storeBack
    /// Another life of this node has registered, or others have declared this one over: it may claim nothing any more.
    case superseded
    /// This node has had another one's life declared over.
    case retired(NodeName, Incarnation)
    /// It reaches neither the store nor a majority, and decides nothing until it does.
    case frozen
    case thawed
    case claimLost(kind: String, key: String)
    case activationFailed(kind: String, key: String, String)
    package var description: String {
        switch self {
        case .linkUp(let node, let address): "link to \(node) (\(address))"
        case .linkDown(let node, let why): "link to \(node) ended: \(why)"
        case .refused(let address, let why): "\(address) refused: \(why)"
        case .refusedBy(let address, let why): "\(address) refuses us: \(why)"
        case .rival(let member): "another process runs as \(member.name), incarnation \(member.incarnation.rawValue): stop one of them"
        case .condemned(let by): "declared down by \(by.map(\.rawValue).joined(separator: ", ")); rejoining under a new incarnation"
        case .rejoined(let incarnation): "back under incarnation \(incarnation.rawValue)"
        case .dialFailed(let node, let why): "no link to \(node) yet: \(why)"
        case .answersNoCalls(let node): "\(node) answers pings and no calls: it gets no new work here, and is given up once most members say so"
        case .clockOff(let node, let offset): "the clock of \(node) is \(offset) from ours: set one of them right (NTP); nothing here depends on it"
        case .operatorUp(let name, let address): "\(name) connected from \(address)"
        case .operatorDown(let name, let why): "\(name) disconnected: \(why)"
        case .storeAway(let text): "store away: \(text)"
        case .storeBack: "store back"
        case .superseded: "this life of the node was replaced or declared over; it claims nothing any more"
        case .retired(let node, let incarnation): "\(node)/\(incarnation.rawValue) is declared dead; its claims are free"
        case .frozen: "neither the store nor a majority answers: deciding nothing until one does"
        case .thawed: "deciding again"
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
    package var refusedByPeers: UInt64 = 0
    package var noticesSuppressed: UInt64 = 0
    package var membersDown: UInt64 = 0
    package var suspicions: UInt64 = 0
    package var condemned: UInt64 = 0
    package var operatorCallsRefused: UInt64 = 0
    /// Calls refused because a queue to the peer was full; calls of peers refused because too many were being executed.
    package var callsShed: UInt64 = 0
    package var peerCallsShed: UInt64 = 0
    package var clocksOff: UInt64 = 0
    package var tokensRefused: UInt64 = 0
    package var moves: UInt64 = 0
    package var revived: UInt64 = 0
    package var freezes: UInt64 = 0
    /// Times a peer was told of because it answered pings and no call.
    package var complaints: UInt64 = 0
    /// Actors let go while calls still ran in them, after `Limits.quiet`.
    package var endedBusy: UInt64 = 0
    package init() {}
}
