// Byte equality of our sender with libsrtp2, for both profiles, all header shapes and through rollover.
import CSRTP
import Primitives
import Testing
@testable import WebRTC

/// libsrtp2 as a sender.
final class LibraryCipher {
    private let session: srtp_t
    init(profile: SRTPProfile, keyAndSalt: [UInt8]) throws {
        _ = try LibrarySRTPReceiver(profile: profile, keyAndSalt: keyAndSalt) // initialises the library
        var policy = LibrarySRTPReceiver.policy(profile), key = keyAndSalt, created: srtp_t?
        let status = key.withUnsafeMutableBufferPointer {
            policy.ssrc.type = ssrc_any_outbound
            policy.key = $0.baseAddress
            policy.window_size = 1024
            policy.allow_repeat_tx = 1
            return srtp_create(&created, &policy)
        }
        try #require(status == srtp_err_status_ok)
        session = try #require(created)
    }
    deinit { srtp_dealloc(session) }
    func protect(_ packet: [UInt8]) -> [UInt8]? {
        var wire = packet + [UInt8](repeating: 0, count: 32), length = Int32(packet.count)
        guard srtp_protect(session, &wire, &length) == srtp_err_status_ok else { return nil }
        return Array(wire.prefix(Int(length)))
    }
    func protectRTCP(_ packet: [UInt8]) -> [UInt8]? {
        var wire = packet + [UInt8](repeating: 0, count: 32), length = Int32(packet.count)
        guard srtp_protect_rtcp(session, &wire, &length) == srtp_err_status_ok else { return nil }
        return Array(wire.prefix(Int(length)))
    }
}

struct TestPacket {
    var header: [UInt8]
    var payload: [UInt8]
    init(sequence: UInt16, ssrc: UInt32, payloadLength: Int, csrcs: Int = 0, extensionWords: Int? = nil, random: inout SplitMix64) {
        var writer = ByteWriter()
        writer.u8(0x80 | UInt8(csrcs) | (extensionWords == nil ? 0 : 0x10))
        writer.u8(96)
        writer.u16(sequence)
        writer.u32(UInt32(truncatingIfNeeded: random.next()))
        writer.u32(ssrc)
        for i in 0..<csrcs { writer.u32(UInt32(i)) }
        if let words = extensionWords {
            writer.u16(0xBEDE)
            writer.u16(UInt16(words))
            for _ in 0..<words { writer.u32(UInt32(truncatingIfNeeded: random.next())) }
        }
        header = writer.bytes
        payload = (0..<payloadLength).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
    func protect(_ sender: SRTPSender, stream: Int32, prefix: Int) -> [UInt8]? {
        var wire = header + payload.prefix(prefix) + [UInt8](repeating: 0, count: payload.count - prefix + 16)
        let rest = Array(payload.dropFirst(prefix))
        let length = wire.withUnsafeMutableBytes { wire in
            rest.withBytes { sender.protect(stream: stream, wire: wire.baseAddress!, headerLength: header.count, prefixLength: prefix, payload: $0.baseAddress, payloadLength: $0.count, capacity: wire.count) }
        }
        return length < 0 ? nil : Array(wire.prefix(length))
    }
}

func masterKey(_ profile: SRTPProfile, seed: UInt64) -> [UInt8] {
    SeededRandom(seed: seed).bytes(profile.keyLength + profile.saltLength)
}

@Suite struct SRTPOracleTests {
    @Test(arguments: SRTPProfile.allCases)
    func everyShapeIsTheSame(profile: SRTPProfile) throws {
        var random = SplitMix64(seed: 11)
        let key = masterKey(profile, seed: 12)
        let sender = try SRTPSender(profile: profile, keyAndSalt: key), library = try LibraryCipher(profile: profile, keyAndSalt: key)
        let stream = sender.register(ssrc: 0xDEAD_BEEF)
        var sequence: UInt16 = 100
        for length in [0, 1, 15, 16, 17, 31, 160, 1000, 1200, 1400] {
            for (csrcs, words) in [(0, nil), (15, nil), (0, 0), (0, 3), (2, 9)] as [(Int, Int?)] {
                let packet = TestPacket(sequence: sequence, ssrc: 0xDEAD_BEEF, payloadLength: length, csrcs: csrcs, extensionWords: words, random: &random)
                let prefix = length == 0 ? 0 : Int(random.next() % UInt64(min(length, 40) + 1))
                #expect(packet.protect(sender, stream: stream, prefix: prefix) == library.protect(packet.header + packet.payload), "\(length) bytes, prefix \(prefix), \(csrcs) CSRCs, extension \(words ?? -1)")
                sequence += 1
            }
        }
    }

