// One WebRTC peer at a media loop: its session, its addresses, its keys.
import CShims
import EventLoop
import Forwarding
import Primitives
import WebRTC

package enum PeerEvent: Equatable, Sendable {
    /// The handshake is done: media flows.
    case connected(SRTPProfile)
    /// Everything goes there from now on: at first, and after the peer moved.
    case selected(SocketAddress)
    /// The session has ended; `removePeer` frees what is left.
    case closed(CloseReason)
}

/// Confined to its media loop. The packet path sees only its `TransportSlot`.
final class PeerTransport {
    enum Limits {
        /// Local user name fragments of one peer: the first and those of ICE restarts still in flight.
        static let fragments = 4
    }
    let index: TransportIndex
    let session: PeerSession
    /// The socket it sends by: the media loop's, or one of its own (a client).
    let socket: DatagramSocket
    var ownWatch: (any DatagramWatch)?
    var onEvent: ((PeerEvent) -> Void)?
    var fragments: [String] = []
    /// Addresses this peer owns in the loop's table.
    var addresses: [SocketAddress] = []
    var selected: SocketAddress?
    var sender: SRTPSender?
    var receiver: SRTPReceiver?
    /// Told after the outputs of one input have all been carried out.
    var events: [PeerEvent] = []
    var isPumping = false

    init(index: TransportIndex, session: PeerSession, socket: DatagramSocket, onEvent: @escaping (PeerEvent) -> Void) {
        self.index = index
        self.session = session
        self.socket = socket
        self.onEvent = onEvent
    }
}
