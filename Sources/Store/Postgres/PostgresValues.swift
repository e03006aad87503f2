// Values on their way to and from PostgreSQL, in its binary formats.
// https://www.postgresql.org/docs/15/protocol-overview.html#PROTOCOL-FORMAT-CODES; type numbers: pg_type.dat
internal import CPostgres
internal import Contracts

/// Owns one `PGresult *`.
final class PostgresResult {
    struct Failure { var state: String; var text: String }
    let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { PQclear(pointer) }

    /// Nil for a result that is none.
    var error: Failure? {
        switch PQresultStatus(pointer) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: nil
        // PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY; C's character constants are not imported.
        default: Failure(state: field("C"), text: field("M"))
        }
    }
    private func field(_ code: Unicode.Scalar) -> String { PQresultErrorField(pointer, Int32(code.value)).map { String(cString: $0) } ?? "" }
}

enum PostgresValues {
    private enum TypeID {
        static let bool: UInt32 = 16, bytes: UInt32 = 17, int8: UInt32 = 20, int2: UInt32 = 21, int4: UInt32 = 23, text: UInt32 = 25
        static let float8: UInt32 = 701, void: UInt32 = 2278
        /// PostgreSQL finds out.
        static let unknown: UInt32 = 0
    }

    /// Hands count, types, pointers, lengths and formats of the parameters to `body`; they are valid until it returns.
    static func withParameters<R>(
        _ values: [SQLValue],
        _ body: (Int32, UnsafePointer<UInt32>?, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> R
    ) -> R {
        var bytes: [UInt8] = [], types: [UInt32] = [], ranges: [Range<Int>?] = []
        for value in values {
            let start = bytes.count
            switch value {
            case .null: types.append(TypeID.unknown)
            case .integer(let number): types.append(TypeID.int8); append(UInt64(bitPattern: number), &bytes)
            case .real(let number): types.append(TypeID.float8); append(number.bitPattern, &bytes)
            case .text(let text): types.append(TypeID.text); bytes += text.utf8
            case .bytes(let content): types.append(TypeID.bytes); bytes += content
            }
            ranges.append(value == .null ? nil : start..<bytes.count)
        }
        bytes.append(0) // an address for values without bytes
        let lengths = ranges.map { Int32($0?.count ?? 0) }, formats = ranges.map { _ in Int32(1) }
        return bytes.withUnsafeBytes { raw in
            let base = raw.assumingMemoryBound(to: CChar.self).baseAddress!
            let pointers = ranges.map { range in range.map { base + $0.lowerBound } }
            return body(Int32(values.count), types, pointers, lengths, formats)
        }
    }
    private static func append(_ word: UInt64, _ bytes: inout [UInt8]) {
        for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift))) }
    }

    static func result(_ result: PostgresResult?) throws(StoreError) -> SQLResult {
        guard let result else { return SQLResult() }
        let columns = (0..<PQnfields(result.pointer)).map { (PQftype(result.pointer, $0), PQfname(result.pointer, $0).map { String(cString: $0) } ?? "") }
        var out = SQLResult()
        out.changed = PQcmdTuples(result.pointer).flatMap { Int(String(cString: $0)) } ?? 0
        for row in 0..<PQntuples(result.pointer) {
            var values: [SQLValue] = []
            for (index, column) in columns.enumerated() {
                let place = Int32(index)
                if PQgetisnull(result.pointer, row, place) == 1 { values.append(.null); continue }
                let bytes = UnsafeRawBufferPointer(start: PQgetvalue(result.pointer, row, place), count: Int(PQgetlength(result.pointer, row, place)))
                guard let value = value(bytes, column.0) else { throw .corrupt("`\(column.1)` is of a type (\(column.0)) this release does not read: the tables are not its own") }
                values.append(value)
            }
            out.rows.append(SQLRow(values: values, names: columns.map(\.1)))
        }
        return out
    }

    private static func value(_ bytes: UnsafeRawBufferPointer, _ type: UInt32) -> SQLValue? {
        let word = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return switch (type, bytes.count) {
        case (TypeID.int8, 8): .integer(Int64(bitPattern: word))
        case (TypeID.int4, 4): .integer(Int64(Int32(truncatingIfNeeded: word)))
        case (TypeID.int2, 2): .integer(Int64(Int16(truncatingIfNeeded: word)))
        case (TypeID.bool, 1): .integer(Int64(word))
        case (TypeID.float8, 8): .real(Double(bitPattern: word))
        case (TypeID.text, _): .text(String(decoding: bytes, as: UTF8.self))
        case (TypeID.bytes, _): .bytes(Array(bytes))
        case (TypeID.void, _): .null
        default: nil
        }
    }
}
