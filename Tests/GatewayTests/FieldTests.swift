import Primitives
import Testing

@testable import Gateway

@Suite struct FieldTests {
    enum Colour: String { case red, green }
    @Test func readsOrSaysWhatToSend() throws {
        let object = try #require(try JSONParser.parse(#"{"name":"Ada","age":36,"tags":["a"],"colour":"red","on":false,"none":null}"#).object)
        #expect(try Field.string("name", 1...3).value(in: object) == "Ada")
        #expect(try Field.integer("age", 0...40).value(in: object) == 36)
        #expect(try Field.strings("tags", count: 1...2, each: 1...1).value(in: object) == ["a"])
        #expect(try Field<Colour>.choice("colour", [.red, .green]).value(in: object) == .red)
        #expect(try Field.boolean("on").value(in: object) == false)
        #expect(try Field.string("none", 1...3, required: false).optional(in: object) == nil)
        #expect(throws: FieldError.missing("none")) { try Field.string("none", 1...3).value(in: object) }
        #expect(throws: FieldError.wrong("name", expected: "a string of 1 to 2 characters without control characters")) { try Field.string("name", 1...2).value(in: object) }
        #expect(throws: FieldError.wrong("age", expected: "a whole number from 0 to 9")) { try Field.integer("age", 0...9).value(in: object) }
        #expect(throws: FieldError.wrong("colour", expected: "one of green")) { try Field<Colour>.choice("colour", [.green]).value(in: object) }
        #expect("\(FieldError.wrong("on", expected: "true or false"))" == "`on` must be true or false")
    }
}
