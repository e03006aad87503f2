// What a YAML text says, with where it says it.

/// Line and column of a text, counted from 1.
package struct TextPosition: Hashable, Sendable, Comparable {
    package var line: Int
    package var column: Int
    package init(line: Int, column: Int) { self.line = line; self.column = column }
    package static func < (a: TextPosition, b: TextPosition) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// One node of a YAML document. Anchors, aliases and tags are not part of it: `YAMLReader` refuses them.
package struct YAMLTree: Sendable {
    package struct Entry: Sendable {
        package var key: String
        package var keyPosition: TextPosition
        package var value: YAMLTree
    }
    package indirect enum Content: Sendable {
        /// `isPlain` is false for a quoted or block scalar, which is text whatever it looks like.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLTree])
        case mapping([Entry])
    }
    package var content: Content
    package var position: TextPosition

    /// What it is, as a mistake's text names it.
    var kind: String {
        switch content {
        case .scalar("", isPlain: true): "nothing"
        case .scalar(let text, _): "`\(text.prefix(60))`"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
    var isNothing: Bool {
        if case .scalar(let text, isPlain: true) = content { return text.isEmpty || text == "~" || text == "null" }
        return false
    }
}
