// JSON as a value (RFC 8259): what bodies and signalling frames are read into and written from.

/// One JSON value. Objects keep their order, so that what is written is the same every time.
package indirect enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number without fraction or exponent that fits; everything else is `number`.
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    /// The member `name` of an object; nil for anything else.
    package subscript(_ name: String) -> JSON? {
        guard case .object(let object) = self else { return nil }
        return object[name]
    }
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    package var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    package var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        default: nil
        }
    }
    package var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}

/// The members of an object in order; names are unique.
package struct JSONObject: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package let name: String
        package var value: JSON
        package init(name: String, value: JSON) { self.name = name; self.value = value }
    }
    package private(set) var members: [Member]
    package init(_ members: [Member] = []) { self.members = members }

    /// Setting nil removes the member; setting a new one appends it.
    package subscript(_ name: String) -> JSON? {
        get { members.first { $0.name == name }?.value }
        set {
            let index = members.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append(Member(name: name, value: value))
            case (nil, nil): break
            }
        }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(JSONObject(elements.map { JSONObject.Member(name: $0.0, value: $0.1) }))
    }
    /// An object without the members that have no value.
    package static func compact(_ members: [(String, JSON?)]) -> JSON {
        .object(JSONObject(members.compactMap { member in member.1.map { JSONObject.Member(name: member.0, value: $0) } }))
    }
    package static func text(_ value: String?) -> JSON? { value.map { .string($0) } }
    package static func int(_ value: Int64?) -> JSON? { value.map { .integer($0) } }
    package static func real(_ value: Double?) -> JSON? { value.map { .number($0) } }
}
