// Typed values out of one mapping of a topology, collecting mistakes on the way.
internal import Primitives

/// Reads one mapping. A value that is missing or wrong is noted as a mistake and read as nil, so that one run finds them all.
struct TopologyFields {
    /// "a node", "`store`": what the mapping is, in mistakes.
    let what: String
    let position: TextPosition
    private let entries: [String: YAMLTree.Entry]
    private(set) var mistakes: [TopologyMistake] = []

    /// - Parameter keys: every key the mapping may have, in the order mistakes list them.
    init?(_ tree: YAMLTree, what: String, keys: [String], mistakes: inout [TopologyMistake]) {
        guard case .mapping(let list) = tree.content else {
            mistakes.append(.init(tree.position, "\(what) must be a mapping with the keys \(Self.listed(keys)), not \(tree.kind)"))
            return nil
        }
        self.what = what
        position = tree.position
        entries = Dictionary(list.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        for entry in list where !keys.contains(entry.key) {
            let advice = Suggestion.nearest(to: entry.key, among: keys).map { "write `\($0)`" } ?? "its keys are \(Self.listed(keys))"
            mistakes.append(.init(entry.keyPosition, "`\(entry.key)` is not a key of \(what); \(advice)"))
        }
    }

    func has(_ key: String) -> Bool { entries[key].map { !$0.value.isNothing } ?? false }
    func tree(_ key: String) -> YAMLTree? { has(key) ? entries[key]?.value : nil }
    func position(of key: String) -> TextPosition { entries[key]?.value.position ?? position }
    mutating func note(_ position: TextPosition, _ text: String) { mistakes.append(.init(position, text)) }

    /// Notes that `key` is missing, with an example of what to write.
    mutating func require(_ key: String, example: String) -> Bool {
        if has(key) { return true }
        note(entries[key]?.value.position ?? position, "\(what) needs `\(key)`; write for instance `\(key): \(example)`")
        return false
    }

    // MARK: Scalars

    mutating func text(_ key: String) -> String? {
        guard let tree = tree(key) else { return nil }
        guard case .scalar(let text, _) = tree.content, !text.isEmpty else {
            note(tree.position, "`\(key)` of \(what) must be text, not \(tree.kind)")
            return nil
        }
        return text
    }
    mutating func requiredText(_ key: String, example: String) -> String? { require(key, example: example) ? text(key) : nil }

    mutating func integer(_ key: String, in range: ClosedRange<Int>, example: String) -> Int? {
        guard let tree = tree(key) else { return nil }
        return integer(tree, "`\(key)` of \(what)", in: range, example: "\(key): \(example)")
    }
    mutating func requiredPort(_ key: String, example: String) -> UInt16? {
        guard require(key, example: example) else { return nil }
        return integer(key, in: 1...65_535, example: example).map { UInt16($0) }
    }
    mutating func truth(_ key: String) -> Bool? {
        guard let tree = tree(key) else { return nil }
        switch tree.content {
        case .scalar("true", isPlain: true): return true
        case .scalar("false", isPlain: true): return false
        default:
            note(tree.position, "`\(key)` of \(what) must be `true` or `false`, not \(tree.kind)")
            return nil
        }
    }

    // MARK: Lists

    mutating func texts(_ key: String, example: String) -> [(text: String, position: TextPosition)]? {
        items(key, example: example)?.compactMap { item in
            if case .scalar(let text, _) = item.content, !text.isEmpty { return (text, item.position) }
            note(item.position, "`\(key)` of \(what) is a list of words; write for instance `\(key): \(example)`")
            return nil
        }
    }
    mutating func integers(_ key: String, in range: ClosedRange<Int>, atMost count: Int, example: String) -> [Int]? {
        guard let items = items(key, example: example) else { return nil }
        guard items.count <= count else {
            note(position(of: key), "`\(key)` of \(what) has \(items.count) entries; at most \(count)")
            return nil
        }
        var seen: Set<Int> = [], numbers: [Int] = []
        for item in items {
            guard let number = integer(item, "an entry of `\(key)` of \(what)", in: range, example: "\(key): \(example)") else { continue }
            if seen.insert(number).inserted { numbers.append(number) } else { note(item.position, "`\(key)` of \(what) names \(number) twice; remove one") }
        }
        return numbers
    }
    mutating func items(_ key: String, example: String) -> [YAMLTree]? {
        guard let tree = tree(key) else { return nil }
        guard case .sequence(let items) = tree.content else {
            note(tree.position, "`\(key)` of \(what) must be a list, not \(tree.kind); write for instance `\(key): \(example)`")
            return nil
        }
        return items
    }

    private mutating func integer(_ tree: YAMLTree, _ name: String, in range: ClosedRange<Int>, example: String) -> Int? {
        guard case .scalar(let text, let isPlain) = tree.content else {
            note(tree.position, "\(name) must be a number, not \(tree.kind); write for instance `\(example)`")
            return nil
        }
        guard isPlain, let number = Int(text) else {
            let advice = !isPlain && Int(text) != nil ? "write it without quotes: `\(text)`" : "write for instance `\(example)`"
            note(tree.position, "\(name) must be a whole number, not \(tree.kind); \(advice)")
            return nil
        }
        guard range.contains(number) else {
            note(tree.position, "\(name) must lie between \(range.lowerBound) and \(range.upperBound), not \(number)")
            return nil
        }
        return number
    }

    static func listed(_ words: [String]) -> String { words.map { "`\($0)`" }.joined(separator: ", ") }
}
