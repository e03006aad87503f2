// Who is shown large, from who spoke when. All of the recording is known, so that a switch stands where a sentence begins,
// and short interjections move nothing.

package enum ActiveSpeaker {
    package enum Limits {
        /// µs: who speaks for less than this (a cough, "yes") is not switched to.
        package static let shortest: Int64 = 700_000
        /// After a switch nothing is switched for this long.
        package static let hold: Int64 = 2_000_000
        /// Who begins while another still speaks takes over after this long.
        package static let takeover: Int64 = 1_500_000
    }
    /// From `time` on, `person` is the active speaker.
    package struct Switch: Equatable, Sendable {
        package var time: Int64
        package var person: Int
    }
    private struct Speech {
        var person: Int
        var range: Range<Int64>
    }

    /// - Parameter speaking: for each person, when they spoke, µs.
    /// - Returns: in order of time, never the same person twice in a row.
    package static func switches(_ speaking: [Spans]) -> [Switch] {
        let speeches = speaking.enumerated()
            .flatMap { person, spans in spans.ranges.map { Speech(person: person, range: $0) } }
            .filter { $0.range.upperBound - $0.range.lowerBound >= Limits.shortest }
            .sorted { ($0.range.lowerBound, $0.person) < ($1.range.lowerBound, $1.person) }
        // Only there can anything change: a speech begins, has lasted long enough, or ends.
        var moments = Set(speeches.flatMap { [$0.range.lowerBound, $0.range.lowerBound + Limits.takeover, $0.range.upperBound] }).sorted()[...]
        var open: [Speech] = [], next = 0, out: [Switch] = [], wake: Int64?
        while let now = [moments.first, wake].compactMap({ $0 }).min() {
            if moments.first == now { moments.removeFirst() }
            if wake == now { wake = nil }
            while next < speeches.count, speeches[next].range.lowerBound <= now { open.append(speeches[next]); next += 1 }
            open.removeAll { $0.range.upperBound <= now }
            guard let person = wanted(open, current: out.last?.person, now) else { continue }
            if let last = out.last, now < last.time + Limits.hold { wake = last.time + Limits.hold; continue }
            out.append(Switch(time: now, person: person))
        }
        return out
    }
    /// Who should be active instead of `current`; nil for nobody else.
    private static func wanted(_ open: [Speech], current: Int?, _ now: Int64) -> Int? {
        guard let present = open.first(where: { $0.person == current }) else { return open.first?.person }
        // The latest who began during the current one's speech and went on: two who speak at once do not alternate.
        return open.last { $0.person != current && $0.range.lowerBound > present.range.lowerBound && now >= $0.range.lowerBound + Limits.takeover }?.person
    }
}
