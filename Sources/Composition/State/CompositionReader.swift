// From JSON to a Composition State. Unknown fields are left alone, so that a newer editor's state still renders; unknown
// types and values are refused, because leaving out an edit silently is worse than an error.
package import Primitives

extension CompositionState {
    /// What `PUT /recordings/{id}/composition` calls with its body: reads it and checks it against the recording.
    package static func read(_ body: [UInt8], for recording: CompositionSubject) throws(CompositionError) -> CompositionState {
        let state = try read(body)
        try state.validate(against: recording)
        return state
    }
    /// Reads alone, for what was checked when it was saved.
    package static func read(_ body: [UInt8]) throws(CompositionError) -> CompositionState {
        guard body.count <= Limits.bytes else {
            throw CompositionError(.tooLarge, [CompositionMistake("", "\(body.count) bytes", instead: "send at most \(Limits.bytes)")])
        }
        let json: JSON
        do throws(JSONError) { json = try JSONParser.parse(body) } catch {
            throw CompositionError(error == .tooLong ? .tooLarge : .malformed, [CompositionMistake("", error.description, instead: "send one JSON object")])
        }
        return try CompositionState(json: json)
    }
    package init(json: JSON) throws(CompositionError) {
        guard case .object = json else { throw CompositionError(.malformed, [CompositionMistake("", "no JSON object", instead: "send {\"layout\": \"grid\"}")]) }
        var reader = CompositionReader()
        self = reader.state(json)
        guard reader.mistakes.isEmpty else { throw CompositionError(reader.isTooLarge ? .tooLarge : .malformed, reader.mistakes) }
    }
}

/// Collects every mistake of one document.
private struct CompositionReader {
    private(set) var mistakes: [CompositionMistake] = []
    private(set) var isTooLarge = false

    private mutating func mistake(_ path: String, _ problem: String, _ instead: String) { mistakes.append(CompositionMistake(path, problem, instead: instead)) }

    mutating func state(_ json: JSON) -> CompositionState {
        var state = CompositionState()
        if let value = present(json["layout"]) { state.layout = layout(value, "layout") ?? .grid }
        for (index, value) in list(json["timeline"], "timeline", most: CompositionState.Limits.timelineEntries).enumerated() {
            if let entry = entry(value, "timeline[\(index)]") { state.timeline.append(entry) }
        }
        for (index, value) in list(json["tracks"], "tracks", most: CompositionState.Limits.tracks).enumerated() {
            if let track = track(value, "tracks[\(index)]") { state.tracks.append(track) }
        }
        if let value = present(json["export"]) { state.export = export(value) }
        return state
    }

    // MARK: Parts

