import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct TablesTests {
    @Test(arguments: 0..<10)
    func theStreamTableAgreesWithADictionary(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed)), table = StreamTable(), model: [UInt64: Int32] = [:]
        defer { table.deallocate() }
        table.reserve(300)
        for _ in 0..<5_000 {
            // Few transports and SSRCs, so that keys come back and runs form.
            let key = StreamTable.key(Int32.random(in: 0..<8, using: &random), UInt32.random(in: 0..<60, using: &random) * 0x1_0001)
            if Int.random(in: 0..<3, using: &random) > 0, model.count < 300 || model[key] != nil {
                let value = Int32.random(in: 0..<1_000, using: &random)
                #expect(table.insert(key, value) == true)
                model[key] = value
            } else {
                table.remove(key)
                model[key] = nil
            }
            #expect(table.count == model.count)
        }
        for transport in 0..<8 {
            for ssrc in 0..<60 {
                let key = StreamTable.key(Int32(transport), UInt32(ssrc) * 0x1_0001)
                #expect(table.find(key) == model[key] ?? -1)
            }
        }
    }

    @Test func aFullTableRefusesRatherThanGrows() {
        var table = StreamTable()
        defer { table.deallocate() }
        for i in 0..<UInt32(table.capacity) { #expect(table.insert(StreamTable.key(0, i), 1) == true) }
        #expect(table.insert(StreamTable.key(0, 999), 1) == false)
        #expect(table.insert(StreamTable.key(0, 0), 5) == true, "replacing is not adding")
        table.reserve(100)
        #expect(table.insert(StreamTable.key(0, 999), 1) == true)
        #expect(table.find(StreamTable.key(0, 0)) == 5)
    }

    @Test func shortNamesMatchBytesAndNothingElse() {
        let name = ShortName("mid-7")
        #expect(Array("mid-7".utf8).withUnsafeBytes { name.matches($0) })
        #expect(!Array("mid-8".utf8).withUnsafeBytes { name.matches($0) })
        #expect(!Array("mid".utf8).withUnsafeBytes { name.matches($0) })
        #expect(![UInt8]().withUnsafeBytes { ShortName("").matches($0) }, "no name is nobody's name")
        #expect(!Array(repeating: UInt8(97), count: 40).withUnsafeBytes { ShortName(String(repeating: "a", count: 40)).matches($0) })
    }

    @Test func theCacheKeepsTheNewestAndNeverWhatWaits() throws {
        var cache = PacketCache(packets: 8, bytes: 4_096)
        defer { cache.deallocate() }
        func insert(_ number: UInt64, _ size: Int, keeping: UInt64 = .max) -> Bool {
            var packet = Packet.opus(UInt16(truncatingIfNeeded: number), body: Array(repeating: UInt8(truncatingIfNeeded: number), count: size - 12)).bytes
            return packet.withUnsafeMutableBytes { raw in
                guard let header = try? RTPHeader(UnsafeRawBufferPointer(raw)) else { return false }
                return cache.insert(number, UnsafeRawBufferPointer(raw), header: header, facts: PacketFacts(), receivedAt: 0, keeping: keeping) != nil
            }
        }
        for n in 1...3 { #expect(insert(UInt64(n), 1_000)) }
        let oldest = try #require(cache.find(1)).pointee.position
        #expect(!insert(4, 1_400, keeping: oldest), "would overwrite what waits")
        #expect(insert(4, 1_400))
        #expect(cache.find(2) == nil && cache.find(3) != nil, "it reaches into the second packet's bytes")
        let bytes = try #require(cache.find(4)).pointee
        #expect(bytes.length == 1_400)
        #expect(cache.bytes(of: cache.find(4)!).load(fromByteOffset: 20, as: UInt8.self) == 4)
        for n in 5...30 { #expect(insert(UInt64(n), 60)) }
        #expect(cache.find(22) == nil && cache.find(23) != nil && cache.find(30) != nil)
        #expect(!insert(15, 60), "its place belongs to a newer packet")
        #expect(!insert(31, 1_501))
    }
}
