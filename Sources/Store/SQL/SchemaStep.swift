// How a database comes from one release to the next while nodes of both use it. Decision: docs/decisions/0044-two-releases-one-database.md
internal import Contracts

/// One step of a schema. A list of them is only ever appended to.
struct SchemaStep: ExpressibleByStringLiteral {
    let script: String
    /// Whether programs that do not know the step may go on using the database: it adds tables, indexes and columns that may be
    /// left out, no new words in old columns, and nothing in it has to be obeyed by whoever does not know it.
    let keepsEarlier: Bool
    init(_ script: String, keepsEarlier: Bool) { self.script = script; self.keepsEarlier = keepsEarlier }
    init(stringLiteral script: String) { self.init(script, keepsEarlier: true) }
}

/// What a database says of itself.
struct SchemaState: Equatable {
    /// Steps it has had.
    var version: Int
    /// Steps a program has to know to use it.
    var oldest: Int

    /// - Returns: the steps it has not had.
    /// - Throws: `.corrupt` where a program that knows `steps` may not use it.
    func missing(of steps: [SchemaStep]) throws(StoreError) -> ArraySlice<SchemaStep> {
        guard version >= 0 else { throw .corrupt("the database has the schema version \(version)") }
        guard version > steps.count else { return steps[version...] }
        guard oldest <= steps.count else { throw .corrupt("a newer release has written the database (schema \(version), this release knows \(steps.count)): start that release") }
        return []
    }
    /// Afterwards.
    static func after(_ steps: [SchemaStep]) -> SchemaState {
        SchemaState(version: steps.count, oldest: (steps.lastIndex { !$0.keepsEarlier } ?? 0) + 1)
    }
}
