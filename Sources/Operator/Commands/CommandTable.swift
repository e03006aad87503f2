// Every command of troupectl, once: the parser, the help and the shells' completion are made of this table.

enum ValueKind: Equatable {
    case node, room, file, span, number, text
    case choice([String])
}
struct Operand: Equatable {
    let name: String
    let kind: ValueKind
    var isOptional = false
}
struct Option: Equatable {
    /// With its dashes.
    let name: String
    /// What its value is called in the help; nil for one without.
    var value: String?
    var kind = ValueKind.text
    let summary: String
}
struct CommandDescription: Equatable {
    let name: String
    var operands: [Operand] = []
    var options: [Option] = []
    let summary: String
    /// Further sentences for `help COMMAND`.
    var details = ""

    var synopsis: String {
        let words = operands.map { $0.isOptional ? "[\($0.name)]" : $0.name }
        return ([name] + words).joined(separator: " ")
    }
}

enum CommandTable {
    /// Understood by every command, before or after it.
    static let general: [Option] = [
        Option(name: "--topology", value: "FILE", kind: .file, summary: "the cluster's topology (Topology/three-node.yaml where that is here)"),
        Option(name: "--node", value: "NAME", kind: .node, summary: "the node to ask first; others are asked where it is away"),
        Option(name: "--timeout", value: "SPAN", kind: .span, summary: "how long to try to reach a node (5s)"),
        Option(name: "--json", summary: "JSON for programs; one object a line where more follow"),
        Option(name: "--help", summary: "explains the command"),
    ]

    static let commands: [CommandDescription] = [
        CommandDescription(name: "nodes", summary: "every node: state, load, links, clocks"),
        CommandDescription(
            name: "rooms",
            options: [
                Option(name: "--on", value: "NODE", kind: .node, summary: "only rooms on this node"),
                Option(name: "--filter", value: "TEXT", summary: "only rooms with this in their id, code or title"),
                Option(name: "--recorded", summary: "only rooms being recorded"),
                Option(name: "--limit", value: "N", kind: .number, summary: "at most so many (100, at most 500)"),
                Option(name: "--after", value: "ROOM", kind: .room, summary: "go on after this room"),
            ],
            summary: "rooms that are held by a node, by id"),
        CommandDescription(
            name: "room", operands: [Operand(name: "ROOM", kind: .room)], summary: "one room in detail, by id or meeting code",
            details: "Looking does not wake a room: one nobody is in shows as idle."),
        CommandDescription(
            name: "move", operands: [Operand(name: "ROOM", kind: .room)], options: [Option(name: "--to", value: "NODE", kind: .node, summary: "where it goes")],
            summary: "moves a room's actor to another node; participants notice nothing"),
        CommandDescription(
            name: "pin", operands: [Operand(name: "ROOM", kind: .room)], options: [Option(name: "--to", value: "NODE", kind: .node, summary: "where it belongs")],
            summary: "says where a room belongs from now on",
            details: "An active room stays where it is until `move` or `rebalance`. A pin goes before capacity and region."),
        CommandDescription(name: "unpin", operands: [Operand(name: "ROOM", kind: .room)], summary: "takes the pin out"),
        CommandDescription(
            name: "drain", operands: [Operand(name: "NODE", kind: .node)],
            options: [
                Option(name: "--deadline", value: "SPAN", kind: .span, summary: "what is left then is cut off (60s)"),
                Option(name: "--wait", summary: "shows how far it is until it is over"),
            ],
            summary: "empties a node: no new work, rooms and clients go elsewhere",
            details: "Ctrl-C ends the watching, not the drain. Given again it changes nothing while a drain goes on, and goes on with what an earlier one left."),
        CommandDescription(name: "undrain", operands: [Operand(name: "NODE", kind: .node)], summary: "lets a node take work again"),
        CommandDescription(
            name: "rebalance",
            options: [
                Option(name: "--dry-run", summary: "shows the plan: order, cost, reasons; moves nothing"),
                Option(name: "--status", summary: "how far the plan under way is"),
                Option(name: "--stop", summary: "stops after the moves under way"),
                Option(name: "--resume", summary: "goes on with a stopped plan"),
            ],
            summary: "moves rooms so that load follows capacity"),
        CommandDescription(
            name: "chaos", operands: [Operand(name: ChaosPlan.allCases.map(\.rawValue).joined(separator: "|"), kind: .choice(ChaosPlan.allCases.map(\.rawValue)))],
            options: [
                Option(name: "--on", value: "NODE", kind: .node, summary: "whom it meets (the node that hosts the clients' room)"),
                Option(name: "--for", value: "SPAN", kind: .span, summary: "how long a node stalls or is severed (5s)"),
                Option(name: "--clients", value: "N", kind: .number, summary: "clients that receive meanwhile (6, at most 50)"),
            ],
            summary: "breaks a node of a test cluster under clients, and says what it cost",
            details: "Only where the topology says `chaos: true`. kill: the process ends as by kill -9, and stays away until it is started again; stall: it stands still; sever: it has no link to other nodes; drain: it is emptied and taken back. Clients are those of troupe-load, in a room of their own. Exit status 1 where an objective was missed."),
        CommandDescription(
            name: "recordings",
            options: [
                Option(name: "--room", value: "ROOM", kind: .room, summary: "only of this room"),
                Option(name: "--limit", value: "N", kind: .number, summary: "at most so many (50, at most 500)"),
            ],
            summary: "recordings, newest first"),
        CommandDescription(name: "jobs", options: [Option(name: "--limit", value: "N", kind: .number, summary: "at most so many (100, at most 500)")], summary: "work in the background: recordings being finished"),
        CommandDescription(
            name: "top",
            options: [
                Option(name: "--interval", value: "SPAN", kind: .span, summary: "between two looks (2s)"),
                Option(name: "--once", summary: "one look"),
            ],
            summary: "processor, packets, loss and rooms of every node, live"),
        CommandDescription(
            name: "events",
            options: [
                Option(name: "--since", value: "N", kind: .number, summary: "after this position of the feed (0); with --room, after this number of the room"),
                Option(name: "--room", value: "ROOM", kind: .room, summary: "only of this room"),
                Option(name: "--limit", value: "N", kind: .number, summary: "at most so many (100, at most 500); with --follow, at a time"),
                Option(name: "--follow", summary: "goes on with what happens from now on"),
            ],
            summary: "what happened in rooms, from the durable log"),
        CommandDescription(
            name: "names", operands: [Operand(name: "nodes|rooms", kind: .choice(["nodes", "rooms"]))], summary: "names alone, one a line, for scripts and completion"),
        CommandDescription(
            name: "completion", operands: [Operand(name: "bash|zsh|fish", kind: .choice(["bash", "zsh", "fish"]))], summary: "prints a shell's completion script",
            details: "For instance: source <(troupectl completion bash)"),
        CommandDescription(name: "help", operands: [Operand(name: "COMMAND", kind: .text, isOptional: true)], summary: "explains a command, or lists them"),
        CommandDescription(name: "version", summary: "the release"),
    ]
    static func command(_ name: String) -> CommandDescription? { commands.first { $0.name == name } }
}
