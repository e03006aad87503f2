// The help, made of the table.

enum Help {
    static func overview() -> String {
        let width = (CommandTable.commands.map(\.synopsis) + ["move ROOM --to NODE"]).map(\.count).max() ?? 0
        let lines = CommandTable.commands.map { "  \(padded(shown($0), width))  \($0.summary)\n" }.joined()
        return """
            troupectl: looks after a Troupe cluster

            \(lines)
            Everywhere
            \(options(CommandTable.general))
            It asks one node, which asks the others; a node that does not answer is shown as away. It needs the operator's
            certificate beside the cluster's (`troupe keys` makes it). Exit status: 0 done, 1 refused or failed, 64 wrong command
            line, 69 no node could be reached, 75 not now: try again, 130 interrupted.

            """
    }
    static func of(_ command: CommandDescription) -> String {
        var text = "troupectl \(shown(command)): \(command.summary)\n"
        if !command.details.isEmpty { text += command.details + "\n" }
        if !command.options.isEmpty { text += "\n" + options(command.options) }
        return text + "\nEverywhere\n" + options(CommandTable.general)
    }
    private static func shown(_ command: CommandDescription) -> String {
        // An option without which the command means nothing belongs to its name.
        ["move", "pin"].contains(command.name) ? command.synopsis + " --to NODE" : command.synopsis
    }
    private static func options(_ options: [Option]) -> String {
        let names = options.map { option in option.value.map { "\(option.name) \($0)" } ?? option.name }
        let width = names.map(\.count).max() ?? 0
        return zip(names, options).map { "  \(padded($0, width))  \($1.summary)\n" }.joined()
    }
    private static func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
}
