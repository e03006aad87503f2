// One number for how whole a track is, 0...100. Decision: docs/decisions/0040-parts-and-integrity.md

/// The share of a track's time that is there, weighted by what is missing instead.
///
/// The track's time is from its begin (its first packet) to its end, less the times in which nothing was to be captured: mutes, and whoever
/// was left out. Silence that is not sent (DTX) misses no packet and is no hole. Of that time
/// - a hole, whatever its cause, counts whole: nobody has what was sent then;
/// - a freeze counts half: a picture stands still, sound goes on, packets after a loss wait for the next key frame;
/// - the wait for the first key frame counts a quarter: nobody in the room saw anything earlier either.
///
/// Where several of them meet, the worst counts. The score is rounded down, so 100 is a track of which nothing is missing, and 0 one of
/// which nothing is there.
package enum IntegrityScore {
    package enum Weights {
        package static let hole = 1.0
        package static let freeze = 0.5
        package static let firstKeyFrame = 0.25
    }
    /// µs of the track in which something is missing.
    package struct Missing: Sendable, Equatable {
        package var from: Int64
        package var to: Int64
        package var weight: Double
        package init(from: Int64, to: Int64, weight: Double) { self.from = from; self.to = to; self.weight = weight }
    }

    /// - Parameters:
    ///   - span: µs, the track's time; empty or backwards: nothing of it is there.
    ///   - quiet: µs, when nothing was to be captured; may overlap.
    package static func score(span: (from: Int64, to: Int64), missing: [Missing], quiet: [ClosedRange<Int64>]) -> Int {
        guard span.to > span.from else { return 0 }
        // At each border the weights that hold from there on.
        enum Change { case weight(Double, Int), quiet(Int) }
        var changes: [(at: Int64, change: Change)] = []
        func clamp(_ time: Int64) -> Int64 { min(max(time, span.from), span.to) }
        for part in missing where clamp(part.to) > clamp(part.from) {
            changes += [(clamp(part.from), .weight(part.weight, 1)), (clamp(part.to), .weight(part.weight, -1))]
        }
        for range in quiet where clamp(range.upperBound) > clamp(range.lowerBound) {
            changes += [(clamp(range.lowerBound), .quiet(1)), (clamp(range.upperBound), .quiet(-1))]
        }
        changes.sort { $0.at < $1.at }
        var counted = 0.0, lost = 0.0, at = span.from, quietDepth = 0, weights: [Double: Int] = [:]
        func pass(to next: Int64) {
            if quietDepth == 0 {
                counted += Double(next - at)
                lost += Double(next - at) * (weights.filter { $0.value > 0 }.keys.max() ?? 0)
            }
            at = next
        }
        for (next, change) in changes {
            pass(to: next)
            switch change {
            case .weight(let weight, let step): weights[weight, default: 0] += step
            case .quiet(let step): quietDepth += step
            }
        }
        pass(to: span.to)
        // A track that was muted all the time misses nothing.
        guard counted > 0 else { return 100 }
        return Int((100 * (1 - lost / counted)).rounded(.down))
    }
}