    /// Both ways round the wrap, with gaps and late packets, from every awkward start.
    @Test(arguments: SRTPProfile.allCases, [0, 1, 32767, 32768, 65534, 65535] as [UInt16])
    func rolloverIsTheSame(profile: SRTPProfile, start: UInt16) throws {
        var random = SplitMix64(seed: UInt64(start))
        let key = masterKey(profile, seed: 3)
        let sender = try SRTPSender(profile: profile, keyAndSalt: key), library = try LibraryCipher(profile: profile, keyAndSalt: key)
        let stream = sender.register(ssrc: 7)
        var index = UInt64(start)
        for step in 0..<600 {
            // Mostly forward by one, now and then a gap of thousands; a late one from up to 50 back.
            index += random.next() % 20 == 0 ? 1 + random.next() % 9000 : 1
            let late = step > 60 && random.next() % 8 == 0 ? random.next() % 50 : 0
            let packet = TestPacket(sequence: UInt16(truncatingIfNeeded: index - late), ssrc: 7, payloadLength: 40, random: &random)
            #expect(packet.protect(sender, stream: stream, prefix: 3) == library.protect(packet.header + packet.payload), "index \(index) late by \(late)")
        }
        #expect(index > 65_536 + UInt64(start), "the run must wrap: \(index)")
    }

    @Test(arguments: SRTPProfile.allCases)
    func rtcpIsTheSame(profile: SRTPProfile) throws {
        let key = masterKey(profile, seed: 21), random = SeededRandom(seed: 22)
        let sender = try SRTPSender(profile: profile, keyAndSalt: key), library = try LibraryCipher(profile: profile, keyAndSalt: key)
        for words in [1, 2, 6, 12, 300] {
            let packet = hex("80c900") + [UInt8(words & 255)] + hex("01020304") + random.bytes(words * 4 - 4)
            let (length, wire) = sender.sealedRTCP(packet)
            #expect(length == packet.count + profile.rtcpTrailerLength)
            #expect(wire == library.protectRTCP(packet), "\(words) words")
        }
    }

    /// Our receiver and libsrtp2's say the same of every packet: late ones, repeated ones, forged ones, through rollover.
    @Test(arguments: SRTPProfile.allCases, [0, 1, 32767, 32768, 65534, 65535] as [UInt16])
    func receiversAgree(profile: SRTPProfile, start: UInt16) throws {
        var random = SplitMix64(seed: UInt64(start) + 77)
        let key = masterKey(profile, seed: 8)
        let library = try LibraryCipher(profile: profile, keyAndSalt: key)
        let ours = try SRTPReceiver(profile: profile, keyAndSalt: key, maxStreams: 3), theirs = try SRTPReceiver(profile: profile, keyAndSalt: key, maxStreams: 3, engine: .libsrtp2)
        var sent: [[UInt8]] = []
        var index = [UInt64](repeating: UInt64(start), count: 4)
        for step in 0..<900 {
            let stream = Int(random.next() % 4)
            index[stream] += random.next() % 15 == 0 ? 1 + random.next() % 9000 : 1
            let packet = TestPacket(
                sequence: UInt16(truncatingIfNeeded: index[stream]), ssrc: UInt32(stream), payloadLength: Int(random.next() % 60), csrcs: Int(random.next() % 3),
                extensionWords: random.next() % 2 == 0 ? nil : 1, random: &random)
            sent.append(try #require(library.protect(packet.header + packet.payload)))
            // Some are held back and come late, some twice.
            var arrivals: [[UInt8]] = step % 5 == 0 ? [] : [sent.last!]
            if random.next() % 3 == 0 { arrivals.append(sent[Int(random.next() % UInt64(sent.count))]) }
            if random.next() % 9 == 0 {
                var forged = sent.last!
                forged[Int(random.next() % UInt64(forged.count))] ^= 1 << UInt8(random.next() % 8)
                arrivals.append(forged)
            }
            for arrival in arrivals {
                let (mine, plain) = ours.opened(arrival), (length, expected) = theirs.opened(arrival)
                #expect((mine > 0) == (length > 0), "step \(step): \(mine) and \(length)")
                if length > 0 { #expect(plain == expected) }
            }
        }
    }
    @Test(arguments: SRTPProfile.allCases)
    func receiversAgreeOnRTCP(profile: SRTPProfile) throws {
        let key = masterKey(profile, seed: 21), random = SeededRandom(seed: 23)
        let library = try LibraryCipher(profile: profile, keyAndSalt: key)
        let ours = try SRTPReceiver(profile: profile, keyAndSalt: key)
        for words in [1, 2, 6, 12, 300] {
            let packet = hex("80c900") + [UInt8(words & 255)] + hex("01020304") + random.bytes(words * 4 - 4)
            let wire = try #require(library.protectRTCP(packet))
            for i in wire.indices {
                var forged = wire
                forged[i] ^= 0x10
                #expect(ours.openedRTCP(forged).length < 0, "byte \(i)")
            }
            #expect(ours.openedRTCP(wire).bytes == packet)
            #expect(ours.openedRTCP(wire).length == SRTPDrop.replayed.rawValue)
        }
    }
}