    private mutating func entry(_ json: JSON, _ path: String) -> CompositionState.Entry? {
        guard case .object = json else { mistake(path, "no object", "write {\"t\": 0, \"type\": \"layout\", \"layout\": \"grid\"}"); return nil }
        let count = mistakes.count
        let t = milliseconds(json["t"], "\(path).t")
        let until = present(json["until"]).flatMap { milliseconds($0, "\(path).until") }
        let action = action(json, path)
        guard mistakes.count == count, let t, let action else { return nil }
        switch (action, until) {
        case (.cut, nil): mistake("\(path).until", "missing", "write where the cut ends, in milliseconds")
        case (.layout, _?), (.unpin, _?), (.unmute, _?), (.show, _?), (.chapter, _?):
            mistake("\(path).until", "`\(action.name)` has no end", "leave `until` out")
        case (_, let end?) where end <= t: mistake("\(path).until", "\(end) is not after `t` (\(t))", "write a later time")
        default: break
        }
        return CompositionState.Entry(t: t, until: until, action)
    }
    private mutating func action(_ json: JSON, _ path: String) -> CompositionState.Action? {
        let types = "layout, pin, unpin, mute, unmute, hide, show, cut or chapter"
        guard let type = json["type"]?.string else { mistake("\(path).type", "missing or no text", "write one of \(types)"); return nil }
        switch type {
        case "layout":
            guard let value = present(json["layout"]) else { mistake("\(path).layout", "missing", "write \(Self.layouts)"); return nil }
            return layout(value, "\(path).layout").map { .layout($0) }
        case "pin": return peer(json["peer_id"], "\(path).peer_id").map { .pin($0) }
        case "unpin":
            guard let value = present(json["peer_id"]) else { return .unpin(nil) }
            return peer(value, "\(path).peer_id").map { .unpin($0) }
        case "mute": return peer(json["peer_id"], "\(path).peer_id").map { .mute($0) }
        case "unmute": return peer(json["peer_id"], "\(path).peer_id").map { .unmute($0) }
        case "hide": return peer(json["peer_id"], "\(path).peer_id").map { .hide($0) }
        case "show": return peer(json["peer_id"], "\(path).peer_id").map { .show($0) }
        case "cut": return .cut
        case "chapter":
            guard let title = json["title"]?.string, !title.isEmpty, title.utf8.count <= CompositionState.Limits.titleBytes else {
                mistake("\(path).title", "missing, empty or too long", "write 1 to \(CompositionState.Limits.titleBytes) bytes of text")
                return nil
            }
            return .chapter(title)
        default:
            mistake("\(path).type", "`\(type.prefix(40))` is no type", "write one of \(types)")
            return nil
        }
    }
    private mutating func track(_ json: JSON, _ path: String) -> CompositionState.Track? {
        guard case .object = json else { mistake(path, "no object", "write {\"peer_id\": \"…\", \"muted\": false, \"gain_db\": 0, \"denoise\": false}"); return nil }
        guard let peer = peer(json["peer_id"], "\(path).peer_id") else { return nil }
        var track = CompositionState.Track(peer: peer)
        track.isMuted = flag(json["muted"], "\(path).muted")
        track.isDenoised = flag(json["denoise"], "\(path).denoise")
        if let value = present(json["gain_db"]) {
            let limits = CompositionState.Limits.gain
            if let decibels = value.double, decibels >= Double(limits.lowerBound) / 100, decibels <= Double(limits.upperBound) / 100 {
                track.gain = Int((decibels * 100).rounded())
            } else {
                mistake("\(path).gain_db", "no number from \(limits.lowerBound / 100) to \(limits.upperBound / 100)", "write decibels in that range")
            }
        }
        return track
    }
    private mutating func export(_ json: JSON) -> CompositionState.Export {
        var export = CompositionState.Export()
        guard case .object = json else { mistake("export", "no object", "write {\"resolution\": \"720p\", \"fps\": 30}"); return export }
        if let value = present(json["resolution"]) {
            if let height = Self.height(value), CompositionState.Limits.height.contains(height), height % 2 == 0 { export.height = height } else {
                mistake("export.resolution", "no resolution that can be rendered", "write an even number of lines from 360p to 1080p, such as \"720p\"")
            }
        }
        if let value = present(json["fps"]) {
            if let rate = value.integer, let rate = Int(exactly: rate), CompositionState.Limits.framesPerSecond.contains(rate) { export.framesPerSecond = rate } else {
                mistake("export.fps", "no whole number from 24 to 60", "write frames per second in that range")
            }
        }
        return export
    }

    // MARK: Fields

    private static let layouts = CompositionLayout.allCases.map(\.rawValue).joined(separator: ", ")

    /// `null` is the same as left out.
    private func present(_ value: JSON?) -> JSON? { value == .null ? nil : value }

    private mutating func list(_ value: JSON?, _ path: String, most: Int) -> [JSON] {
        guard let value = present(value) else { return [] }
        guard let array = value.array else { mistake(path, "no array", "write a list, or leave it out"); return [] }
        guard array.count <= most else {
            isTooLarge = true
            mistake(path, "\(array.count) entries", "send at most \(most)")
            return []
        }
        return array
    }
    private mutating func layout(_ value: JSON, _ path: String) -> CompositionLayout? {
        if let layout = value.string.flatMap(CompositionLayout.init(rawValue:)) { return layout }
        mistake(path, "no layout", "write one of \(Self.layouts)")
        return nil
    }
    private mutating func milliseconds(_ value: JSON?, _ path: String) -> Int64? {
        if let time = value?.integer, time >= 0 { return time }
        mistake(path, present(value) == nil ? "missing" : "no whole number from 0", "write milliseconds from the beginning of the recording")
        return nil
    }
    private mutating func peer(_ value: JSON?, _ path: String) -> ParticipantID? {
        if let peer = value?.string.map({ ParticipantID($0) }), peer.isSafe { return peer }
        mistake(path, present(value) == nil ? "missing" : "no participant id", "write the `peer_id` of someone in the recording")
        return nil
    }
    private mutating func flag(_ value: JSON?, _ path: String) -> Bool {
        guard let value = present(value) else { return false }
        if let flag = value.bool { return flag }
        mistake(path, "neither true nor false", "write one of them")
        return false
    }
    /// "720p", "1280x720" or 720.
    private static func height(_ value: JSON) -> Int? {
        if let lines = value.integer { return Int(exactly: lines) }
        guard let text = value.string, text.utf8.count <= 16 else { return nil }
        if text.hasSuffix("p") { return Int(text.dropLast()) }
        let parts = text.split(separator: "x")
        guard parts.count == 2, let width = Int(parts[0]), let height = Int(parts[1]), (360...1080).contains(height) else { return nil }
        return CompositionState.Export(height: height).size.width == width ? height : nil
    }
}
