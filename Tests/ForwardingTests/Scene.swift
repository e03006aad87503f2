// A router with a publisher and subscribers, packets made by hand, time by hand.
import Primitives
import RTP
@testable import Forwarding

/// One packet as it left the router, joined from its parts.
struct Sent {
    let kind: ForwardedPacket.Kind
    let transport: TransportIndex
    let stream: Int32
    let streamID: UInt32
    let isRecovered: Bool
    let receivedAt: Int64
    let bytes: [UInt8]

    var sequence: UInt16 { UInt16(bytes[2]) << 8 | UInt16(bytes[3]) }
    var timestamp: UInt32 { word(4) }
    var ssrc: UInt32 { word(8) }
    var payloadType: UInt8 { bytes[1] & 0x7F }
    var marker: Bool { bytes[1] & 0x80 != 0 }
    func header<R>(_ body: (RTPHeader) throws -> R) rethrows -> R { try bytes.withUnsafeBytes { try body(RTPHeader($0)) } }
    var payload: [UInt8] { bytes.withUnsafeBytes { raw in (try? RTPHeader(raw)).map { Array($0.payload) } ?? [] } }
    func word(_ at: Int) -> UInt32 { bytes[at..<(at + 4)].reduce(0) { $0 << 8 | UInt32($1) } }
    func extensionValue(_ id: UInt8) -> [UInt8]? {
        bytes.withUnsafeBytes { raw in (try? RTPHeader(raw))?.extensionElement(id: id).map { Array($0) } }
    }
}

/// An RTP packet to be.
struct Packet {
    var payloadType: UInt8 = 96
    var marker = false
    var sequence: UInt16 = 0
    var timestamp: UInt32 = 0
    var ssrc: UInt32 = Scene.publisherSSRC
    var extensions: [(id: UInt8, value: [UInt8])] = []
    var payload: [UInt8] = []
    var padding: UInt8 = 0

    var bytes: [UInt8] {
        var out = [UInt8](repeating: 0, count: 1_600)
        let length = out.withUnsafeMutableBytes { raw -> Int in
            let base = raw.baseAddress!
            var block = ExtensionBlockWriter(to: base + 12, capacity: 400)
            for element in extensions { element.value.withUnsafeBytes { _ = block.append(id: element.id, $0) } }
            let length = 12 + block.finish()
            RTPHeader.write(to: base, payloadType: payloadType, marker: marker, sequence: sequence, timestamp: timestamp, ssrc: ssrc, hasExtensionBlock: length > 12)
            payload.withUnsafeBytes { (base + length).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(base), byteCount: $0.count) }
            return length + payload.count
        }
        out.removeSubrange(length...)
        if padding > 0 {
            out[0] |= 0x20
            out += [UInt8](repeating: 0, count: Int(padding) - 1) + [padding]
        }
        return out
    }

    /// VP8 with a 15-bit picture id, TL0PICIDX and TID (RFC 7741 §4.2).
    static func vp8(
        _ sequence: UInt16, timestamp: UInt32 = 0, key: Bool = false, starts: Bool = true, picture: UInt16 = 0, tl0: UInt8 = 0, tid: UInt8 = 0, sync: Bool = false,
        marker: Bool = true, ssrc: UInt32 = Scene.publisherSSRC, body: [UInt8] = [1, 2, 3]
    ) -> Packet {
        let descriptor: [UInt8] = [0x80 | (starts ? 0x10 : 0), 0xE0, 0x80 | UInt8(picture >> 8), UInt8(truncatingIfNeeded: picture), tl0, tid << 6 | (sync ? 0x20 : 0)]
        return Packet(marker: marker, sequence: sequence, timestamp: timestamp, ssrc: ssrc, payload: descriptor + [key ? 0x10 : 0x11] + body)
    }
    static func opus(_ sequence: UInt16, timestamp: UInt32 = 0, ssrc: UInt32 = Scene.publisherSSRC, body: [UInt8] = [7, 7, 7]) -> Packet {
        Packet(payloadType: 111, sequence: sequence, timestamp: timestamp, ssrc: ssrc, payload: body)
    }
    /// RFC 4588 §4.
    func wrapped(ssrc: UInt32, payloadType: UInt8 = 97, sequence: UInt16) -> Packet {
        var rtx = self
        rtx.ssrc = ssrc
        rtx.payloadType = payloadType
        rtx.sequence = sequence
        rtx.payload = [UInt8(self.sequence >> 8), UInt8(truncatingIfNeeded: self.sequence)] + payload
        return rtx
    }
}

/// Publisher on transport 0; subscribers, pipes and taps on others.
final class Scene {
    static let publisherSSRC: UInt32 = 0x1111
    static let publisherRTX: UInt32 = 0x1112
    let router = RouterCore(configuration: RouterConfiguration(feedbackSSRC: 99, cname: "router"))
    let batch: SendBatch
    var now = Instant(nanoseconds: 1_000_000_000)
    var wall: Int64 = 1_700_000_000_000_000

    init(batch: Int = 64) { self.batch = SendBatch(capacity: batch) }

    func advance(_ duration: Duration) {
        now = now + duration
        wall += duration.inMicroseconds
    }

    // MARK: Tracks

    static let videoCodecs = [PayloadMapping(payloadType: 96, codec: .vp8, rtxPayloadType: 97)]
    static let audioCodecs = [PayloadMapping(payloadType: 111, codec: .opus)]

