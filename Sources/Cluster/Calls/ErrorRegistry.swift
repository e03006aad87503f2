// Errors that cross nodes as themselves.
import Synchronization

/// Registered error types by name, in both directions. A name from a peer only ever selects an entry made here.
final class ErrorRegistry: Sendable {
    private struct Entry: Sendable {
        let name: String
        let encode: @Sendable (any Error) throws -> [UInt8]
        let decode: @Sendable ([UInt8]) throws -> any Error
    }
    private struct State {
        var byType: [ObjectIdentifier: Entry] = [:]
        var byName: [String: Entry] = [:]
    }
    private let state = Mutex(State())

    func register<E: Error & Codable>(_ type: E.Type) {
        let entry = Entry(
            name: String(reflecting: type),
            encode: { error in
                guard let error = error as? E else { throw CBORError.mismatch(expected: "\(E.self)") }
                return try CBOREncoder.encode(error)
            },
            decode: { try CBORDecoder.decode(E.self, from: $0) })
        state.withLock {
            $0.byType[ObjectIdentifier(type)] = entry
            $0.byName[entry.name] = entry
        }
    }
    /// How an error travels.
    func encode(_ error: any Error) -> CallFailure {
        // What a cluster call of the actor's own came to stays a detail of that actor.
        let type = Swift.type(of: error)
        if let entry = state.withLock({ $0.byType[ObjectIdentifier(type)] }), let bytes = try? entry.encode(error) {
            return .registered(name: entry.name, error: bytes)
        }
        return .other(type: String(reflecting: type), text: "\(error)")
    }
    func decode(name: String, _ bytes: [UInt8]) -> any Error {
        guard let entry = state.withLock({ $0.byName[name] }), let error = try? entry.decode(bytes) else {
            return ClusterError.remote(type: name, text: "an error of a type that is not registered here")
        }
        return error
    }
}
