// Tables for people: aligned by what a terminal shows, never wider than it.

struct TextTable {
    enum Limits {
        /// Between two columns.
        static let gap = 2
        /// What is left of a column that is cut for want of room.
        static let flexibleLeast = 12
    }
    struct Column {
        let title: String
        var isRight = false
        /// Cut first where the table is wider than the terminal.
        var isFlexible = false
        static func left(_ title: String) -> Column { Column(title: title) }
        static func right(_ title: String) -> Column { Column(title: title, isRight: true) }
        static func flexible(_ title: String) -> Column { Column(title: title, isFlexible: true) }
    }
    private let columns: [Column]
    private var rows: [[String]] = []
    init(_ columns: [Column]) { self.columns = columns }

    /// - Parameter cells: one for each column; nil shows as a dash.
    mutating func add(_ cells: [String?]) {
        precondition(cells.count == columns.count)
        rows.append(cells.map { $0.map { DisplayText.safe($0) } ?? "–" })
    }
    var isEmpty: Bool { rows.isEmpty }

    /// - Parameter terminal: its columns; nil where nobody watches, and nothing is cut.
    func text(terminal: Int? = nil) -> String {
        var widths = columns.indices.map { index in max(DisplayText.width(columns[index].title), rows.map { DisplayText.width($0[index]) }.max() ?? 0) }
        if let terminal { Self.fit(&widths, columns, into: terminal) }
        return ([columns.map(\.title)] + rows).map { line($0, widths) + "\n" }.joined()
    }
    /// Takes what is too much from the flexible columns, the widest first.
    private static func fit(_ widths: inout [Int], _ columns: [Column], into terminal: Int) {
        var excess = widths.reduce(0, +) + Limits.gap * max(0, widths.count - 1) - terminal
        while excess > 0, let index = columns.indices.filter({ columns[$0].isFlexible && widths[$0] > Limits.flexibleLeast }).max(by: { widths[$0] < widths[$1] }) {
            let taken = min(excess, widths[index] - Limits.flexibleLeast)
            widths[index] -= taken
            excess -= taken
        }
    }
    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var out = ""
        for (index, cell) in cells.enumerated() {
            let shown = DisplayText.cut(cell, to: widths[index])
            let space = String(repeating: " ", count: max(0, widths[index] - DisplayText.width(shown)))
            let gap = index == 0 ? "" : String(repeating: " ", count: Limits.gap)
            out += gap + (columns[index].isRight ? space + shown : shown + space)
        }
        while out.hasSuffix(" ") { out.removeLast() }
        return out
    }
}
