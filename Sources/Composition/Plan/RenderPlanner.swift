// From a Composition State and a recording's manifest and timeline to a render plan.
//
// One sweep over everything that changes anything, in order of time. Between two changes the picture stands; equal
// neighbours become one interval; cuts are taken out at the end, so that they know nothing of layouts.
package import Capture
internal import Primitives

package enum RenderPlanner {
    package enum Limits {
        /// Of one plan: 12 hours with a switch every two seconds and 10,000 entries have 40,000.
        package static let intervals = 200_000
        /// µs between chapters nobody asked for.
        static let chapterDistance: Int64 = 10_000_000
    }
    private struct Moment {
        var time: Int64
        /// At one time: what was so, who spoke, what ends, what begins.
        var phase: Int
        var change: Stage.Change
    }

    /// - Parameter state: validated against this manifest. Never traps on one that was not: unknown people are passed over.
    /// - Throws: `.unsupported` when there is nothing to render, `.tooLarge` beyond `Limits.intervals`.
    package static func plan(_ state: CompositionState, _ manifest: Manifest, _ timeline: Timeline?) throws(CompositionError) -> RenderPlan {
        let scene = RecordedScene(manifest, timeline)
        let kept = Spans([0..<scene.duration]).subtracting(Spans(state.timeline.compactMap { entry in
            guard case .cut = entry.action, let until = entry.until, until > entry.t else { return nil }
            return clamped(entry.t, scene)..<clamped(until, scene)
        }))
        guard !scene.people.isEmpty, kept.total > 0 else {
            throw CompositionError(.unsupported, [CompositionMistake("", scene.people.isEmpty ? "no track of this recording has a file" : "nothing is left to render", instead: "there is nothing to export")])
        }
        var intervals: [RenderPlan.Interval] = []
        var stage = Stage(state, scene), cursor = OutputCursor(kept)
        let moments = moments(state, scene)
        var index = 0, time: Int64 = 0
        while time < scene.duration {
            while index < moments.count, moments[index].time <= time {
                stage.apply(moments[index].change)
                index += 1
            }
            let until = index < moments.count ? min(moments[index].time, scene.duration) : scene.duration
            cursor.take(time..<until) { output, start in
                append(RenderPlan.Interval(output: output, start: start, tiles: stage.tiles(), sounds: stage.sounds), to: &intervals)
            }
            guard intervals.count <= Limits.intervals else {
                throw CompositionError(.tooLarge, [CompositionMistake("timeline", "more than \(Limits.intervals) changes of the picture", instead: "export a part, or write fewer entries")])
            }
            time = until
        }
        let denoised = Set(state.tracks.filter(\.isDenoised).map(\.peer))
        return RenderPlan(
            picture: state.export.size, framesPerSecond: state.export.framesPerSecond,
            people: scene.people.map { RenderPlan.Person(id: $0.id, name: $0.name) },
            sources: scene.tracks.map { track in
                var source = track.source
                source.isDenoised = source.kind == .audio && denoised.contains(scene.people[source.person].id)
                return source
            },
            intervals: intervals, chapters: chapters(state, scene, manifest, kept), missing: scene.missing, duration: kept.total)
    }

    /// A plan in which the same picture goes on is one interval.
    private static func append(_ interval: RenderPlan.Interval, to intervals: inout [RenderPlan.Interval]) {
        if let last = intervals.last, last.tiles == interval.tiles, last.sounds == interval.sounds, last.recorded(last.output.upperBound) == interval.start {
            intervals[intervals.count - 1].output = last.output.lowerBound..<interval.output.upperBound
        } else {
            intervals.append(interval)
        }
    }
    private static func clamped(_ milliseconds: Int64, _ scene: RecordedScene) -> Int64 { min(max(0, milliseconds), scene.duration / 1000 + 1) * 1000 }

    // MARK: - Everything that changes anything

    private static func moments(_ state: CompositionState, _ scene: RecordedScene) -> [Moment] {
        var out: [Moment] = []
        func onAndOff(_ spans: Spans, _ change: (Bool) -> Stage.Change) {
            for range in spans.ranges {
                out.append(Moment(time: range.lowerBound, phase: 0, change: change(true)))
                out.append(Moment(time: range.upperBound, phase: 0, change: change(false)))
            }
        }
        for (index, person) in scene.people.enumerated() { onAndOff(person.present) { .present(person: index, $0) } }
        for (index, track) in scene.tracks.enumerated() {
            onAndOff(track.live) { .live(track: index, $0) }
            out += track.turns.map { Moment(time: $0.time, phase: 0, change: .turned(track: index, degrees: $0.degrees)) }
        }
        out += ActiveSpeaker.switches(scene.people.map(\.speaking)).map { Moment(time: $0.time, phase: 1, change: .speaks(person: $0.person)) }
        for entry in state.timeline {
            out.append(Moment(time: clamped(entry.t, scene), phase: 3, change: .edit(entry.action)))
            if let until = entry.until, let end = entry.action.opposite { out.append(Moment(time: clamped(until, scene), phase: 2, change: .edit(end))) }
        }
        return out.enumerated().sorted { ($0.element.time, $0.element.phase, $0.offset) < ($1.element.time, $1.element.phase, $1.offset) }.map(\.element)
    }

    // MARK: - Chapters

    /// The editor's, or where nobody wrote any: shared screens and people who came later.
    private static func chapters(_ state: CompositionState, _ scene: RecordedScene, _ manifest: Manifest, _ kept: Spans) -> [RenderPlan.Chapter] {
        var marks = state.timeline.compactMap { entry -> (time: Int64, title: String)? in
            guard case .chapter(let title) = entry.action else { return nil }
            return (clamped(entry.t, scene), title)
        }
        var distance: Int64 = 1
        if marks.isEmpty {
            distance = Limits.chapterDistance
            for track in scene.tracks where track.source.isScreen && track.source.kind == .video {
                marks += track.live.ranges.map { ($0.lowerBound, "\(scene.people[track.source.person].name) shares a screen") }
            }
            for person in scene.people { if let first = person.present.ranges.first, first.lowerBound > 0 { marks.append((first.lowerBound, "\(person.name) joins")) } }
        }
        var out: [RenderPlan.Chapter] = [], cursor = OutputCursor(kept)
        for mark in marks.enumerated().sorted(by: { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }).map(\.element) {
            guard let at = cursor.output(of: mark.time), at >= (out.last.map { $0.at + distance } ?? 0) else { continue }
            if out.isEmpty, at > 0 { out.append(RenderPlan.Chapter(at: 0, title: manifest.title.isEmpty ? "Start" : String(manifest.title.prefix(80)))) }
            guard out.count < CompositionState.Limits.chapters, at >= (out.last.map { $0.at + distance } ?? 0) else { continue }
            out.append(RenderPlan.Chapter(at: at, title: mark.title))
        }
        // A lone beginning is no chapter.
        return out.count == 1 && distance == Limits.chapterDistance ? [] : out
    }
}

