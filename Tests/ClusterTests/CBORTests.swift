// CBOR against RFC 8949's examples, Swift's own shapes, and damage.
import Primitives
import Testing

@testable import Cluster

private func hex(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8).filter { $0 != 0x20 }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)! }
}

@Suite struct CBORVectors {
    /// RFC 8949 appendix A.
    @Test(arguments: [
        ("00", 0), ("01", 1), ("0a", 10), ("17", 23), ("1818", 24), ("1819", 25), ("1864", 100), ("1903e8", 1000), ("1a000f4240", 1_000_000),
        ("1b000000e8d4a51000", 1_000_000_000_000), ("20", -1), ("29", -10), ("3863", -100), ("3903e7", -1000), ("3b7fffffffffffffff", Int.min),
        ("c11a514b67b0", 1_363_896_240),
    ])
    func integers(encoded: String, value: Int) throws {
        #expect(try CBORDecoder.decode(Int.self, from: hex(encoded)) == value)
        if !encoded.hasPrefix("c1") { #expect(try CBOREncoder.encode(value) == hex(encoded)) }
    }
    @Test func widestIntegers() throws {
        #expect(try CBORDecoder.decode(UInt64.self, from: hex("1bffffffffffffffff")) == .max)
        #expect(try CBOREncoder.encode(UInt64.max) == hex("1bffffffffffffffff"))
        #expect(throws: CBORError.outOfRange(type: "Int")) { try CBORDecoder.decode(Int.self, from: hex("1bffffffffffffffff")) }
        #expect(throws: CBORError.outOfRange(type: "Int")) { try CBORDecoder.decode(Int.self, from: hex("3bffffffffffffffff")) }
        #expect(throws: CBORError.outOfRange(type: "UInt8")) { try CBORDecoder.decode([UInt8].self, from: hex("82011901ff")) }
    }
    @Test(arguments: [
        ("f90000", 0.0), ("f93c00", 1.0), ("f93e00", 1.5), ("f97bff", 65504.0), ("fa47c35000", 100000.0), ("fb3ff199999999999a", 1.1), ("f90001", 5.960464477539063e-8),
        ("f90400", 0.00006103515625), ("f9c400", -4.0), ("fbc010666666666666", -4.1), ("f97c00", .infinity), ("f9fc00", -.infinity), ("03", 3.0), ("22", -3.0),
    ])
    func floats(encoded: String, value: Double) throws { #expect(try CBORDecoder.decode(Double.self, from: hex(encoded)) == value) }
    @Test func notANumber() throws { #expect(try CBORDecoder.decode(Double.self, from: hex("f97e00")).isNaN) }
    @Test(arguments: [("60", ""), ("6161", "a"), ("6449455446", "IETF"), ("62c3bc", "ü"), ("63e6b0b4", "水"), ("64f0908591", "𐅑"), ("7f657374726561646d696e67ff", "streaming")])
    func texts(encoded: String, value: String) throws { #expect(try CBORDecoder.decode(String.self, from: hex(encoded)) == value) }
    @Test func collections() throws {
        #expect(try CBORDecoder.decode([Int].self, from: hex("83010203")) == [1, 2, 3])
        #expect(try CBORDecoder.decode([Int].self, from: hex("9f010203ff")) == [1, 2, 3])
        #expect(try CBORDecoder.decode([[Int]].self, from: hex("838101820203820405")) == [[1], [2, 3], [4, 5]])
        #expect(try CBORDecoder.decode([String: String].self, from: hex("a56161614161626142616361436164614461656145")) == ["a": "A", "b": "B", "c": "C", "d": "D", "e": "E"])
        #expect(try CBORDecoder.decode([UInt8].self, from: hex("4401020304")) == [1, 2, 3, 4])
        #expect(try CBORDecoder.decode([UInt8].self, from: hex("5f42010243030405ff")) == [1, 2, 3, 4, 5])
        #expect(try CBORDecoder.decode([Bool?].self, from: hex("83f5f6f4")) == [true, nil, false])
    }
    /// Not well-formed (RFC 8949 appendix F) or not one item.
    @Test(arguments: ["", "18", "1c", "1d", "1e", "1f", "3f", "df", "ff", "61", "62ff", "8101 00", "81", "82 01", "a1", "a1 01", "9f", "9f01", "bf01ff", "5f 61 61 ff", "f8 00", "7f 60", "5bffffffffffffffff00", "9bffffffffffffffff00", "c0"])
    func damaged(encoded: String) {
        let bytes = hex(encoded)
        if encoded != "62ff" { #expect(!bytes.withUnsafeBytes { CBORReader.parse($0) }) }
        #expect(throws: (any Error).self) { try CBORDecoder.decode(Everything.self, from: bytes) }
    }
}

/// Reads whatever comes: recursion, optionals, enums with payloads.
private struct Everything: Codable, Equatable {
    enum Shape: Codable, Equatable {
        case point
        case circle(radius: Double)
        case label(String, size: Int?)
        indirect case group([Shape])
    }
    struct Empty: Codable, Equatable {}
    var text = "", number = 0, small: Int8 = 0, flags: [Bool] = [], bytes: [UInt8] = [], maybe: String?, shape = Shape.point
    var table: [String: Int] = [:], byNumber: [Int: String] = [:], empty = Empty(), room = RoomID("r"), nested: [Everything]?
    var ratio: Float = 0, wide: UInt64 = 0, who: ActorAddress = .virtual(kind: "", key: ""), at = WallTime(microseconds: 0)

    static let sample = Everything(
        text: "Grüße 水", number: -77, small: -128, flags: [true, false], bytes: [0, 255, 7], maybe: "there", shape: .group([.circle(radius: 2.5), .label("x", size: nil), .label("y", size: 3), .point]),
        table: ["a": 1, "b": 2, "zz": -3], byNumber: [5: "five", -6: "minus six"], room: "R_1", nested: [Everything(text: "inner"), Everything(number: 9)],
        ratio: 0.5, wide: .max, who: .instance(node: "n1", incarnation: Incarnation(7), number: 8, shard: -1), at: WallTime(microseconds: 1_700_000_000_000_000))
}

private class Base: Codable {
    var a = 1
    init() {}
}
private final class Derived: Base {
    var b = "two"
    override init() { super.init() }
    enum CodingKeys: CodingKey { case b }
    required init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        b = try c.decode(String.self, forKey: .b)
        try super.init(from: try c.superDecoder())
    }
    override func encode(to encoder: any Encoder) throws {
        var c = encoder.container(keyedBy: CodingKeys.self)
        try super.encode(to: c.superEncoder())
        try c.encode(b, forKey: .b)
    }
}

@Suite struct CBORCodable {
    @Test func everythingComesBack() throws {
        let bytes = try CBOREncoder.encode(Everything.sample)
        #expect(bytes.withUnsafeBytes { CBORReader.parse($0) })
        #expect(try CBORDecoder.decode(Everything.self, from: bytes) == Everything.sample)
    }
    @Test func absentOptionalsTakeNoRoomAndUnknownFieldsAreSkipped() throws {
        struct Old: Codable, Equatable { var a: Int; var b: String? }
        struct New: Codable { var z = [["deep": [1, 2]]]; var b: String?; var a = 4; var extra = Everything.sample }
        #expect(try CBOREncoder.encode(Old(a: 1)) == hex("bf616101ff"))
        #expect(try CBORDecoder.decode(Old.self, from: try CBOREncoder.encode(New())) == Old(a: 4))
        #expect(try CBORDecoder.decode(Old.self, from: hex("a2 6162 f6 6161 05")) == Old(a: 5))
        #expect(throws: DecodingError.self) { try CBORDecoder.decode(Old.self, from: hex("a1 6162 6161")) }
    }
    @Test func fieldsMayComeInAnyOrderAmongKeysOfOtherTypes() throws {
        struct Three: Codable, Equatable { var a: Int; var b: Int; var c: Int }
        #expect(try CBORDecoder.decode(Three.self, from: hex("a5 6163 03 01 02 6162 02 81 00 f4 6161 01")) == Three(a: 1, b: 2, c: 3))
    }
    @Test func superclassesEncode() throws {
        let value = Derived()
        value.a = 42
        let back = try CBORDecoder.decode(Derived.self, from: try CBOREncoder.encode(value))
        #expect(back.a == 42 && back.b == "two")
    }
    @Test func nestedContainersCloseInTurn() throws {
        struct Manual: Encodable {
            func encode(to encoder: any Encoder) throws {
                var outer = encoder.unkeyedContainer()
                var inner = outer.nestedUnkeyedContainer()
                try inner.encode(1)
                try outer.encode(2)
            }
        }
        struct OutOfTurn: Encodable {
            func encode(to encoder: any Encoder) throws {
                var outer = encoder.unkeyedContainer()
                var inner = outer.nestedUnkeyedContainer()
                try outer.encode(2)
                try inner.encode(1)
            }
        }
        #expect(try CBOREncoder.encode(Manual()) == hex("9f 9f01ff 02 ff"))
        #expect(throws: CBORError.containerClosed) { try CBOREncoder.encode(OutOfTurn()) }
    }
    @Test func depthIsBoundedBothWays() throws {
        indirect enum Chain: Codable { case end, link(Chain) }
        var chain = Chain.end
        for _ in 0..<100 { chain = .link(chain) }
        #expect(throws: CBORError.tooDeep) { try CBOREncoder.encode(chain) }
        let deep = [UInt8](repeating: 0x81, count: 100_000) + [0]
        #expect(throws: CBORError.tooDeep) { try CBORDecoder.decode(Everything.self, from: deep) }
        // What the encoder writes at its limit is read again.
        var list = Chain.end
        for _ in 0..<20 { list = .link(list) }
        _ = try CBORDecoder.decode(Chain.self, from: try CBOREncoder.encode(list))
    }
    @Test func damageIsAnErrorAndNeverATrap() throws {
        let good = try CBOREncoder.encode(Everything.sample)
        var random = SplitMix64(seed: 20_260_101)
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0...(random.next() % 4) {
                switch random.next() % 3 {
                case 0: bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.removeLast(Int(random.next() % UInt64(bytes.count)))
                default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: Int(random.next() % UInt64(bytes.count + 1)))
                }
                if bytes.isEmpty { bytes = [0xFF] }
            }
            do { _ = try CBORDecoder.decode(Everything.self, from: bytes) } catch { refused += 1 }
        }
        #expect(refused > 10_000)
    }
}
