// One writer at a time for what several nodes change in one shared folder.
internal import Glibc
package import Primitives

extension LocalFolder {
    private enum Pause {
        /// Between two looks at a lock another process holds.
        static let microseconds: UInt32 = 10_000
    }
    /// Runs `work` while no other process that shares the folder runs such work for the same key.
    ///
    /// By an advisory lock (`flock`, on network folders too) on a hidden file beside the key's, which the system lets go of when its holder dies.
    /// - Parameters:
    ///   - existing: a folder that must be there: only what lies below it is created, so that what was deleted stays so.
    ///   - patience: how long another's work is waited for; then it throws `away`.
    @discardableResult
    package func exclusively<Value>(_ key: ObjectKey, below existing: ObjectKey, patience: Duration, _ work: () throws -> Value) throws -> Value {
        _ = try parent(of: ObjectKey("\(existing.rawValue)/any"), creating: false)
        let (folder, name) = try parent(of: key, creating: true)
        let lock = try Descriptor(".\(name).lock", O_RDWR | O_CREAT | O_NOFOLLOW, at: folder.number)
        var left = patience.inMicroseconds / Int64(Pause.microseconds)
        while flock(lock.number, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            guard code == EWOULDBLOCK || code == EINTR else { throw ObjectStorageError.away("cannot lock \(key): \(Descriptor.reason(code))") }
            guard left > 0 else { throw ObjectStorageError.away("\(key) is being changed by another node; try again") }
            left -= 1
            usleep(Pause.microseconds)
        }
        // Closing the descriptor lets go.
        return try withExtendedLifetime(lock) { try work() }
    }
}