/// Walks over what is kept, in order of time.
private struct OutputCursor {
    private let kept: [Range<Int64>]
    private var index = 0
    /// Output before `kept[index]`.
    private var before: Int64 = 0
    init(_ kept: Spans) { self.kept = kept.ranges }

    private mutating func skip(to time: Int64) {
        while index < kept.count, kept[index].upperBound <= time {
            before += kept[index].upperBound - kept[index].lowerBound
            index += 1
        }
    }
    /// Calls `body` with each kept part of `range`: its output, and the recording's time at which that begins. `range`s come in order.
    mutating func take(_ range: Range<Int64>, _ body: (Range<Int64>, Int64) -> Void) {
        skip(to: range.lowerBound)
        while index < kept.count, kept[index].lowerBound < range.upperBound {
            let part = kept[index].clamped(to: range)
            let output = before + part.lowerBound - kept[index].lowerBound
            if !part.isEmpty { body(output..<(output + part.upperBound - part.lowerBound), part.lowerBound) }
            guard kept[index].upperBound <= range.upperBound else { return }
            skip(to: kept[index].upperBound)
        }
    }
    /// The output's time of a moment, or of what follows the cut it stands in; nil at the end. Times come in order.
    mutating func output(of time: Int64) -> Int64? {
        skip(to: time)
        guard index < kept.count else { return nil }
        return before + max(0, time - kept[index].lowerBound)
    }
}
