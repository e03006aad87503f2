// Completion scripts for shells, made of the table. Names of nodes and rooms are asked for when they are wanted.

enum Shell: String, CaseIterable { case bash, zsh, fish }

enum Completion {
    static func script(_ shell: Shell) -> String {
        switch shell {
        case .bash: bash
        case .zsh: zsh
        case .fish: fish
        }
    }
    private static var names: String { CommandTable.commands.map(\.name).joined(separator: " ") }
    private static func options(_ command: CommandDescription) -> [Option] { command.options + CommandTable.general }
    private static func rooms(_ shell: Shell) -> String { "troupectl names rooms --timeout 1s 2>/dev/null" }
    private static let nodes = "troupectl names nodes 2>/dev/null"

    // MARK: bash

    private static func bashWords(_ kind: ValueKind) -> String? {
        switch kind {
        case .node: "$(\(nodes))"
        case .room: "$(\(rooms(.bash)))"
        case .choice(let words): words.joined(separator: " ")
        case .file, .span, .number, .text: nil
        }
    }
    private static var bash: String {
        let all = CommandTable.commands.flatMap(\.options) + CommandTable.general
        var values: [String] = []
        for name in Set(all.filter { $0.value != nil }.map(\.name)).sorted() {
            guard let option = all.first(where: { $0.name == name }) else { continue }
            if option.kind == .file { values.append("        \(name)) compopt -o default; COMPREPLY=(); return ;;") } else {
                values.append("        \(name)) COMPREPLY=($(compgen -W \"\(bashWords(option.kind) ?? "")\" -- \"$current\")); return ;;")
            }
        }
        let operands = CommandTable.commands.map { command in
            let words = command.name == "help" ? names : command.operands.first.flatMap { bashWords($0.kind) } ?? ""
            return "        \(command.name)) words=\"\(words)\"; options=\"\(options(command).map(\.name).joined(separator: " "))\" ;;"
        }
        return """
            # Completion of troupectl for bash: source <(troupectl completion bash)
            _troupectl() {
                local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= index words= options=
                case $previous in
            \(values.joined(separator: "\n"))
                esac
                for ((index = 1; index < COMP_CWORD; index++)); do
                    case ${COMP_WORDS[index]} in
                    --topology | --node | --timeout) ((index++)) ;;
                    -*) ;;
                    *) command=${COMP_WORDS[index]}; break ;;
                    esac
                done
                case $command in
                    "") words="\(names)"; options="\(CommandTable.general.map(\.name).joined(separator: " "))" ;;
            \(operands.joined(separator: "\n"))
                esac
                if [[ $current == -* ]]; then words=$options; fi
                COMPREPLY=($(compgen -W "$words" -- "$current"))
            }
            complete -F _troupectl troupectl

            """
    }

    // MARK: zsh

    private static func zshAction(_ name: String, _ kind: ValueKind) -> String {
        switch kind {
        case .node: "\(name):(${(f)\"$(\(nodes))\"})"
        case .room: "\(name):(${(f)\"$(\(rooms(.zsh)))\"})"
        case .choice(let words): "\(name):(\(words.joined(separator: " ")))"
        case .file: "\(name):_files"
        case .span, .number, .text: "\(name): "
        }
    }
    private static func zshQuoted(_ text: String) -> String {
        "'" + text.map { $0 == "'" ? "'\\''" : $0 == ":" || $0 == "[" || $0 == "]" ? "\\\($0)" : String($0) }.joined() + "'"
    }
    private static func zshOption(_ option: Option) -> String {
        let text = zshQuoted("\(option.summary)").dropFirst().dropLast()
        guard let value = option.value else { return "'\(option.name)[\(text)]'" }
        // The action is evaluated by _arguments: double quotes keep the names it asks for.
        return "'\(option.name)[\(text)]:\(zshAction(value, option.kind))'"
    }
    private static var zsh: String {
        let list = CommandTable.commands.map { "        \(zshQuoted($0.name + "\u{0}" + $0.summary).replacingNul)" }.joined(separator: "\n")
        let cases = CommandTable.commands.map { command in
            var arguments = options(command).map(zshOption)
            if command.name == "help" { arguments.append("'1:command:(\(names))'") } else if let operand = command.operands.first { arguments.append("'1:\(zshAction(operand.name.split(separator: "|").joined(separator: " or "), operand.kind))'") }
            return "        \(command.name)) _arguments \(arguments.joined(separator: " ")) ;;"
        }
        return """
            #compdef troupectl
            # Completion of troupectl for zsh: source <(troupectl completion zsh)
            _troupectl() {
                local -a commands=(
            \(list)
                )
                local state line curcontext=$curcontext
                _arguments -C \(CommandTable.general.map(zshOption).joined(separator: " ")) '1:command:->command' '*::argument:->argument'
                case $state in
                command) _describe command commands ;;
                argument)
                    curcontext="${curcontext%:*:*}:troupectl-$line[1]:"
                    case $line[1] in
            \(cases.joined(separator: "\n"))
                    esac ;;
                esac
            }
            if [ "$funcstack[1]" = _troupectl ]; then _troupectl "$@"; else compdef _troupectl troupectl; fi

            """
    }

    // MARK: fish

    private static func fishQuoted(_ text: String) -> String { "'" + text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "'" }
    private static func fishArguments(_ kind: ValueKind) -> String {
        switch kind {
        case .node: " -xa '(\(nodes))'"
        case .room: " -xa '(\(rooms(.fish)))'"
        case .choice(let words): " -xa '\(words.joined(separator: " "))'"
        case .file: " -rF"
        case .span, .number, .text: " -x"
        }
    }
    private static func fishOption(_ option: Option, when condition: String) -> String {
        let value = option.value == nil ? "" : fishArguments(option.kind)
        return "complete -c troupectl\(condition) -l \(option.name.dropFirst(2))\(value) -d \(fishQuoted(option.summary))\n"
    }
    private static var fish: String {
        var text = "# Completion of troupectl for fish: troupectl completion fish | source\ncomplete -c troupectl -f\n"
        text += CommandTable.general.map { fishOption($0, when: "") }.joined()
        for command in CommandTable.commands {
            text += "complete -c troupectl -n __fish_use_subcommand -a \(command.name) -d \(fishQuoted(command.summary))\n"
            let condition = " -n '__fish_seen_subcommand_from \(command.name)'"
            text += command.options.map { fishOption($0, when: condition) }.joined()
            if command.name == "help" { text += "complete -c troupectl\(condition) -xa '\(names)'\n" } else if let operand = command.operands.first { text += "complete -c troupectl\(condition)\(fishArguments(operand.kind))\n" }
        }
        return text
    }
}

extension String {
    /// `_describe` wants `name:text` with the colon between the two alone unescaped.
    fileprivate var replacingNul: String { String(map { $0 == "\u{0}" ? ":" : $0 }) }
}
