// What is wrong with a Composition State, in the words its author needs.

/// One mistake: where, what, and what to write instead.
package struct CompositionMistake: Equatable, Sendable, CustomStringConvertible {
    /// Into the JSON: `timeline[3].peer_id`. Empty for the whole document.
    package let path: String
    package let problem: String
    package let instead: String
    package init(_ path: String, _ problem: String, instead: String) { self.path = path; self.problem = problem; self.instead = instead }
    package var description: String { (path.isEmpty ? "" : "\(path): ") + "\(problem); \(instead)" }
}

/// Why a Composition State is refused.
package struct CompositionError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// More than `CompositionState.Limits` allow (413).
        case tooLarge
        /// Not JSON, or not of this shape (400).
        case malformed
        /// Well-formed, but not about this recording, or not to be rendered (422).
        case unsupported
    }
    package let kind: Kind
    /// At most `CompositionState.Limits.mistakes`, in document order.
    package let mistakes: [CompositionMistake]
    /// How many more there were.
    package let further: Int

    package init(_ kind: Kind, _ mistakes: [CompositionMistake]) {
        self.kind = kind
        self.mistakes = Array(mistakes.prefix(CompositionState.Limits.mistakes))
        further = max(0, mistakes.count - CompositionState.Limits.mistakes)
    }
    /// One line a mistake.
    package var description: String { mistakes.map(\.description).joined(separator: "\n") + (further > 0 ? "\nand \(further) more" : "") }
}
