// What can be wrong with CBOR (RFC 8949) that came from outside.

package enum CBORError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bytes end inside an item.
    case truncated
    /// Additional information 28 to 30, a break out of place, a chunk of the wrong kind (RFC 8949 §3.2, appendix F).
    case malformed
    case tooDeep
    case invalidText
    /// Well-formed, but not what the type at hand reads.
    case mismatch(expected: String)
    /// A number outside the range of the type at hand.
    case outOfRange(type: String)
    /// A container was written to after its parent had gone on.
    case containerClosed
    case tooLarge(bytes: Int)

    package var description: String {
        switch self {
        case .truncated: "the encoding ends inside an item"
        case .malformed: "not well-formed CBOR"
        case .tooDeep: "nested deeper than \(CBOR.Limits.depth)"
        case .invalidText: "a text string is not UTF-8"
        case .mismatch(let expected): "expected \(expected)"
        case .outOfRange(let type): "a number does not fit \(type)"
        case .containerClosed: "a nested container was written to after its parent"
        case .tooLarge(let bytes): "\(bytes) bytes are more than one message may have"
        }
    }
}

package enum CBOR {
    package enum Limits {
        /// Containers inside one another, in either direction.
        package static let depth = 64
    }
    /// Major types (RFC 8949 §3.1).
    enum Major {
        static let unsigned: UInt8 = 0
        static let negative: UInt8 = 1
        static let bytes: UInt8 = 2
        static let text: UInt8 = 3
        static let array: UInt8 = 4
        static let map: UInt8 = 5
        static let tag: UInt8 = 6
        static let simple: UInt8 = 7
    }
    static let beginMap: UInt8 = 0xBF
    static let beginArray: UInt8 = 0x9F
    static let `break`: UInt8 = 0xFF
    static let null: UInt8 = 0xF6
    static let undefined: UInt8 = 0xF7
}
