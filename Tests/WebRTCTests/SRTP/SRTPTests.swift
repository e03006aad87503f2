// Sender to receiver, and everything a receiver must refuse.
import Primitives
import Testing
@testable import WebRTC

@Suite struct SRTPTests {
    struct Pair {
        let sender: SRTPSender, receiver: SRTPReceiver, stream: Int32
        var random = SplitMix64(seed: 5)
        init(_ profile: SRTPProfile, maxStreams: Int = 8) throws {
            let key = masterKey(profile, seed: 31)
            sender = try SRTPSender(profile: profile, keyAndSalt: key)
            receiver = try SRTPReceiver(profile: profile, keyAndSalt: key, maxStreams: maxStreams)
            stream = sender.register(ssrc: 1)
        }
        mutating func packet(_ sequence: UInt16, ssrc: UInt32 = 1) -> TestPacket { TestPacket(sequence: sequence, ssrc: ssrc, payloadLength: 100, random: &random) }
        func unprotect(_ wire: [UInt8]) -> (Int, [UInt8]) { receiver.opened(wire) }
    }

    @Test(arguments: SRTPProfile.allCases)
    func deliversOnceThroughTheWrap(profile: SRTPProfile) throws {
        var pair = try Pair(profile)
        for index in UInt64(65_500)..<66_100 {
            // Every tenth pair arrives swapped.
            let sequence = UInt16(truncatingIfNeeded: index % 20 == 0 ? index + 1 : index % 20 == 1 ? index - 1 : index)
            let packet = pair.packet(sequence)
            let wire = try #require(packet.protect(pair.sender, stream: pair.stream, prefix: 2))
            let (length, plain) = pair.unprotect(wire)
            #expect(length == packet.header.count + 100 && plain == packet.header + packet.payload, "index \(index)")
            #expect(pair.unprotect(wire).0 == SRTPDrop.replayed.rawValue)
        }
    }
    @Test(arguments: SRTPProfile.allCases)
    func refusesWhatIsChangedOldOrForeign(profile: SRTPProfile) throws {
        var pair = try Pair(profile)
        let wire = try #require(pair.packet(1).protect(pair.sender, stream: pair.stream, prefix: 0))
        for i in [1, 2, 8, 12, 40, wire.count - 1] {
            var changed = wire
            changed[i] ^= 0x40
            #expect(pair.unprotect(changed).0 < 0, "byte \(i)")
        }
        #expect(pair.unprotect(wire).0 == 112, "the forgeries left no trace")
        let far = try #require(pair.packet(5000).protect(pair.sender, stream: pair.stream, prefix: 0))
        #expect(pair.unprotect(far).0 == 112)
        let old = try #require(pair.packet(3900).protect(pair.sender, stream: pair.stream, prefix: 0))
        #expect(pair.unprotect(old).0 == SRTPDrop.tooOld.rawValue)
        let late = try #require(pair.packet(4100).protect(pair.sender, stream: pair.stream, prefix: 0))
        #expect(pair.unprotect(late).0 == 112)
        let other = try SRTPReceiver(profile: profile, keyAndSalt: masterKey(profile, seed: 99))
        #expect(other.opened(late).length == SRTPDrop.notAuthentic.rawValue)
    }
    /// Every length of garbage, and headers that point beyond the packet.
    @Test(arguments: SRTPProfile.allCases)
    func refusesGarbage(profile: SRTPProfile) throws {
        let pair = try Pair(profile)
        let random = SeededRandom(seed: 41)
        for length in 0..<200 {
            var bytes = random.bytes(length)
            if length > 0 { bytes[0] = bytes[0] & 0x3F | 0x80 }
            #expect(pair.receiver.opened(bytes).length < 0, "RTP of \(length)")
            #expect(pair.receiver.openedRTCP(bytes).length < 0, "RTCP of \(length)")
        }
        let pointing = hex("9f600001 00000000 00000001") + Array(repeating: UInt8(0xFF), count: 64)
        #expect(pair.receiver.opened(pointing).length < 0)
        #expect(pair.receiver.opened(pointing, claiming: 70_000).length == SRTPDrop.malformed.rawValue)
    }
    @Test func boundsTheStreamsOfAPeer() throws {
        var pair = try Pair(.aeadAES128GCM, maxStreams: 4)
        for ssrc in UInt32(1)...6 {
            let stream = pair.sender.register(ssrc: ssrc)
            let wire = try #require(pair.packet(9, ssrc: ssrc).protect(pair.sender, stream: stream, prefix: 0))
            #expect(pair.unprotect(wire).0 == (ssrc <= 4 ? 112 : SRTPDrop.tooManyStreams.rawValue))
        }
        let known = try #require(pair.packet(10, ssrc: 2).protect(pair.sender, stream: pair.sender.register(ssrc: 2), prefix: 0))
        #expect(pair.unprotect(known).0 == 112, "those it knows go on")
    }
    @Test(arguments: SRTPProfile.allCases)
    func rtcpGoesThroughOnce(profile: SRTPProfile) throws {
        let pair = try Pair(profile)
        let packet = hex("81c90007 00000001") + Array(repeating: UInt8(3), count: 24)
        for _ in 0..<3 {
            let wire = pair.sender.sealedRTCP(packet).bytes
            #expect(pair.receiver.openedRTCP(wire).bytes == packet)
            #expect(pair.receiver.openedRTCP(wire).length == SRTPDrop.replayed.rawValue)
        }
    }
    @Test func theSenderRefusesWhatDoesNotFit() throws {
        let sender = try SRTPSender(profile: .aeadAES128GCM, keyAndSalt: masterKey(.aeadAES128GCM, seed: 1))
        let stream = sender.register(ssrc: 5)
        var wire = hex("80600001 00000000 00000005") + [UInt8](repeating: 0, count: 30)
        let payload: [UInt8] = [1, 2, 3]
        func protect(_ stream: Int32, header: Int = 12, prefix: Int = 0, length: Int = 3, capacity: Int = 42) -> Int {
            sender.protect(stream: stream, wire: &wire, headerLength: header, prefixLength: prefix, payload: payload, payloadLength: length, capacity: capacity)
        }
        for handle in [-1, 8, 1, Int32.max] { #expect(protect(handle) == SRTPSender.refused) }
        #expect(protect(stream, header: 11) == SRTPSender.refused)
        #expect(protect(stream, prefix: -1) == SRTPSender.refused)
        #expect(protect(stream, capacity: 30) == SRTPSender.refused)
        #expect(protect(stream, capacity: 31) == 31)
        wire[11] = 6
        #expect(protect(stream) == SRTPSender.refused, "a packet of another SSRC than the handle's")
        sender.release(stream: stream)
        wire[11] = 5
        #expect(protect(stream) == SRTPSender.refused)
        let packet = Array(wire.prefix(8))
        #expect(sender.sealedRTCP(Array(packet.prefix(7))).length == SRTPSender.refused)
        #expect(sender.sealedRTCP(packet, capacity: 27).length == SRTPSender.refused)
        #expect(sender.sealedRTCP(packet, capacity: 28).length == 28)
    }
    @Test func rtcpEndsWithItsKeys() throws {
        let keys = SRTPVectorTests.galliaKeys
        let sender = try SRTPSender(profile: .aeadAES128GCM, sessionKeys: keys, firstRTCPIndex: 0x7FFF_FFFF)
        let packet = [UInt8](repeating: 0, count: 8)
        #expect(sender.sealedRTCP(packet).length == 28)
        #expect(sender.sealedRTCP(packet).length == SRTPSender.refused)
    }
    @Test func handlesStayWhileTheTableGrows() throws {
        let sender = try SRTPSender(profile: .aes128CMSHA1_80, keyAndSalt: masterKey(.aes128CMSHA1_80, seed: 1))
        let handles = (0..<1000).map { sender.register(ssrc: UInt32($0)) }
        #expect(Set(handles).count == 1000 && handles.allSatisfy { $0 >= 0 })
        #expect(sender.register(ssrc: 500) == handles[500])
        sender.release(stream: handles[500])
        #expect(sender.register(ssrc: 5000) == handles[500])
    }
    @Test func setsOfSSRCsHoldTheirBound() {
        let set = SSRCSet(capacity: 100)
        var random = SplitMix64(seed: 2)
        let many = (0..<300).map { _ in UInt32(truncatingIfNeeded: random.next()) }
        for ssrc in many { if set.admits(ssrc) { set.insert(ssrc) } }
        #expect(set.count == 100)
        #expect(many.prefix(100).allSatisfy(set.admits) && !many.dropFirst(100).contains(where: set.admits))
    }
}
