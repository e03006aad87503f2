// A command line, read into a value.
internal import Configuration
internal import Contracts
internal import Primitives

/// What is wanted of the cluster, or of this program alone.
enum Order: Equatable {
    case nodes
    case rooms(RoomQuery)
    case room(String)
    case move(RoomID, to: NodeName)
    case pin(RoomID, to: NodeName?)
    case drain(NodeName, seconds: Double, waits: Bool)
    case undrain(NodeName)
    case rebalance(RebalanceOrder)
    case chaos(ChaosOrder)
    case recordings(RecordingQuery)
    case jobs(Int)
    case top(interval: Duration, once: Bool)
    case events(EventQuery, follows: Bool)
    case names(ofRooms: Bool)
    case completion(Shell)
    case help(String?)
    case version
}

struct Invocation: Equatable {
    enum Limits {
        static let timeout = Duration.seconds(5)
        static let timeoutMost = Duration.seconds(300)
        static let interval = Duration.seconds(2)
        static let intervalLeast = Duration.milliseconds(200)
        static let idBytes = 128
    }
    var order: Order
    var topology: String?
    var node: NodeName?
    var timeout = Limits.timeout
    var isJSON = false

    /// - Parameter arguments: without the program's own name.
    static func parse(_ arguments: [String]) throws(UsageError) -> Invocation {
        var words = try Words(arguments)
        if words.isHelpWanted { return Invocation(order: .help(words.command?.name)) }
        guard let command = words.command else { throw UsageError("a command is missing; `troupectl help` lists them") }
        var invocation = Invocation(order: .version)
        invocation.topology = words.value("--topology")
        invocation.node = try words.node("--node")
        invocation.timeout = try words.span("--timeout", .milliseconds(100)...Limits.timeoutMost) ?? Limits.timeout
        invocation.isJSON = words.has("--json")
        invocation.order = try order(command.name, &words)
        return invocation
    }

    private static func order(_ command: String, _ words: inout Words) throws(UsageError) -> Order {
        switch command {
        case "nodes": return .nodes
        case "rooms":
            return .rooms(RoomQuery(
                after: try words.id("--after").map { RoomID($0) }, limit: try words.count("--limit", RoomQuery.Limits.pageMost) ?? RoomQuery.Limits.page, node: try words.node("--on"),
                filter: words.value("--filter"), isRecorded: words.has("--recorded")))
        case "room": return .room(try words.operand(0, isID: true))
        case "move": return .move(RoomID(try words.operand(0, isID: true)), to: try words.requiredNode("--to"))
        case "pin": return .pin(RoomID(try words.operand(0, isID: true)), to: try words.requiredNode("--to"))
        case "unpin": return .pin(RoomID(try words.operand(0, isID: true)), to: nil)
        case "drain":
            let deadline = try words.span("--deadline", .zero ... .seconds(DrainReport.Limits.seconds.upperBound)) ?? .seconds(DrainReport.Limits.usual)
            return .drain(NodeName(try words.operand(0, isID: true)), seconds: deadline.inSeconds, waits: words.has("--wait"))
        case "undrain": return .undrain(NodeName(try words.operand(0, isID: true)))
        case "rebalance": return .rebalance(try rebalance(words))
        case "chaos":
            let span = try words.span("--for", .seconds(Fault.Limits.seconds.lowerBound) ... .seconds(Fault.Limits.seconds.upperBound)) ?? .seconds(Fault.Limits.usual)
            return .chaos(ChaosOrder(
                plan: ChaosPlan(rawValue: try words.operand(0)) ?? .kill, node: try words.node("--on"), span: span,
                clients: try words.count("--clients", ChaosOrder.Limits.clientsMost) ?? ChaosOrder.Limits.clients))
        case "recordings": return .recordings(RecordingQuery(room: try words.id("--room").map { RoomID($0) }, limit: try words.count("--limit", RecordingQuery.Limits.rowsMost) ?? RecordingQuery.Limits.rows))
        case "jobs": return .jobs(try words.count("--limit", 500) ?? 100)
        case "top": return .top(interval: try words.span("--interval", Limits.intervalLeast ... .seconds(3600)) ?? Limits.interval, once: words.has("--once"))
        case "events":
            let query = EventQuery(
                since: try words.number("--since", 0...Int64.max).map { UInt64($0) } ?? 0, limit: try words.count("--limit", EventQuery.Limits.pageMost) ?? EventQuery.Limits.page,
                room: try words.id("--room").map { RoomID($0) })
            return .events(query, follows: words.has("--follow"))
        case "names": return .names(ofRooms: try words.operand(0) == "rooms")
        case "completion": return .completion(Shell(rawValue: try words.operand(0)) ?? .bash)
        case "help":
            guard let name = words.operands.first else { return .help(nil) }
            guard CommandTable.command(name) != nil else { throw Words.unknown(name) }
            return .help(name)
        default: return .version
        }
    }
    private static func rebalance(_ words: Words) throws(UsageError) -> RebalanceOrder {
        let kinds: [(String, RebalanceOrder)] = [("--dry-run", .plan), ("--status", .status), ("--stop", .stop), ("--resume", .resume)]
        let given = kinds.filter { words.has($0.0) }
        guard given.count <= 1 else { throw UsageError("`\(given[0].0)` and `\(given[1].0)` exclude each other") }
        return given.first?.1 ?? .begin
    }
}

