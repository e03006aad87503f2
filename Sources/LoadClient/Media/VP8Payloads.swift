// VP8 frames as RTP payloads (RFC 7741 §4.2): a four-byte descriptor with a 15-bit picture id before each piece.

enum VP8Payloads {
    static let descriptorLength = 4
    enum Limits { static let payloadBytes = 1100 }

    /// One encoded frame in as many payloads as it takes.
    static func packetise(_ frame: [UInt8], pictureID: UInt16) -> [[UInt8]] {
        let room = Limits.payloadBytes - descriptorLength
        return stride(from: 0, to: frame.count, by: room).map { start in
            descriptor(pictureID: pictureID, startsFrame: start == 0) + frame[start..<min(start + room, frame.count)]
        }
    }
    /// X, then S on the frame's first packet; I with M; the picture id.
    static func descriptor(pictureID: UInt16, startsFrame: Bool) -> [UInt8] {
        [startsFrame ? 0x90 : 0x80, 0x80, 0x80 | UInt8(pictureID >> 8 & 0x7F), UInt8(pictureID & 0xFF)]
    }
    /// RFC 6386 §9.1: the inverse key frame bit of the first byte.
    static func isKeyFrame(_ frame: some Collection<UInt8>) -> Bool { frame.first.map { $0 & 1 == 0 } ?? false }

    /// Payloads that look like a frame: descriptor, a frame header a parser believes (640×360), filling.
    static func synthetic(packets: Int, size: Int, pictureID: UInt16, isKeyFrame: Bool) -> [[UInt8]] {
        (0..<packets).map { index in
            var payload = descriptor(pictureID: pictureID, startsFrame: index == 0)
            if index == 0 { payload += isKeyFrame ? [0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01] : [0x11, 0x02, 0x00] }
            payload += repeatElement(0x55, count: max(0, size - payload.count))
            return payload
        }
    }
}
