import Configuration
import Contracts
import Primitives
import Testing

@testable import Operator

@Suite struct CommandLines {
    @Test(arguments: [
        (["nodes"], .nodes),
        (["rooms"], .rooms(RoomQuery())),
        (["rooms", "--on", "n1", "--filter", "stand up", "--recorded", "--limit", "5", "--after=R_1"], .rooms(RoomQuery(after: "R_1", limit: 5, node: "n1", filter: "stand up", isRecorded: true))),
        (["room", "R_1"], .room("R_1")),
        (["move", "R_1", "--to", "n2"], .move("R_1", to: "n2")), (["move", "--to=n2", "R_1"], .move("R_1", to: "n2")),
        (["pin", "R_1", "--to", "n2"], .pin("R_1", to: "n2")), (["unpin", "R_1"], .pin("R_1", to: nil)),
        (["drain", "n1"], .drain("n1", seconds: 60, waits: false)), (["drain", "--wait", "n1", "--deadline", "1m30s"], .drain("n1", seconds: 90, waits: true)),
        (["undrain", "n1"], .undrain("n1")),
        (["rebalance"], .rebalance(.begin)), (["rebalance", "--dry-run"], .rebalance(.plan)), (["rebalance", "--status"], .rebalance(.status)),
        (["rebalance", "--stop"], .rebalance(.stop)), (["rebalance", "--resume"], .rebalance(.resume)),
        (["recordings", "--room", "R_1"], .recordings(RecordingQuery(room: "R_1"))), (["jobs"], .jobs(100)),
        (["top"], .top(interval: .seconds(2), once: false)), (["top", "--once"], .top(interval: .seconds(2), once: true)), (["top", "--interval", "500ms"], .top(interval: .milliseconds(500), once: false)),
        (["events", "--since", "12", "--follow"], .events(EventQuery(since: 12), follows: true)), (["events"], .events(EventQuery(), follows: false)),
        (["names", "nodes"], .names(ofRooms: false)), (["completion", "zsh"], .completion(.zsh)),
        (["help"], .help(nil)), (["help", "drain"], .help("drain")), (["drain", "--help"], .help("drain")), (["--help"], .help(nil)),
        (["version"], .version), (["--version"], .version),
    ] as [([String], Order)])
    func areRead(arguments: [String], order: Order) throws {
        #expect(try Invocation.parse(arguments).order == order)
    }
    @Test func whatIsSaidOfAllStandsAnywhere() throws {
        let before = try Invocation.parse(["--topology", "t.yaml", "--node", "n2", "--json", "--timeout", "2s", "nodes"]), after = try Invocation.parse(["nodes", "--json", "--timeout=2s", "--node=n2", "--topology=t.yaml"])
        #expect(before == after)
        #expect(before.topology == "t.yaml" && before.node == "n2" && before.isJSON && before.timeout == .seconds(2))
    }
    @Test(arguments: [
        ([], "a command is missing; `troupectl help` lists them"),
        (["nods"], "`nods` is not a command; did you mean `nodes`?"),
        (["frobnicate"], "`frobnicate` is not a command; `troupectl help` lists them"),
        (["move", "R_1"], "`troupectl move` needs `--to NODE`"),
        (["move", "--to", "n1"], "`troupectl move` needs ROOM; `troupectl help move` explains it"),
        (["room", "a", "b"], "`b` is too much; write `troupectl room ROOM`"),
        (["nodes", "--follow"], "`--follow` is not an option of `troupectl nodes`; `troupectl help nodes` lists its options"),
        (["drain", "n1", "--deadlin", "5s"], "`--deadlin` is not an option; did you mean `--deadline`?"),
        (["drain", "n1", "--deadline", "soon"], "`soon` is not a span of time; write for instance 30s, 500ms or 1m30s"),
        (["drain", "n1", "--deadline", "2h"], "`--deadline` is 0ms to 1h"),
        (["drain", "n1", "--deadline"], "`--deadline` needs a value: SPAN"),
        (["drain", "n1", "--wait=yes"], "`--wait` takes no value"),
        (["rooms", "--limit", "501"], "`--limit` is a whole number from 1 to 500"),
        (["rooms", "--limit", "5", "--limit", "6"], "`--limit` is given twice"),
        (["events", "--since", "-1"], "`--since` is a whole number from 0 to 9223372036854775807"),
        (["rebalance", "--stop", "--status"], "`--status` and `--stop` exclude each other"),
        (["room", "../../etc"], "`../../etc` is not a name or id: those have letters, digits, `_`, `.` and `-`, at most 128"),
        (["completion", "csh"], "`csh` is not one of bash, zsh, fish"),
        (["help", "drian"], "`drian` is not a command; did you mean `drain`?"),
    ])
    func areRefusedWithAdvice(arguments: [String], text: String) {
        let error = #expect(throws: UsageError.self) { try Invocation.parse(arguments) }
        #expect(error?.description == text)
    }
    @Test func aDashAloneBehindTwoDashesIsAnOperand() throws { #expect(try Invocation.parse(["room", "--", "R_1"]).order == .room("R_1")) }

    /// Options stand before the command, so one name takes a value everywhere or nowhere.
    @Test func optionsOfOneNameAreAlike() {
        var seen: [String: Bool] = [:]
        for option in CommandTable.general + CommandTable.commands.flatMap(\.options) {
            let takesValue = option.value != nil
            #expect(seen.updateValue(takesValue, forKey: option.name) ?? takesValue == takesValue, "\(option.name)")
        }
    }
    @Test func theHelpNamesEverything() {
        let overview = Help.overview()
        for command in CommandTable.commands {
            #expect(overview.contains("  \(command.synopsis)"), "\(command.name)")
            let text = Help.of(command)
            for option in command.options + CommandTable.general { #expect(text.contains("  \(option.name)"), "\(command.name) \(option.name)") }
        }
        for line in overview.split(separator: "\n") { #expect(DisplayText.width(String(line)) <= 120, "\(line)") }
    }
}
