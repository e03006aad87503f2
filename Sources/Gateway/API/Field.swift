// One named member of a JSON object: its rule, its reading and its JSON Schema in one place.
package import Primitives

/// Why a member could not be read. The text names the member and says what to send.
package enum FieldError: Error, Equatable, Sendable, CustomStringConvertible {
    case notAnObject
    case missing(String)
    case wrong(String, expected: String)

    package var description: String {
        switch self {
        case .notAnObject: "send a JSON object"
        case .missing(let name): "`\(name)` is missing"
        case .wrong(let name, let expected): "`\(name)` must be \(expected)"
        }
    }
}

/// What a route's table needs of a field, whatever its value is.
package protocol BodyField: Sendable {
    var name: String { get }
    var isRequired: Bool { get }
    var schema: JSON { get }
    /// Reads and forgets: checks a member that no handler looks at.
    func check(_ object: JSONObject) throws(FieldError)
}

/// A member of type `Value`. `null` counts as absent.
package struct Field<Value: Sendable>: BodyField {
    package let name: String
    package let isRequired: Bool
    package let schema: JSON
    /// What a value must be, for the error text.
    let expected: String
    let convert: @Sendable (JSON) -> Value?

    package init(_ name: String, required: Bool, schema: JSON, expected: String, convert: @escaping @Sendable (JSON) -> Value?) {
        self.name = name
        self.isRequired = required
        self.schema = schema
        self.expected = expected
        self.convert = convert
    }
    /// The value, or nil when it is absent.
    package func optional(in object: JSONObject) throws(FieldError) -> Value? {
        guard let json = object[name], json != .null else {
            if isRequired { throw .missing(name) }
            return nil
        }
        guard let value = convert(json) else { throw .wrong(name, expected: expected) }
        return value
    }
    package func value(in object: JSONObject) throws(FieldError) -> Value {
        guard let value = try optional(in: object) else { throw .missing(name) }
        return value
    }
    package func check(_ object: JSONObject) throws(FieldError) { _ = try optional(in: object) }
}

extension Field where Value == String {
    /// A text of `length` characters (Unicode scalars) without control characters other than line ends and tabs.
    package static func string(_ name: String, _ length: ClosedRange<Int>, required: Bool = true, _ description: String = "") -> Field {
        Field(
            name, required: required,
            schema: ["type": "string", "minLength": .integer(Int64(length.lowerBound)), "maxLength": .integer(Int64(length.upperBound)), "description": .string(description)],
            expected: "a string of \(length.lowerBound) to \(length.upperBound) characters without control characters"
        ) { json in
            guard let text = json.string, length.contains(text.unicodeScalars.count) else { return nil }
            return text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F || $0 == "\n" || $0 == "\r" || $0 == "\t" } ? text : nil
        }
    }
}
extension Field where Value == Bool {
    package static func boolean(_ name: String, required: Bool = true, _ description: String = "") -> Field {
        Field(name, required: required, schema: ["type": "boolean", "description": .string(description)], expected: "true or false") { $0.bool }
    }
}
extension Field where Value == Int64 {
    package static func integer(_ name: String, _ range: ClosedRange<Int64>, required: Bool = true, _ description: String = "") -> Field {
        Field(
            name, required: required,
            schema: ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound), "description": .string(description)],
            expected: "a whole number from \(range.lowerBound) to \(range.upperBound)"
        ) { json in json.integer.flatMap { range.contains($0) ? $0 : nil } }
    }
}
extension Field where Value == [String] {
    package static func strings(_ name: String, count: ClosedRange<Int>, each length: ClosedRange<Int>, required: Bool = true) -> Field {
        Field(
            name, required: required,
            schema: ["type": "array", "items": ["type": "string"], "minItems": .integer(Int64(count.lowerBound)), "maxItems": .integer(Int64(count.upperBound))],
            expected: "an array of \(count.lowerBound) to \(count.upperBound) strings of at most \(length.upperBound) characters"
        ) { json in
            guard let elements = json.array, count.contains(elements.count) else { return nil }
            let texts = elements.compactMap(\.string)
            return texts.count == elements.count && texts.allSatisfy { length.contains($0.unicodeScalars.count) } ? texts : nil
        }
    }
}
extension Field where Value: RawRepresentable, Value.RawValue == String {
    package static func choice(_ name: String, _ values: [Value], required: Bool = true, _ description: String = "") -> Field {
        let names = values.map(\.rawValue)
        return Field(
            name, required: required,
            schema: ["type": "string", "enum": .array(names.map { .string($0) }), "description": .string(description)],
            expected: "one of " + names.joined(separator: ", ")
        ) { json in json.string.flatMap { names.contains($0) ? Value(rawValue: $0) : nil } }
    }
}