    func video(transport: TransportIndex = 0, origin: InboundConfiguration.Origin = .peer, mid: String = "1", extensions: ExtensionMap = ExtensionMap(), encodings: [EncodingDescription]? = nil) -> InboundTrack {
        router.addInbound(InboundConfiguration(
            transport: transport, origin: origin, kind: .video, mid: mid, codecs: Self.videoCodecs, extensions: extensions,
            encodings: encodings ?? [EncodingDescription(ssrc: Self.publisherSSRC, rtxSSRC: Self.publisherRTX)]))
    }
    func audio(transport: TransportIndex = 0, mid: String = "0", ssrc: UInt32? = Scene.publisherSSRC, extensions: ExtensionMap = ExtensionMap()) -> InboundTrack {
        router.addInbound(InboundConfiguration(
            transport: transport, kind: .audio, mid: mid, codecs: Self.audioCodecs, extensions: extensions, encodings: [EncodingDescription(ssrc: ssrc)]))
    }
    /// The subscriber's SSRC is 1000 + transport, its RTX SSRC 2000 + transport.
    @discardableResult
    func subscribe(_ track: InboundTrack, transport: TransportIndex, audio: Bool = false, rtx: Bool = true, extensions: ExtensionMap = ExtensionMap(), mid: String = "", ssrc: UInt32? = nil) -> OutboundTrack {
        let hasRTX = rtx && !audio
        return router.addOutbound(of: track, OutboundConfiguration(transport: transport, sink: .peer(PeerSink(
            ssrc: ssrc ?? 1_000 + UInt32(transport), rtxSSRC: hasRTX ? 2_000 + UInt32(transport) : nil, codec: audio ? .opus : .vp8,
            payloadType: audio ? 109 : 120, rtxPayloadType: hasRTX ? 121 : nil, extensions: extensions, mid: mid, cname: "alice", firstSequence: 100))))!
    }

    // MARK: Packets

    @discardableResult
    func receive(_ packet: Packet, from: TransportIndex = 0, pipeStream: UInt32? = nil, isRecovered: Bool = false) -> Disposition {
        var bytes = packet.bytes
        return bytes.withUnsafeMutableBytes {
            router.receiveRTP($0.baseAddress!, length: $0.count, from: from, pipeStream: pipeStream, isRecovered: isRecovered, receivedAt: wall, now: now)
        }
    }
    func receiveRaw(_ bytes: [UInt8], from: TransportIndex = 0, pipeStream: UInt32? = nil) -> Disposition {
        var bytes = bytes
        return bytes.withUnsafeMutableBytes {
            router.receiveRTP($0.baseAddress!, length: $0.count, from: from, pipeStream: pipeStream, receivedAt: wall, now: now)
        }
    }
    func receiveRTCP(from: TransportIndex, pipeStream: UInt32? = nil, _ write: (inout RTCPWriter) -> Void) {
        var buffer = [UInt8](repeating: 0, count: 1_500)
        buffer.withUnsafeMutableBytes { raw in
            var writer = RTCPWriter(raw)
            write(&writer)
            router.receiveRTCP(raw.baseAddress!, length: writer.count, from: from, pipeStream: pipeStream, receivedAt: wall, now: now)
        }
    }

    /// Everything there is to send, through as many batches as it takes.
    func flush() -> [Sent] {
        var out: [Sent] = []
        while true {
            let isDone = router.flush(into: batch, now: now)
            for i in 0..<batch.count { out.append(Self.read(batch.packets[i])) }
            batch.removeAll()
            if isDone { return out }
        }
    }
    /// Media only.
    func media() -> [Sent] { flush().filter { $0.kind != .rtcp && $0.kind != .pipeRTCP && $0.kind != .tapRTCP } }
    /// One packet in, what comes of it.
    func forward(_ packet: Packet) -> [Sent] {
        receive(packet)
        return media()
    }

    static func read(_ packet: ForwardedPacket) -> Sent {
        var bytes = Array(UnsafeRawBufferPointer(start: packet.wire, count: Int(packet.headerLength + packet.prefixLength)))
        if let payload = packet.payload { bytes += Array(UnsafeRawBufferPointer(start: payload, count: Int(packet.payloadLength))) }
        return Sent(kind: packet.kind, transport: packet.transport, stream: packet.stream, streamID: packet.streamID, isRecovered: packet.isRecovered, receivedAt: packet.receivedAt, bytes: bytes)
    }
}

/// What a compound packet says, as values a test can compare.
struct Feedback: Equatable {
    var nacked: [UInt16] = []
    var plis = 0
    var senderReports: [SenderInfo] = []
    var blocks: [ReportBlock] = []
    var cnames: [String] = []

    init(_ packets: [Sent]) {
        for packet in packets where packet.kind == .rtcp || packet.kind == .pipeRTCP || packet.kind == .tapRTCP { read(packet.bytes) }
    }
    private mutating func read(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            var reader = RTCPReader(raw)
            while let packet = try? reader.next() {
                switch packet {
                case .nack(let nack): nacked += Array(nack)
                case .pli: plis += 1
                case .senderReport(let report): senderReports.append(report.info)
                case .receiverReport(let report): blocks += Array(report.blocks)
                case .sdes(let sdes): if let name = sdes.firstCNAME { cnames.append(String(decoding: name.name, as: UTF8.self)) }
                default: break
                }
            }
        }
    }
}
