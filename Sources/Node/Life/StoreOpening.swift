// From the store a topology names to the store a node uses.
internal import Configuration
internal import Contracts
internal import Store

enum StoreOpening {
    /// Refuses a URL file that cannot be right; whether the database answers is found out by the first call, and again by later ones.
    static func open(_ store: Topology.Store) throws(FileError) -> SQLStore {
        switch store {
        case .sqlite(let path): return SQLStore(sqlite: path)
        case .postgres(let file):
            _ = try url(file)
            return SQLStore(postgres: { () throws(StoreError) in
                // Read again for each connection: a changed password needs no restart.
                do throws(FileError) { return try url(file) } catch { throw .away(error.description) }
            })
        }
    }

    static func url(_ file: String) throws(FileError) -> PostgresURL {
        guard let bytes = try PrivateFile.read(file) else {
            throw FileError("\(file), which `store` names, is not there; write one line into it, for instance \(PostgresURL.example), and run `chmod 600 \(file)`")
        }
        try PrivateFile.requirePrivate(file)
        do throws(PostgresURL.Mistake) { return try PostgresURL(String(decoding: bytes, as: UTF8.self)) } catch {
            switch error {
            case .line(let line, let text): throw FileError("\(file):\(line): \(text)")
            }
        }
    }
}
