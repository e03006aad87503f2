// Packets of one SSRC in sequence order, made into frames; what is incomplete is left out and said.
import Primitives
import RTP

/// One frame of a stream.
package struct CapturedFrame {
    package var codec: Codec
    package var data: [UInt8]
    package var isKey: Bool
    package var configuration: CodecConfiguration?
    /// Extended RTP timestamp.
    package var timestamp: UInt64
    /// RTP units; audio only.
    package var duration: UInt32?
    /// Of its first packet, µs.
    package var receivedAt: Int64
    /// Something is missing between this frame and the one before.
    package var followsLoss: Bool
    /// Clockwise, in degrees, where the sender said it (3GPP TS 26.114 §7.4.5).
    package var rotation: Int?
    package var audioLevel: AudioLevel?
}

/// Groups packets by timestamp. A frame counts only when every packet from its first to its last is there.
package struct FrameAssembler {
    private var depacketiser: Depacketiser
    private let extensions: ExtensionMap
    /// A later offer may add some.
    package var payloadTypes: [UInt8: Codec]
    private var group: [UnsafeRawBufferPointer] = []
    private var groupHead: CapturedPacket?
    private var groupBeginsWell = false
    private var groupIsBroken = false
    private var groupRotation: Int?
    private var groupLevel: AudioLevel?
    private var last: (sequence: UInt64, timestamp: UInt64, endedFrame: Bool)?
    private var lossBefore = false
    /// Frames left out, by reason.
    package private(set) var incomplete = 0
    package private(set) var malformed = 0
    private var ready: [CapturedFrame] = []

    package init(codec: Codec, payloadTypes: [UInt8: Codec], extensions: ExtensionMap) {
        depacketiser = Depacketiser(codec: codec)
        self.payloadTypes = payloadTypes
        self.extensions = extensions
    }
    package var codec: Codec { depacketiser.codec }
    /// Receive time (µs) of the oldest packet of the unfinished frame; nil where there is none.
    private(set) var oldestHeld: Int64?

    /// Takes the next packet in sequence order. Frames that became complete wait in `takeFrame`.
    package mutating func add(_ packet: CapturedPacket) {
        guard let rtp = try? RTPHeader(packet.bytes), let codec = payloadTypes[rtp.payloadType] else { return }
        let isNext = last.map { packet.sequence == $0.sequence + 1 } ?? false
        if !isNext {
            if groupHead?.timestamp == packet.timestamp { groupIsBroken = true } else { endGroup(isWhole: false) }
            if last != nil { lossBefore = true }
        } else if packet.timestamp != last?.timestamp {
            endGroup(isWhole: true)
        }
        if codec != depacketiser.codec {
            endGroup(isWhole: false)
            depacketiser = Depacketiser(codec: codec)
        }
        let previous = isNext ? last : nil
        last = (packet.sequence, packet.timestamp, false)
        let payload = rtp.payload
        guard !payload.isEmpty else {   // padding, sent as a probe: it only keeps the count
            if group.isEmpty { last?.endedFrame = previous?.endedFrame ?? false }
            return
        }
        if groupHead == nil { begin(packet, payload, after: previous) }
        guard group.count < FrameLimits.packets else { groupIsBroken = true; return }
        group.append(payload)
        oldestHeld = min(oldestHeld ?? .max, packet.receivedAt)
        readExtensions(rtp)
        if codec.kind == .audio || rtp.marker {
            endGroup(isWhole: true)
            last?.endedFrame = true
        }
    }
    /// Ends the last group: nothing follows any more.
    package mutating func finish() { endGroup(isWhole: false) }
    package mutating func takeFrame() -> CapturedFrame? { ready.isEmpty ? nil : ready.removeFirst() }

    private mutating func begin(_ packet: CapturedPacket, _ payload: UnsafeRawBufferPointer, after previous: (sequence: UInt64, timestamp: UInt64, endedFrame: Bool)?) {
        groupHead = packet
        groupIsBroken = false
        groupRotation = nil
        groupLevel = nil
        // The packet before ended its frame, or belongs to another; or the descriptor says that a frame begins.
        groupBeginsWell = codec.kind == .audio || previous.map { $0.endedFrame || $0.timestamp != packet.timestamp } ?? false
            || Depacketiser.mayBegin(codec, payload)
    }
    private mutating func endGroup(isWhole: Bool) {
        guard let head = groupHead else { return }
        defer { groupHead = nil; oldestHeld = nil; group.removeAll(keepingCapacity: true) }
        guard isWhole, groupBeginsWell, !groupIsBroken else { incomplete += 1; lossBefore = true; return }
        do throws(FrameError) {
            let body = try depacketiser.frame(group)
            ready.append(CapturedFrame(
                codec: codec, data: body.data, isKey: body.isKey, configuration: body.configuration, timestamp: head.timestamp,
                duration: body.duration, receivedAt: head.receivedAt, followsLoss: lossBefore, rotation: groupRotation, audioLevel: groupLevel))
            lossBefore = false
        } catch {
            malformed += 1
            lossBefore = true
        }
    }
    private mutating func readExtensions(_ rtp: RTPHeader) {
        if codec.kind == .audio {
            groupLevel = rtp.extensionElement(id: extensions.id(of: .audioLevel)).flatMap(AudioLevel.init)
        } else if let orientation = rtp.extensionElement(id: extensions.id(of: .videoOrientation))?.first {
            groupRotation = Int(orientation & 0x03) * 90
        }
    }
}
