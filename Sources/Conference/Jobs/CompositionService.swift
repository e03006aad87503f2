// What gateways ask about what is made of a recording: previews, compositions, exports, jobs.
import Contracts
import Primitives

package enum CompositionScope {
    package static let preview = "preview:read"
    package static let write = "composition:write"
    package static let export = "export:create"
    package static let all = [preview, write, export]
}

/// Calls throw `ServiceError`, `StoreError`, and `CompositionError` where a state is refused.
package protocol CompositionService: Sendable {
    /// Keeps a composition token of the recording, by its hash.
    func makeToken(of recording: RecordingID, _ hash: TokenHash, caller: Caller) async throws -> TokenRecord
    /// Asks for per-peer HLS; asking again answers the same job.
    func preview(_ recording: RecordingID, _ order: PreviewOrder, caller: Caller) async throws -> JobRecord
    /// - Parameter expecting: the version that was edited; nil replaces whatever is there.
    func save(_ id: CompositionID, of recording: RecordingID, _ body: [UInt8], expecting: UInt64?, caller: Caller) async throws -> CompositionRecord
    func composition(_ id: CompositionID, of recording: RecordingID, caller: Caller) async throws -> CompositionRecord
    /// - Parameters:
    ///   - composition: a saved one; nil renders a grid of everyone.
    ///   - height: of the picture, instead of the composition's own.
    func export(_ recording: RecordingID, _ composition: CompositionID?, _ format: ExportFormat, height: Int?, caller: Caller) async throws -> JobRecord
    /// Newest first.
    func jobs(of recording: RecordingID, caller: Caller) async throws -> [JobRecord]
    func job(_ id: JobID, caller: Caller) async throws -> JobRecord
    func cancelJob(_ id: JobID, caller: Caller) async throws -> JobRecord
}
