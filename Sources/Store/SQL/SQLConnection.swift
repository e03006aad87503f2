// What the store asks of a database connection; SQLite and PostgreSQL are the two that answer.
package import Contracts

/// What a transaction must survive before its write call returns.
package enum Durability: Sendable {
    /// On the disk: epochs, claims, whatever is promised to someone.
    case disk
    /// Survives this process, not a power cut. Renewals, which are worthless after one.
    case process
}

/// One connection, used by one thread at a time.
///
/// Statements are written once for both databases; parameters are `$1`, `$2`, … in the order of the values.
package protocol SQLConnection: AnyObject {
    /// Nanoseconds of `Monitor.now` after which a call fails as away rather than wait on.
    var deadline: Int64 { get set }
    /// Whether the next job may use it; false once it failed in a way that a fresh connection may cure.
    var isUsable: Bool { get }
    /// The database's own time in microseconds since 1970, as an expression: one clock for all nodes.
    var clock: String { get }
    /// Behind a SELECT inside a transaction: nobody else changes its rows before the end.
    var locking: String { get }
    /// The same, without the rows that others have locked.
    var lockingUnlocked: String { get }
    /// Runs one statement to its end.
    func execute(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> SQLResult
    /// Runs `body` as one transaction; an error rolls back. A body touches nothing but the database: it may run again after
    /// another transaction got in its way.
    func transaction<T>(_ durability: Durability, _ body: () throws(StoreError) -> T) throws(StoreError) -> T
    /// Runs reads that must see one moment.
    func snapshot<T>(_ body: () throws(StoreError) -> T) throws(StoreError) -> T
}

extension SQLConnection {
    /// - Returns: how many rows the statement changed.
    @discardableResult
    func run(_ sql: String, _ values: [SQLValue] = []) throws(StoreError) -> Int { try execute(sql, values).changed }

    /// All rows of a query, each turned into a value.
    func rows<T>(_ sql: String, _ values: [SQLValue] = [], _ make: (SQLRow) throws(StoreError) -> T) throws(StoreError) -> [T] {
        var found: [T] = []
        for row in try execute(sql, values).rows { found.append(try make(row)) }
        return found
    }

    /// The first row of a query, if there is one.
    func first<T>(_ sql: String, _ values: [SQLValue] = [], _ make: (SQLRow) throws(StoreError) -> T) throws(StoreError) -> T? {
        guard let row = try execute(sql, values).rows.first else { return nil }
        return try make(row)
    }

    /// Inserts many rows with few statements.
    /// - Parameter head: `INSERT INTO table (columns)`.
    func insert(_ head: String, _ rows: [[SQLValue]]) throws(StoreError) {
        var left = rows[...]
        while let width = left.first?.count {
            let chunk = left.prefix(SQLLimits.insertedRows)
            left = left.dropFirst(SQLLimits.insertedRows)
            let places = chunk.indices.map { index in
                let from = (index - chunk.startIndex) * width
                return "(" + (1...width).map { "$\(from + $0)" }.joined(separator: ", ") + ")"
            }
            try run("\(head) VALUES \(places.joined(separator: ", "))", chunk.flatMap { $0 })
        }
    }

    func transaction<T>(_ body: () throws(StoreError) -> T) throws(StoreError) -> T { try transaction(.disk, body) }
}

enum SQLLimits {
    /// Rows of one INSERT: 32 rows of 11 columns stay far below either database's bound on parameters.
    static let insertedRows = 32
}
