// What became of an order, as people read it.
internal import Contracts
internal import Primitives

enum OrderViews {
    static func move(_ report: MoveReport) -> String {
        if report.from == report.to { return "\(report.room) is on \(report.to) already (epoch \(report.epoch.rawValue))\n" }
        let from = report.from.map { " from \($0)" } ?? ""
        return "\(report.room) moved\(from) to \(report.to) in \(AmountText.fixed(report.milliseconds, 1)) ms (epoch \(report.epoch.rawValue))\n"
    }
    static func pin(_ report: PinReport) -> String {
        guard let node = report.node else { return "\(report.room) is pinned nowhere\n" }
        return "\(report.room) belongs on \(node); where it is active it stays until `troupectl move \(report.room) --to \(node)` or `troupectl rebalance`\n"
    }

    static func drain(_ report: DrainReport) -> String {
        switch report.state {
        case .none: return "\(report.node) takes work\n"
        case .draining: return progress(report) + "\n"
        case .drained:
            return "\(report.node) is drained: rooms and recordings moved: \(report.actors), clients moved: \(report.moved), clients that left: \(report.left); `troupectl undrain \(report.node)` lets it take work again\n"
        case .incomplete:
            let why = report.failures.map { "  \(DisplayText.safe($0))\n" }.joined()
            return "\(report.node) is not empty: \(report.actorsLeft) of \(report.actors) rooms and recordings stay, \(cutOff(report)); `troupectl undrain \(report.node)` lets it take work again\n" + why
        }
    }
    private static func cutOff(_ report: DrainReport) -> String {
        "\(report.cut + report.cutUnaware) of \(report.clients) clients were cut off" + (report.cutUnaware > 0 ? ", \(report.cutUnaware) of them unable to move" : "")
    }
    /// One line, for a line that is drawn again and again.
    static func progress(_ report: DrainReport) -> String {
        let left = report.secondsLeft.map { ", \(SpanText.short(seconds: $0.rounded(.up))) to the deadline" } ?? ""
        return "\(report.node) drains: \(report.actorsLeft) of \(report.actors) rooms and recordings left, \(report.clientsLeft) of \(max(report.clients, report.clientsLeft)) clients left\(left)"
    }

    static func rebalance(_ report: RebalanceReport, terminal: Int?) -> String {
        switch report.state {
        case .none: return "no plan is being carried out\n"
        case .planned:
            guard report.planned > 0 else { return "nothing to move: load follows capacity\n" }
            return moves(report.moves, terminal) + "\(report.planned) \(report.planned == 1 ? "move" : "moves"); nothing was moved: `troupectl rebalance` makes them\n"
        case .running, .stopped, .done:
            let node = report.node.map { " by \($0)" } ?? ""
            guard report.planned > 0 else { return "nothing to move: load follows capacity\n" }
            let text = "the plan\(node) is \(report.state == .running ? "under way" : report.state.rawValue): \(report.made) of \(report.planned) moves made, \(report.failed) failed, \(report.waiting) to go\n"
            return text + (report.moves.isEmpty ? "" : moves(report.moves, terminal))
        }
    }
    private static func moves(_ list: [RebalanceReport.Move], _ terminal: Int?) -> String {
        let hasFailed = list.contains { $0.failure != nil }
        var table = TextTable([.right("#"), .left("WHAT"), .left("FROM"), .left("TO"), .right("COST"), .left("REASON")] + (hasFailed ? [.flexible("FAILURE")] : []))
        for (index, move) in list.enumerated() {
            table.add(["\(index + 1)", "\(move.kind) \(move.key)", move.from.rawValue, move.to.rawValue, "\(move.cost)", move.reason] + (hasFailed ? [move.failure] : []))
        }
        return table.text(terminal: terminal)
    }
}
