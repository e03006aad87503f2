// One WebSocket (RFC 6455): joins pieces to messages, queues what goes out, closes with a code.
internal import CWebSockets
internal import EventLoop
internal import Primitives

/// Confined to the server's loop. Text only.
final class WebSocketConnection: @unchecked Sendable {
    enum Limits {
        static let closeTime = Duration.seconds(3)      // to take what was sent before the close, then the connection is cut
        static let reasonBytes = 123                    // RFC 6455 section 5.5
        static let messagesPerTurn = 32
    }
    let remote: SocketAddress
    /// A whole message.
    var onMessage: (([UInt8]) -> Void)?
    /// Once, last.
    var onClosed: (() -> Void)?
    private unowned let server: WebServer
    private var wsi: OpaquePointer?
    private var incoming: [UInt8] = []
    private var outgoing: [[UInt8]] = []
    private var outgoingHead = 0
    private(set) var queuedBytes = 0
    private var closing: (code: UInt16, reason: [UInt8])?
    private var isCloseSent = false
    private var timer: TimerToken?

    init(wsi: OpaquePointer, remote: SocketAddress, server: WebServer) {
        self.wsi = wsi
        self.remote = remote
        self.server = server
    }
    var isOpen: Bool { wsi != nil && closing == nil }

    // MARK: Outwards

    /// - Returns: false when more would wait than the bound allows; the message was not taken.
    func send(_ text: [UInt8]) -> Bool {
        guard isOpen, let wsi else { return true }
        guard queuedBytes + text.count <= server.limits.sendQueueBytes else { return false }
        outgoing.append(text)
        queuedBytes += text.count
        lws_callback_on_writable(wsi)
        return true
    }
    /// Closes after what was sent has left, or after `Limits.closeTime`. The first call counts.
    func close(code: UInt16, reason: String) {
        guard isOpen, let wsi else { return }
        closing = (code, Array(reason.utf8.prefix(Limits.reasonBytes)))
        lws_callback_on_writable(wsi)
        timer = server.loop.schedule(after: Limits.closeTime) { [weak self] in
            guard let self, let wsi = self.wsi else { return }
            self.server.kill(wsi)
        }
    }
    func writable() -> Int32 {
        guard let wsi else { return -1 }
        var budget = Limits.messagesPerTurn
        while outgoingHead < outgoing.count, budget > 0, lws_partial_buffered(wsi) == 0, lws_send_pipe_choked(wsi) == 0 {
            let text = outgoing[outgoingHead]
            outgoingHead += 1
            budget -= 1
            queuedBytes -= text.count
            guard WebServer.write(wsi, text[...], LWS_WRITE_TEXT) else { return -1 }
            server.counters.webSocketMessagesOut += 1
        }
        if outgoingHead == outgoing.count {
            outgoing.removeAll(keepingCapacity: outgoing.capacity <= 64)
            outgoingHead = 0
        } else if outgoingHead >= 64 {
            outgoing.removeSubrange(..<outgoingHead)
            outgoingHead = 0
        }
        if !outgoing.isEmpty || lws_partial_buffered(wsi) != 0 {
            lws_callback_on_writable(wsi)
            return 0
        }
        if closing != nil { server.loop.post { self.sendClose() } }
        return 0
    }
    /// Begins the closing handshake (RFC 6455 section 7.1.2) outside the library's callbacks: a callback that asks to close is
    /// obeyed twice in this build, and the second time cuts the connection before the close frame is sent.
    private func sendClose() {
        guard let wsi, var closing, !isCloseSent else { return }
        isCloseSent = true
        lws_close_reason(wsi, lws_close_status(rawValue: UInt32(closing.code)), &closing.reason, closing.reason.count)
        lws_set_timeout(wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC)
    }

    // MARK: Inwards

    func receive(_ bytes: UnsafeRawBufferPointer) {
        guard isOpen, let wsi else { return }
        guard lws_frame_is_binary(wsi) == 0 else { return close(code: 1003, reason: "send text frames") }
        guard incoming.count + bytes.count <= server.limits.frameBytes else {
            incoming = []
            return close(code: 1009, reason: "a message may have at most \(server.limits.frameBytes) bytes")
        }
        incoming.append(contentsOf: bytes)
        guard lws_is_final_fragment(wsi) != 0, lws_remaining_packet_payload(wsi) == 0 else { return }
        let message = incoming
        incoming = []
        server.counters.webSocketMessagesIn += 1
        onMessage?(message)
    }
    func ended() {
        guard wsi != nil else { return }
        wsi = nil
        timer?.cancel()
        timer = nil
        outgoing = []
        let closed = onClosed
        onClosed = nil
        onMessage = nil
        closed?()
    }
}
