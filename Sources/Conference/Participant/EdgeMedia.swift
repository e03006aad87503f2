// A participant's PeerConnection at its edge: the negotiation, the Router it belongs to, and what was agreed so far.
import Contracts
import Forwarding
import Primitives
import Transport
import WebRTC

/// State of one PeerConnection; owned by its `Participant`. Changes happen in the order the queue gives.
struct EdgeMedia {
    let router: Router
    let transport: TransportIndex
    var negotiation: Negotiation
    /// Publications by the mid they arrive on.
    var inbound: [String: TrackID] = [:]
    /// What this client is to receive: asked for, and forwarded once its answer accepted it.
    var subscriptions: [TrackID: Subscription] = [:]
    var remote: RemoteTransport?

    struct Subscription {
        var publication: Publication
        var mid: String?
        var forwarding = false
    }
}

/// What a media loop tells a participant about its peer.
enum PeerNotice: Sendable {
    case connected
    case closed(String)
}
