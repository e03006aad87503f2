// How many columns of a terminal a text takes, and how it is made safe to show there.

/// A title is what a stranger typed: nothing in it may move the cursor, change colours or turn the direction of writing.
enum DisplayText {
    /// `text` on one line, without anything a terminal would obey.
    static func safe(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
        var out = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { out.append(isUnsafe(scalar) ? (scalar == "\n" || scalar == "\t" ? " " : "\u{FFFD}") : scalar) }
        return String(out)
    }
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: true
        // Bidirectional overrides and isolates; joiners within emoji stay.
        case .format: (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value) || (0x200E...0x200F).contains(scalar.value) || (0xE0000...0xE007F).contains(scalar.value)
        default: false
        }
    }

    /// Columns of a terminal, as wcwidth and UAX #11 count them: wide characters and emoji take two, marks none.
    static func width(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }
    private static func width(_ character: Character) -> Int {
        let scalars = character.unicodeScalars
        if scalars.contains(where: { isWide($0) || $0.value == 0xFE0F }) { return 2 }
        guard let first = scalars.first else { return 0 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: return 1
        }
    }
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isEmojiPresentation || wide.contains { $0.contains(scalar.value) }
    }
    /// East Asian Wide and Fullwidth (UAX #11), by block.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
        0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1B000...0x1B2FF, 0x20000...0x3FFFD,
    ]

    /// At most `columns` columns; what is cut off shows as an ellipsis.
    static func cut(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        guard columns > 0 else { return "" }
        var out = "", used = 0
        for character in text {
            let next = width(character)
            guard used + next <= columns - 1 else { break }
            out.append(character)
            used += next
        }
        return out + "…"
    }
}
