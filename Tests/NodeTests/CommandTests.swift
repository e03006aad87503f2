import Configuration
import Node
import Primitives
import Testing

@Suite struct Commands {
    @Test(arguments: [
        (["node", "--topology", "t.yaml", "--name", "a"], Command.node(topology: "t.yaml", name: "a", log: .info)),
        (["node", "--name=a", "--topology=t.yaml", "--log-level", "debug"], .node(topology: "t.yaml", name: "a", log: .debug)),
        (["keys", "--topology", "t.yaml"], .keys(topology: "t.yaml")),
        (["topology", "check", "t.yaml"], .checkTopology(file: "t.yaml")),
        (["topology", "nodes", "t.yaml"], .listNodes(file: "t.yaml")),
        (["--help"], .help), (["node", "-h"], .help), (["help"], .help), (["--version"], .version),
    ])
    func read(arguments: [String], command: Command) throws { #expect(try Command.parse(arguments) == command) }

    @Test(arguments: [
        ([], "a command is missing; `troupe --help` lists them"),
        (["nod"], "`nod` is not a command; did you mean `node`?"),
        (["frobnicate"], "`frobnicate` is not a command; `troupe --help` lists them"),
        (["node", "--name", "a"], "`troupe node` needs `--topology FILE`"),
        (["node", "--topology", "t", "--nam", "a"], "`--nam` is not an option of `troupe node`; did you mean `--name`?"),
        (["node", "--topology"], "`--topology` needs a value"),
        (["node", "--topology", "t", "--topology", "u"], "`--topology` is given twice"),
        (["node", "--topology", "t", "--name", "a", "--log-level", "loud"], "`loud` is not a level; write debug, info, warning or error"),
        (["topology", "chek", "t"], "`topology chek` is not a command; write `troupe topology check FILE` or `troupe topology nodes FILE`"),
    ])
    func refused(arguments: [String], text: String) {
        let error = #expect(throws: UsageError.self) { try Command.parse(arguments) }
        #expect(error?.description == text)
    }
}

@Suite struct LogLines {
    @Test func oneLineIsOneObject() {
        let line = LogLine.text(at: WallTime(microseconds: 1_900_000_000_123_456), level: .warning, node: "node-1", message: "a \"b\"\n", fields: [("room", "r\\1"), ("level", "forged"), ("bell", "\u{7}")])
        #expect(String(decoding: line, as: UTF8.self) == #"{"time":"2030-03-17T17:46:40.123Z","level":"warning","node":"node-1","message":"a \"b\"\n","room":"r\\1","bell":"\u0007"}"# + "\n")
    }
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
        (1_709_251_199_999_999, "2024-02-29T23:59:59.999Z"), (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"),
    ] as [(Int64, String)])
    func timesAreUTC(microseconds: Int64, text: String) { #expect(WallTime(microseconds: microseconds).rfc3339 == text) }

    @Test func aLongLineStaysWholeAndBounded() {
        let long = String(repeating: "ü", count: 3_000)
        for (message, fields) in [(long, []), ("short", [("a", long), ("b", "kept")])] as [(String, [(String, String)])] {
            let line = LogLine.text(at: WallTime(seconds: 0), level: .info, node: nil, message: message, fields: fields)
            #expect(line.count <= Log.Limits.lineBytes && line.last == UInt8(ascii: "\n") && line[line.count - 2] == UInt8(ascii: "}"))
        }
    }
}

@Suite struct Metrics {
    @Test func theTextIsPrometheus() {
        var metrics = MetricsText()
        metrics.add("troupe_drops_total", .counter, "Packets dropped.", [.init(["reason": "un\"known"], 3), .init(["reason": "old"], 0.5)])
        metrics.add("troupe_rooms", .gauge, "Rooms.", 2)
        metrics.append("x 1")
        #expect(metrics.text == """
            # HELP troupe_drops_total Packets dropped.
            # TYPE troupe_drops_total counter
            troupe_drops_total{reason="un\\"known"} 3
            troupe_drops_total{reason="old"} 0.5
            # HELP troupe_rooms Rooms.
            # TYPE troupe_rooms gauge
            troupe_rooms 2
            x 1

            """)
    }
    @Test func aProcessKnowsItself() {
        var metrics = MetricsText()
        ProcessMetrics.add(to: &metrics, version: "1", startedAt: 5)
        let values = Dictionary(uniqueKeysWithValues: metrics.text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            (String(line.split(separator: " ")[0]), Double(line.split(separator: " ")[1]) ?? .nan)
        })
        #expect(values["process_resident_memory_bytes"] ?? 0 > 1e6)
        #expect(values["process_open_fds"] ?? 0 >= 3)
        #expect(values["process_cpu_seconds_total"] ?? 0 > 0)
    }
}
