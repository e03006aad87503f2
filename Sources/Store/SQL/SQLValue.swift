// Values that go into statements and come out as rows, the same for both databases.
internal import Contracts

/// A column's value. Literals and the initialisers below keep calls short.
package enum SQLValue: Sendable, Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case bytes([UInt8])

    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(nilLiteral: ()) { self = .null }
    init(_ text: String?) { self = text.map { .text($0) } ?? .null }
    init(_ number: Int64?) { self = number.map { .integer($0) } ?? .null }
    init(_ number: Double?) { self = number.map { .real($0) } ?? .null }
    init(_ bytes: [UInt8]?) { self = bytes.map { .bytes($0) } ?? .null }

    /// Epochs, incarnations, sequence numbers. Databases' integers are signed; a counter beyond them is not one of ours.
    static func counter(_ value: UInt64) throws(StoreError) -> SQLValue {
        guard let signed = Int64(exactly: value) else { throw .corrupt("the counter \(value) is beyond what is ever reached") }
        return .integer(signed)
    }
    /// Text with a zero byte is kept by one database and refused by the other: refused by both.
    func check() throws(StoreError) {
        if case .text(let text) = self, text.utf8.contains(0) { throw .corrupt("text with a zero byte cannot be kept; send it without") }
    }
}

package struct SQLResult: Sendable {
    var rows: [SQLRow] = []
    /// Rows inserted, updated or deleted.
    var changed = 0
}

package struct SQLRow: Sendable {
    let values: [SQLValue]
    /// Column names, for errors.
    let names: [String]

    func integer(_ column: Int) -> Int64 { optionalInteger(column) ?? 0 }
    func optionalInteger(_ column: Int) -> Int64? { if case .integer(let value) = values[column] { value } else { nil } }
    func optionalReal(_ column: Int) -> Double? { if case .real(let value) = values[column] { value } else { nil } }
    func text(_ column: Int) -> String { optionalText(column) ?? "" }
    func optionalText(_ column: Int) -> String? { if case .text(let value) = values[column] { value } else { nil } }
    func optionalBytes(_ column: Int) -> [UInt8]? { if case .bytes(let value) = values[column] { value } else { nil } }
    /// A number that only grows and is never negative.
    func counter(_ column: Int) throws(StoreError) -> UInt64 {
        guard let value = UInt64(exactly: integer(column)) else { throw corrupt(column) }
        return value
    }
    /// One of an enumeration's raw values.
    func word<T: RawRepresentable>(_ column: Int, _: T.Type) throws(StoreError) -> T where T.RawValue == String {
        guard let value = T(rawValue: text(column)) else { throw corrupt(column) }
        return value
    }
    private func corrupt(_ column: Int) -> StoreError {
        .corrupt("`\(names[column])` holds `\(optionalText(column) ?? String(integer(column)))`, which this release does not know: run the release that wrote it")
    }
}
