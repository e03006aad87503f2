// Nodes as people see them.
internal import Contracts
internal import Primitives

enum NodeViews {
    /// - Parameter asked: the node that gathered this: round trips and clocks are as it sees them.
    static func nodes(_ nodes: [NodeReport], asked: NodeName, terminal: Int?) -> String {
        var table = TextTable([
            .left("NODE"), .left("STATE"), .flexible("ROLES"), .left("REGION"), .right("ROOMS"), .right("PEOPLE"), .right("REC"), .right("USED"), .right("UPTIME"),
            .right("RTT"), .right("CLOCK"), .right("QUEUE"), .left("VERSION"),
        ])
        let links = Dictionary((nodes.first { $0.name == asked }?.links ?? []).map { ($0.peer, $0) }, uniquingKeysWith: { first, _ in first })
        for node in nodes {
            let link = links[node.name]
            table.add([
                node.name.rawValue, node.state, node.roles.isEmpty ? nil : node.roles.joined(separator: ","), node.region, node.rooms.map(String.init), node.participants.map(String.init),
                node.recordings.map(String.init), node.capacity.map { "\($0.used)/\($0.units)" }, node.uptimeSeconds.map { SpanText.short(seconds: $0) },
                node.isAway ? nil : link?.roundTripMilliseconds.map { AmountText.fixed($0, 2) + " ms" }, node.isAway ? nil : link?.clockOffsetMilliseconds.map { signed($0) + " ms" },
                node.isAway ? nil : AmountText.bytes(Int64(node.links.reduce(0) { $0 + $1.queueBytes })), node.version,
            ])
        }
        var text = table.text(terminal: terminal)
        for node in nodes where node.isAway { text += "\(node.name) is away: \(DisplayText.safe(node.reason ?? "it does not answer"))\n" }
        for node in nodes { if let drain = node.drain { text += OrderViews.drain(drain) } }
        return text
    }
    private static func signed(_ milliseconds: Double) -> String { (milliseconds > 0 ? "+" : "") + AmountText.fixed(milliseconds, 1) }

    static func top(_ samples: [NodeSample], terminal: Int?) -> String {
        var table = TextTable([
            .left("NODE"), .left("STATE"), .right("CPU"), .right("LAG"), .right("PACKETS IN/s"), .right("OUT/s"), .right("IN"), .right("OUT"), .right("LOSS"),
            .right("MEMORY"), .right("ROOMS"), .right("PEOPLE"), .right("REC"),
        ])
        for node in samples {
            table.add([
                node.name.rawValue, node.state, node.cpu.map { AmountText.percent($0) }, node.loopLagMilliseconds.map { AmountText.fixed($0, 1) + " ms" },
                node.packetsInPerSecond.map(AmountText.count), node.packetsOutPerSecond.map(AmountText.count), node.bytesInPerSecond.map { AmountText.bits(bytesPerSecond: $0) },
                node.bytesOutPerSecond.map { AmountText.bits(bytesPerSecond: $0) }, node.loss.map { AmountText.percent($0, 2) }, node.residentBytes.map { AmountText.bytes($0) },
                node.rooms.map(String.init), node.participants.map(String.init), node.recordings.map(String.init),
            ])
        }
        return table.text(terminal: terminal)
    }
}
