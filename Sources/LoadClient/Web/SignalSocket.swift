// One WebSocket to a node: whole text messages in and out.
internal import CWebSockets
internal import EventLoop

final class SignalSocket: WebConnection, @unchecked Sendable {
    let opened = OneAnswer<Void>()
    private let onMessage: ([UInt8]) -> Void
    private let onClosed: (String) -> Void
    private var wsi: OpaquePointer?
    private var incoming: [UInt8] = []
    private var outgoing: [[UInt8]] = []
    private var isClosing = false
    private var isAbandoned = false
    private var closeText = ""

    init(checksAddress: String?, onMessage: @escaping ([UInt8]) -> Void, onClosed: @escaping (String) -> Void) {
        self.onMessage = onMessage
        self.onClosed = onClosed
        super.init(checksAddress: checksAddress)
    }
    var isOpen: Bool { wsi != nil && !isClosing }

    func send(_ text: [UInt8]) {
        guard let wsi, !isClosing else { return }
        outgoing.append(text)
        lws_callback_on_writable(wsi)
    }
    /// After what was sent before has left.
    func close() {
        guard let wsi, !isClosing else { return }
        isClosing = true
        lws_callback_on_writable(wsi)
    }
    /// Nobody waits for it any more: it closes as soon as it opens.
    func abandon() {
        isAbandoned = true
        close()
    }
    override func failed(_ reason: String) { opened.answer(.failure(WebError(reason))) }

    override func take(_ wsi: OpaquePointer, _ reason: lws_callback_reasons, _ input: UnsafeMutableRawPointer?, _ length: Int) -> Int32 {
        switch reason {
        case LWS_CALLBACK_CLIENT_ESTABLISHED:
            guard !isAbandoned else { return -1 }
            self.wsi = wsi
            opened.answer(.success(()))
        case LWS_CALLBACK_CLIENT_RECEIVE: receive(wsi, UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length))
        case LWS_CALLBACK_CLIENT_WRITEABLE: return writable(wsi)
        case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: noteClose(UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length))
        case LWS_CALLBACK_CLIENT_CLOSED: ended()
        default: break
        }
        return 0
    }
    private func receive(_ wsi: OpaquePointer, _ piece: UnsafeRawBufferPointer) {
        incoming += piece
        guard lws_is_final_fragment(wsi) != 0, lws_remaining_packet_payload(wsi) == 0 else { return }
        let message = incoming
        incoming = []
        onMessage(message)
    }
    private func writable(_ wsi: OpaquePointer) -> Int32 {
        if !outgoing.isEmpty {
            guard Self.write(wsi, outgoing.removeFirst(), LWS_WRITE_TEXT) else { return -1 }
            if !outgoing.isEmpty || isClosing { lws_callback_on_writable(wsi) }
            return 0
        }
        guard isClosing else { return 0 }
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, nil, 0)
        return -1
    }
    private func noteClose(_ body: UnsafeRawBufferPointer) {
        guard body.count >= 2 else { return }
        closeText = "\(UInt16(body[0]) << 8 | UInt16(body[1])) " + String(decoding: body[2...], as: UTF8.self)
    }
    private func ended() {
        guard wsi != nil else { return }
        wsi = nil
        opened.answer(.failure(WebError("closed: \(closeText)")))
        onClosed(closeText)
    }
}
