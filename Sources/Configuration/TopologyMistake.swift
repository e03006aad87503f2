// What is wrong with a topology, where, and what to write instead.

/// One mistake. The text ends in what to do.
package struct TopologyMistake: Error, Equatable, Sendable {
    package var position: TextPosition
    package var text: String
    package init(_ position: TextPosition, _ text: String) { self.position = position; self.text = text }
}

/// Everything found wrong with one file, in the file's order.
package struct TopologyError: Error, Equatable, Sendable, CustomStringConvertible {
    package var file: String
    package var mistakes: [TopologyMistake]
    package init(file: String, mistakes: [TopologyMistake]) { self.file = file; self.mistakes = mistakes }

    /// One line a mistake: `three-node.yaml:12:5: …`.
    package var description: String {
        mistakes.map { "\(file):\($0.position.line):\($0.position.column): \($0.text)" }.joined(separator: "\n")
    }
}

/// Finds the word someone meant.
package enum Suggestion {
    /// The one of `words` nearest to `word`, when it is near enough to be a slip.
    package static func nearest(to word: String, among words: [String]) -> String? {
        let best = words.map { (distance: distance(word, $0), word: $0) }.min { ($0.distance, $0.word) < ($1.distance, $1.word) }
        guard let best, best.distance <= max(2, word.count / 3) else { return nil }
        return best.word
    }

    /// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
    package static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a.lowercased().utf8.prefix(64)), b = Array(b.lowercased().utf8.prefix(64))
        guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
        var previous: [Int] = [], row = Array(0...b.count)
        for i in 1...a.count {
            var next = [i]
            for j in 1...b.count {
                var cost = min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { cost = min(cost, previous[j - 2] + 1) }
                next.append(cost)
            }
            previous = row
            row = next
        }
        return row[b.count]
    }
}
