// A prepared statement, what can be bound to it, and the row it stands on.
internal import CSQLite

/// Owns one `sqlite3_stmt *`.
final class SQLiteStatement {
    let pointer: OpaquePointer
    private lazy var names = (0..<sqlite3_column_count(pointer)).map { sqlite3_column_name(pointer, $0).map { String(cString: $0) } ?? "" }
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { sqlite3_finalize(pointer) }

    /// Makes it ready for its next run and forgets what was bound.
    func reset() {
        sqlite3_reset(pointer)
        sqlite3_clear_bindings(pointer)
    }
    func bind(_ value: SQLValue, at index: Int32) -> Int32 {
        switch value {
        case .null: sqlite3_bind_null(pointer, index)
        case .integer(let number): sqlite3_bind_int64(pointer, index, number)
        case .real(let number): sqlite3_bind_double(pointer, index, number)
        case .text(let text): sqlite3_bind_text(pointer, index, text, Int32(clamping: text.utf8.count), shim_sqlite_transient())
        case .bytes(let bytes):
            // A null pointer would bind NULL rather than nothing.
            bytes.isEmpty ? sqlite3_bind_zeroblob(pointer, index, 0) : sqlite3_bind_blob(pointer, index, bytes, Int32(clamping: bytes.count), shim_sqlite_transient())
        }
    }

    /// The row it stands on, copied out.
    var row: SQLRow { SQLRow(values: (0..<Int32(names.count)).map(value), names: names) }

    private func value(_ column: Int32) -> SQLValue {
        switch sqlite3_column_type(pointer, column) {
        case SQLITE_INTEGER: .integer(sqlite3_column_int64(pointer, column))
        case SQLITE_FLOAT: .real(sqlite3_column_double(pointer, column))
        case SQLITE_TEXT: .text(String(decoding: bytes(sqlite3_column_text(pointer, column), column), as: UTF8.self))
        case SQLITE_BLOB: .bytes(Array(bytes(sqlite3_column_blob(pointer, column), column)))
        default: .null
        }
    }
    private func bytes(_ start: UnsafeRawPointer?, _ column: Int32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(pointer, column)))
    }
}
