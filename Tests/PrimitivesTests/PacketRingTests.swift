import Glibc
import Synchronization
import Testing
@testable import Primitives

@Suite struct PacketRingTests {
    private func drain(_ ring: PacketRing, limit: Int = .max) -> [(UInt32, Int64, [UInt8], PacketRing.Kind)] {
        var out: [(UInt32, Int64, [UInt8], PacketRing.Kind)] = []
        ring.drain { entry in
            guard out.count < limit else { return false }
            out.append((entry.tag, entry.receivedAt, Array(entry.bytes), entry.kind))
            return true
        }
        return out
    }
    private func write(_ ring: PacketRing, tag: UInt32 = 1, at: Int64 = 0, _ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { ring.write(tag: tag, kind: .rtp, receivedAt: at, $0) }
    }

    @Test func twoPartsBecomeOnePacket() {
        let ring = PacketRing(capacity: 4096)
        let header: [UInt8] = [1, 2, 3], payload: [UInt8] = [4, 5, 6, 7, 8, 9]
        let written = header.withUnsafeBytes { h in
            payload.withUnsafeBytes { p in
                ring.write(tag: 42, kind: .rtcp, receivedAt: -7, header: h.baseAddress!, headerLength: 3, payload: p.baseAddress!, payloadLength: 6)
            }
        }
        #expect(written)
        let got = drain(ring)
        #expect(got.count == 1 && got[0].0 == 42 && got[0].1 == -7 && got[0].2 == [1, 2, 3, 4, 5, 6, 7, 8, 9] && got[0].3 == .rtcp)
        #expect(ring.isEmpty)
    }

    /// An entry written over a marked one is not marked.
    @Test func theMarkStaysWithItsPacket() {
        let ring = PacketRing(capacity: 4096)
        for round in 0..<300 {
            for mark in [round % 2 == 0, round % 3 == 0] {
                #expect([UInt8](repeating: 7, count: 900).withUnsafeBytes { ring.write(tag: 1, kind: .rtp, isRecovered: mark, receivedAt: 0, $0) })
            }
            var marks: [Bool] = []
            ring.drain { marks.append($0.isRecovered); return true }
            #expect(marks == [round % 2 == 0, round % 3 == 0])
        }
    }

    @Test func aRefusedEntryStaysForTheNextDrain() {
        let ring = PacketRing(capacity: 4096)
        for i in 0..<5 { #expect(write(ring, at: Int64(i), [UInt8(i)])) }
        #expect(drain(ring, limit: 2).map(\.1) == [0, 1])
        #expect(drain(ring).map(\.1) == [2, 3, 4])
    }

    /// Sizes that do not divide the ring, over many times its capacity: order and bytes hold across the seam.
    @Test(arguments: [1, 7, 100, 1187, 2000])
    func wrapsWithoutLosingAByte(size: Int) {
        let ring = PacketRing(capacity: 4096)
        for round in 0..<500 {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &+ round) }
            #expect(write(ring, tag: UInt32(round), at: Int64(round), bytes))
            let got = drain(ring)
            #expect(got.count == 1 && got[0].2 == bytes && got[0].0 == UInt32(round))
        }
        #expect(ring.refused == 0)
    }

    @Test func aFullRingRefusesAndSaysSoOnce() {
        let ring = PacketRing(capacity: 4096)
        var fitted = 0
        while write(ring, at: Int64(fitted), [UInt8](repeating: 0, count: 1000)) { fitted += 1 }
        #expect(fitted == 3 || fitted == 4)
        #expect(!write(ring, at: 100, [UInt8](repeating: 0, count: 1000)))
        #expect(ring.refused == 2)
        #expect(drain(ring).count == fitted)
        #expect(write(ring, at: 101, [1]))
        var overflow: PacketRing.Overflow?
        var packets = 0
        ring.drain { entry in
            if entry.kind == .overflow { overflow = PacketRing.Overflow(entry) } else { packets += 1 }
            return true
        }
        #expect(overflow == PacketRing.Overflow(packets: 2, from: Int64(fitted), to: 100))
        #expect(packets == 1)
    }

    @Test func aPacketLargerThanTheRingOrADatagramIsRefused() {
        let ring = PacketRing(capacity: 4096)
        #expect(!write(ring, [UInt8](repeating: 0, count: 4096)))
        #expect(!write(PacketRing(capacity: 1 << 20), [UInt8](repeating: 0, count: 65_536)))
        #expect(write(PacketRing(capacity: 1 << 20), [UInt8](repeating: 0, count: 65_535)))
    }

    /// Two threads: what was accepted arrives once, in order and whole; what was refused is accounted for.
    @Test func twoThreadsLoseNothingUncounted() {
        let ring = PacketRing(capacity: 16 << 10)
        let total = 200_000
        final class Context: Sendable {
            let ring: PacketRing
            let total: Int
            init(_ ring: PacketRing, _ total: Int) { self.ring = ring; self.total = total }
        }
        let context = Unmanaged.passRetained(Context(ring, total))
        var thread = pthread_t()
        pthread_create(&thread, nil, { argument in
            let context = Unmanaged<Context>.fromOpaque(argument!).takeRetainedValue()
            var bytes = [UInt8](repeating: 0, count: 300)
            for i in 0..<context.total {
                let size = 8 + i % 290
                bytes.withUnsafeMutableBytes { raw in
                    raw.storeBytes(of: UInt64(i), as: UInt64.self)
                    _ = context.ring.write(tag: UInt32(size), kind: .rtp, receivedAt: Int64(i), UnsafeRawBufferPointer(rebasing: raw[..<size]))
                }
                if i % 1000 == 0 { sched_yield() }
            }
            // One last packet that must get in, so that every refusal before it is announced.
            while !bytes.withUnsafeBytes({ context.ring.write(tag: 300, kind: .rtcp, receivedAt: .max, $0) }) { sched_yield() }
            return nil
        }, context.toOpaque())
        var accepted = 0, refused: UInt64 = 0, last: Int64 = -1, done = false, bad = 0
        while !done {
            ring.drain { entry in
                if let overflow = PacketRing.Overflow(entry) { refused += overflow.packets; return true }
                if entry.kind == .rtcp { done = true; return true }
                if entry.receivedAt <= last || Int(entry.tag) != entry.bytes.count || entry.bytes.loadUnaligned(as: UInt64.self) != UInt64(entry.receivedAt) { bad += 1 }
                last = entry.receivedAt
                accepted += 1
                return true
            }
        }
        pthread_join(thread, nil)
        #expect(bad == 0)
        #expect(UInt64(accepted) + refused >= UInt64(total))
        #expect(refused == ring.refused)
        #expect(UInt64(accepted) + 1 == ring.written)
    }
}
