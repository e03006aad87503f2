// The Composition State: what an editor saved about how a recording shall look and sound.
// The outside contract names its fields (`PUT /recordings/{id}/composition`); docs/decisions/0031-composition.md explains them.
package import Primitives
package import RTP

/// How the people of a picture are arranged.
package enum CompositionLayout: String, CaseIterable, Sendable {
    /// Everyone equally large; a shared screen takes three quarters.
    case grid
    /// Who speaks, large, with a strip of others below.
    case speaker
    /// Who speaks, large, with a column of others beside.
    case sidebar
    /// Who speaks, alone.
    case single
}

/// An edit of a recording. A value: reading (`init(json:)`), checking (`validate(against:)`) and writing (`json`) are beside it.
package struct CompositionState: Equatable, Sendable {
    package enum Limits {
        /// Of the JSON text: 10,000 entries of a hundred bytes.
        package static let bytes = 1 << 20
        package static let timelineEntries = 10_000
        package static let tracks = 1_000
        /// Mistakes told at once; the rest are counted.
        package static let mistakes = 20
        /// Hundredths of a decibel.
        package static let gain = -6_000...2_000
        package static let framesPerSecond = 24...60
        /// Lines of the picture.
        package static let height = 360...1080
        package static let titleBytes = 200
        /// Chapters: what MP4's `chpl` box can count.
        package static let chapters = 255
    }

    /// What happens at a time. A later entry about the same person or thing overrides an earlier one.
    package enum Action: Equatable, Sendable {
        case layout(CompositionLayout)
        /// This person is the large one, whoever speaks. The latest pin wins.
        case pin(ParticipantID)
        /// nil: all pins.
        case unpin(ParticipantID?)
        case mute(ParticipantID)
        case unmute(ParticipantID)
        /// Not in the picture; still heard.
        case hide(ParticipantID)
        case show(ParticipantID)
        /// Left out of the export, from the entry's time to its end.
        case cut
        case chapter(String)
    }
    package struct Entry: Equatable, Sendable {
        /// ms from the recording's time zero.
        package var t: Int64
        /// ms: the end of a `cut` (which must have one), or of a `pin`, `mute` or `hide` that shall end by itself.
        package var until: Int64?
        package var action: Action
        package init(t: Int64, until: Int64? = nil, _ action: Action) { self.t = t; self.until = until; self.action = action }
    }
    /// How one person sounds, over the whole recording.
    package struct Track: Equatable, Sendable {
        package var peer: ParticipantID
        package var isMuted = false
        /// Hundredths of a decibel.
        package var gain = 0
        package var isDenoised = false
        package init(peer: ParticipantID, isMuted: Bool = false, gain: Int = 0, isDenoised: Bool = false) {
            self.peer = peer; self.isMuted = isMuted; self.gain = gain; self.isDenoised = isDenoised
        }
    }
    package struct Export: Equatable, Sendable {
        /// Lines, even; the picture is 16:9.
        package var height = 720
        package var framesPerSecond = 30
        package init(height: Int = 720, framesPerSecond: Int = 30) { self.height = height; self.framesPerSecond = framesPerSecond }
        /// Pixels, even.
        package var size: VideoSize { VideoSize(width: (height * 16 / 9 + 1) / 2 * 2, height: height) }
    }

    /// Until an entry of the timeline changes it.
    package var layout = CompositionLayout.grid
    /// In the order in which it was sent; what counts is `t`, then this order.
    package var timeline: [Entry] = []
    package var tracks: [Track] = []
    package var export = Export()
    package init(layout: CompositionLayout = .grid, timeline: [Entry] = [], tracks: [Track] = [], export: Export = Export()) {
        self.layout = layout; self.timeline = timeline; self.tracks = tracks; self.export = export
    }
}

extension CompositionState.Action {
    /// The entry's `type`.
    package var name: String {
        switch self {
        case .layout: "layout"
        case .pin: "pin"
        case .unpin: "unpin"
        case .mute: "mute"
        case .unmute: "unmute"
        case .hide: "hide"
        case .show: "show"
        case .cut: "cut"
        case .chapter: "chapter"
        }
    }
    package var peer: ParticipantID? {
        switch self {
        case .pin(let peer), .mute(let peer), .unmute(let peer), .hide(let peer), .show(let peer): peer
        case .unpin(let peer): peer
        case .layout, .cut, .chapter: nil
        }
    }
    /// What ends this one; nil where nothing does.
    package var opposite: Self? {
        switch self {
        case .pin(let peer): .unpin(peer)
        case .mute(let peer): .unmute(peer)
        case .hide(let peer): .show(peer)
        default: nil
        }
    }
}

// MARK: - Writing

extension CompositionState {
    /// As it is stored and answered; reading it gives the same state.
    package var json: JSON {
        .compact([
            ("layout", .string(layout.rawValue)), ("timeline", .array(timeline.map(\.json))), ("tracks", .array(tracks.map(\.json))),
            ("export", .compact([("resolution", .string("\(export.height)p")), ("fps", .integer(Int64(export.framesPerSecond)))])),
        ])
    }
}
extension CompositionState.Entry {
    package var json: JSON {
        var layout: String?, title: String?
        if case .layout(let value) = action { layout = value.rawValue }
        if case .chapter(let value) = action { title = value }
        return .compact([
            ("t", .integer(t)), ("type", .string(action.name)), ("until", .int(until)), ("layout", .text(layout)),
            ("peer_id", .text(action.peer?.rawValue)), ("title", .text(title)),
        ])
    }
}
extension CompositionState.Track {
    package var json: JSON {
        .compact([
            ("peer_id", .string(peer.rawValue)), ("muted", .bool(isMuted)), ("gain_db", .number(Double(gain) / 100)), ("denoise", .bool(isDenoised)),
        ])
    }
}
