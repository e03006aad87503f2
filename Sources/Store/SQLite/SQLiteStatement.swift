// A prepared statement, what can be bound to it, and what its rows give back.
internal import CSQLite
internal import Contracts

/// A column's value. Literals and the initialisers below keep calls short.
enum SQLiteValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)

    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(nilLiteral: ()) { self = .null }
    init(_ text: String?) { self = text.map { .text($0) } ?? .null }
    init(_ number: Int64?) { self = number.map { .integer($0) } ?? .null }
    init(_ number: Double?) { self = number.map { .real($0) } ?? .null }
}

/// Owns one `sqlite3_stmt *`.
final class SQLiteStatement {
    let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { sqlite3_finalize(pointer) }

    /// Makes it ready for its next run and forgets what was bound.
    func reset() {
        sqlite3_reset(pointer)
        sqlite3_clear_bindings(pointer)
    }
    func bind(_ value: SQLiteValue, at index: Int32) -> Int32 {
        switch value {
        case .null: sqlite3_bind_null(pointer, index)
        case .integer(let number): sqlite3_bind_int64(pointer, index, number)
        case .real(let number): sqlite3_bind_double(pointer, index, number)
        case .text(let text): sqlite3_bind_text(pointer, index, text, Int32(clamping: text.utf8.count), shim_sqlite_transient())
        }
    }
}

/// The row a statement stands on; valid until the statement moves.
struct SQLiteRow {
    let statement: SQLiteStatement

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement.pointer, column) == SQLITE_NULL }
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement.pointer, column) }
    func optionalInteger(_ column: Int32) -> Int64? { isNull(column) ? nil : integer(column) }
    func optionalReal(_ column: Int32) -> Double? { isNull(column) ? nil : sqlite3_column_double(statement.pointer, column) }
    func text(_ column: Int32) -> String { optionalText(column) ?? "" }
    func optionalText(_ column: Int32) -> String? {
        guard let start = sqlite3_column_text(statement.pointer, column) else { return nil }
        let count = Int(sqlite3_column_bytes(statement.pointer, column))
        return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }
    /// A counter that only grows: epochs, incarnations.
    func counter(_ column: Int32) throws(StoreError) -> UInt64 {
        guard let value = UInt64(exactly: integer(column)) else { throw corrupt(column) }
        return value
    }
    /// One of an enumeration's raw values.
    func word<T: RawRepresentable>(_ column: Int32, _: T.Type) throws(StoreError) -> T where T.RawValue == String {
        guard let value = T(rawValue: text(column)) else { throw corrupt(column) }
        return value
    }
    private func corrupt(_ column: Int32) -> StoreError {
        let name = sqlite3_column_name(statement.pointer, column).map { String(cString: $0) } ?? "a column"
        return .corrupt("`\(name)` holds `\(text(column))`, which this release does not know: run the release that wrote it")
    }
}
