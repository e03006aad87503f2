import Primitives
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        ("null", JSON.null), ("true", true), (" -12 ", -12), ("0", 0), ("1.5e2", .number(150)), ("9223372036854775807", .integer(.max)), ("9223372036854775808", .number(9.223372036854775808e18)),
        (#""a\"\\\/\b\f\n\r\t""#, .string("a\"\\/\u{8}\u{c}\n\r\t")), (#""\u00e9\uD83D\uDE00""#, "é😀"), ("[]", []), ("[1,[2]]", [1, [2]]), (#"{"a":{"b":[]}, "c" : 1}"#, ["a": ["b": []], "c": 1]),
    ] as [(String, JSON)]) func reads(_ text: String, _ value: JSON) throws {
        #expect(try JSONParser.parse(text) == value)
        #expect(try JSONParser.parse(value.bytes).bytes == value.bytes, "what is written is read again")
    }
    @Test(arguments: [
        "", " ", "nul", "truex", "01", "-", "1.", ".5", "1e", "+1", "[1,]", "[1 2]", "{", "{\"a\"}", "{\"a\":1,}", "{a:1}", "\"", "\"\\x\"", "\"\\u12\"", "\"\\uD800\"", "\"\\uD800\\u0041\"", "\"\\uDC00\"", "\"\u{1}\"", "1 2", "1e400", "'a'",
    ]) func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(text) }
    }
    @Test func boundsAreKept() {
        #expect(throws: JSONError.tooDeep) { try JSONParser.parse(String(repeating: "[", count: 40) + String(repeating: "]", count: 40)) }
        #expect(throws: JSONError.duplicateName("a")) { try JSONParser.parse(#"{"a":1,"a":2}"#) }
        #expect(throws: JSONError.tooManyMembers) { try JSONParser.parse("{" + (0...JSONParser.Limits.members).map { "\"\($0)\":0" }.joined(separator: ",") + "}") }
        #expect(throws: JSONError.notUTF8) { try JSONParser.parse([0x22, 0xC3, 0x28, 0x22]) }
        #expect(throws: JSONError.tooLong) { try JSONParser.parse([UInt8](repeating: 0x20, count: JSONParser.Limits.bytes + 1)) }
    }
    @Test func writesWhatBrowsersRead() {
        #expect(JSON.string("a\"b\\c\n\u{1}\u{7F}é</script>").text == #""a\"b\\c\n\u0001\u007fé</script>""#)
        #expect(JSON.number(.infinity).text == "null")
        #expect(JSON.number(10).text == "10")
        #expect(JSON.compact([("a", nil), ("b", 1)]).text == #"{"b":1}"#)
    }
    /// Seeded garbage: whatever comes, an answer and no trap.
    @Test func survivesMutations() throws {
        let source = Array(#"{"type":"publish","track_id":"cam-\u00e9","list":[1,-2.5e3,true,null],"nested":{"a":{"b":"c"}}}"#.utf8)
        var random = SplitMix64(seed: 42)
        for _ in 0..<20_000 {
            var bytes = source
            for _ in 0..<Int.random(in: 1...4, using: &random) { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            if let value = try? JSONParser.parse(bytes) { #expect(try JSONParser.parse(value.bytes).bytes == value.bytes) }
        }
    }
}