/// The command line's words, checked against the table.
private struct Words {
    private(set) var command: CommandDescription?
    private(set) var operands: [String] = []
    private var values: [String: String] = [:]
    private var flags: Set<String> = []
    private(set) var isHelpWanted = false

    init(_ arguments: [String]) throws(UsageError) {
        var rest = arguments[...], onlyOperands = false
        while let word = rest.popFirst() {
            if word == "--", !onlyOperands { onlyOperands = true } else if word.hasPrefix("-"), word.count > 1, !onlyOperands { try option(word, &rest) } else if command == nil {
                guard let found = CommandTable.command(word) else { throw Self.unknown(word) }
                command = found
            } else { operands.append(word) }
        }
        guard !isHelpWanted, let command else { return }
        let needed = command.operands.filter { !$0.isOptional }
        if operands.count < needed.count { throw UsageError("`troupectl \(command.name)` needs \(needed[operands.count].name); `troupectl help \(command.name)` explains it") }
        if operands.count > command.operands.count { throw UsageError("`\(operands[command.operands.count])` is too much; write `troupectl \(command.synopsis)`") }
        for (word, operand) in zip(operands, command.operands) {
            guard case .choice(let words) = operand.kind, !words.contains(word) else { continue }
            throw UsageError("`\(word)` is not one of \(words.joined(separator: ", "))")
        }
        let known = (CommandTable.general + command.options).map(\.name)
        for name in (Array(values.keys) + flags).sorted() where !known.contains(name) {
            let advice = Suggestion.nearest(to: name, among: known).map { "did you mean `\($0)`?" } ?? "`troupectl help \(command.name)` lists its options"
            throw UsageError("`\(name)` is not an option of `troupectl \(command.name)`; \(advice)")
        }
    }
    static func unknown(_ word: String) -> UsageError {
        let advice = Suggestion.nearest(to: word, among: CommandTable.commands.map(\.name)).map { "did you mean `\($0)`?" } ?? "`troupectl help` lists them"
        return UsageError("`\(word)` is not a command; \(advice)")
    }

    private mutating func option(_ word: String, _ rest: inout ArraySlice<String>) throws(UsageError) {
        if word == "-h" || word == "--help" { isHelpWanted = true; return }
        if word == "--version" { command = command ?? CommandTable.command("version"); return }
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init), name = parts[0]
        // Options stand before the command as well as behind it, so whether one takes a value is asked of all commands.
        guard let known = (CommandTable.general + CommandTable.commands.flatMap(\.options)).first(where: { $0.name == name }) else {
            let all = (CommandTable.general + (command?.options ?? [])).map(\.name)
            throw UsageError("`\(name)` is not an option; \(Suggestion.nearest(to: name, among: all).map { "did you mean `\($0)`?" } ?? "`troupectl help` lists them")")
        }
        guard known.value != nil else {
            guard parts.count == 1 else { throw UsageError("`\(name)` takes no value") }
            flags.insert(name)
            return
        }
        guard let value = parts.count == 2 ? parts[1] : rest.popFirst(), !value.isEmpty else { throw UsageError("`\(name)` needs a value: \(known.value ?? "")") }
        guard values.updateValue(value, forKey: name) == nil else { throw UsageError("`\(name)` is given twice") }
    }

    // MARK: Values

    func has(_ name: String) -> Bool { flags.contains(name) }
    func value(_ name: String) -> String? { values[name] }
    func operand(_ index: Int, isID: Bool = false) throws(UsageError) -> String {
        let word = operands[index]
        return isID ? try checked(word, "`\(word)`") : word
    }
    func id(_ name: String) throws(UsageError) -> String? {
        guard let word = values[name] else { return nil }
        return try checked(word, "`\(name)`")
    }
    private func checked(_ word: String, _ what: String) throws(UsageError) -> String {
        guard RoomID(word).isSafe else { throw UsageError("\(what) is not a name or id: those have letters, digits, `_`, `.` and `-`, at most \(Invocation.Limits.idBytes)") }
        return word
    }
    func node(_ name: String) throws(UsageError) -> NodeName? { try id(name).map { NodeName($0) } }
    func requiredNode(_ name: String) throws(UsageError) -> NodeName {
        guard let node = try node(name) else { throw UsageError("`troupectl \(command?.name ?? "")` needs `\(name) NODE`") }
        return node
    }
    func span(_ name: String, _ range: ClosedRange<Duration>) throws(UsageError) -> Duration? {
        guard let word = values[name] else { return nil }
        guard let span = SpanText.parse(word) else { throw UsageError("`\(word)` is not a span of time; write for instance 30s, 500ms or 1m30s") }
        guard range.contains(span) else {
            throw UsageError("`\(name)` is \(SpanText.short(seconds: range.lowerBound.inSeconds)) to \(SpanText.short(seconds: range.upperBound.inSeconds))")
        }
        return span
    }
    func number(_ name: String, _ range: ClosedRange<Int64>) throws(UsageError) -> Int64? {
        guard let word = values[name] else { return nil }
        guard let number = Int64(word), range.contains(number) else { throw UsageError("`\(name)` is a whole number from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }
    func count(_ name: String, _ most: Int) throws(UsageError) -> Int? { try number(name, 1...Int64(most)).map { Int($0) } }
}
