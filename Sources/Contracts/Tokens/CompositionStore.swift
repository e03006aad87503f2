// Saved compositions: how people want a recording to look.
import Primitives

package enum CompositionLimits {
    /// Bytes of `state`, UTF-8. Below `JobLimits.parametersBytes`: an export keeps the state it was asked for.
    package static let stateBytes = 192 * 1024
    package static let perRecording = 32
}

package struct CompositionRecord: Sendable, Hashable {
    package var recording: RecordingID
    package var id: CompositionID
    /// 1...; grows by one with every change.
    package var version: UInt64
    /// JSON.
    package var state: String
    /// The store's clock.
    package var updatedAt: WallTime
    package init(recording: RecordingID, id: CompositionID, version: UInt64, state: String, updatedAt: WallTime) {
        self.recording = recording; self.id = id; self.version = version; self.state = state; self.updatedAt = updatedAt
    }
}

package enum CompositionSaving: Sendable, Hashable {
    case saved(CompositionRecord)
    /// Somebody else has changed it since; nil: there is none.
    case conflict(CompositionRecord?)
    /// The recording has `CompositionLimits.perRecording`.
    case full
    case noRecording
}

/// Compositions go with their recording. Every call is bounded in time and throws `StoreError.away` where the store is.
package protocol CompositionStore: Sendable {
    /// - Parameters:
    ///   - state: JSON of at most `CompositionLimits.stateBytes`.
    ///   - expecting: the version that was changed, 0 for a new one; nil replaces whatever is there.
    func saveComposition(_ id: CompositionID, of recording: RecordingID, state: String, expecting: UInt64?) async throws -> CompositionSaving
    func composition(_ id: CompositionID, of recording: RecordingID) async throws -> CompositionRecord?
    /// By id.
    func compositions(of recording: RecordingID) async throws -> [CompositionRecord]
}
