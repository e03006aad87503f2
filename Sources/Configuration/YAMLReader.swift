// libyaml's events, made into a tree.
internal import CYAML

/// Reads one YAML document (JSON is a subset). Bounded in size, depth and number of nodes.
package struct YAMLReader: ~Copyable {
    package enum Limits {
        package static let textBytes = 1 << 20
        package static let depth = 32
        package static let nodes = 100_000
    }
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private var nodes = 0

    /// - Returns: the document's root; an empty text is a plain empty scalar.
    package static func read(_ text: [UInt8]) throws(TopologyMistake) -> YAMLTree {
        guard text.count <= Limits.textBytes else {
            throw TopologyMistake(.init(line: 1, column: 1), "the file has \(text.count) bytes; a topology has at most \(Limits.textBytes)")
        }
        var reader = try YAMLReader(text)
        return try reader.document()
    }

    private init(_ text: [UInt8]) throws(TopologyMistake) {
        bytes = .allocate(capacity: max(text.count, 1))
        _ = bytes.initialize(from: text)
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        guard yaml_parser_initialize(parser) == 1 else { throw TopologyMistake(.init(line: 1, column: 1), "no memory to read it") }
        yaml_parser_set_input_string(parser, bytes.baseAddress, text.count)
    }
    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        bytes.deallocate()
    }

    /// An event's facts, copied out of libyaml's memory.
    private enum Event {
        case scalar(String, isPlain: Bool)
        case sequenceStart, sequenceEnd, mappingStart, mappingEnd
        case documentStart, documentEnd, streamStart, streamEnd
    }

    private mutating func document() throws(TopologyMistake) -> YAMLTree {
        _ = try next()                                                     // stream start
        let (first, position) = try next()
        guard case .documentStart = first else { return YAMLTree(content: .scalar("", isPlain: true), position: position) }
        let (event, start) = try next()
        let tree = try node(event, start, depth: 0)
        _ = try next()                                                     // document end
        let (end, second) = try next()
        guard case .streamEnd = end else { throw TopologyMistake(second, "a second document begins; one file holds one topology, remove `---` and what follows") }
        return tree
    }

    private mutating func node(_ event: Event, _ position: TextPosition, depth: Int) throws(TopologyMistake) -> YAMLTree {
        nodes += 1
        guard depth < Limits.depth, nodes <= Limits.nodes else { throw TopologyMistake(position, "nested too deeply or too long for a topology") }
        switch event {
        case .scalar(let text, let isPlain):
            return YAMLTree(content: .scalar(text, isPlain: isPlain), position: position)
        case .sequenceStart:
            var items: [YAMLTree] = []
            while true {
                let (event, start) = try next()
                if case .sequenceEnd = event { return YAMLTree(content: .sequence(items), position: position) }
                items.append(try node(event, start, depth: depth + 1))
            }
        case .mappingStart:
            return YAMLTree(content: .mapping(try entries(depth: depth)), position: position)
        default:
            throw TopologyMistake(position, "expected a value here")
        }
    }

    private mutating func entries(depth: Int) throws(TopologyMistake) -> [YAMLTree.Entry] {
        var entries: [YAMLTree.Entry] = [], seen: [String: TextPosition] = [:]
        while true {
            let (event, start) = try next()
            if case .mappingEnd = event { return entries }
            guard case .scalar(let key, _) = event else { throw TopologyMistake(start, "a key must be a word") }
            if let first = seen.updateValue(start, forKey: key) {
                throw TopologyMistake(start, "`\(key)` stands here a second time (first in line \(first.line)); remove one of them")
            }
            let (valueEvent, valueStart) = try next()
            entries.append(.init(key: key, keyPosition: start, value: try node(valueEvent, valueStart, depth: depth + 1)))
        }
    }

    private mutating func next() throws(TopologyMistake) -> (Event, TextPosition) {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw problem() }
        defer { yaml_event_delete(&event) }
        let position = TextPosition(line: Int(event.start_mark.line) + 1, column: Int(event.start_mark.column) + 1)
        switch event.type {
        case YAML_STREAM_START_EVENT: return (.streamStart, position)
        case YAML_STREAM_END_EVENT: return (.streamEnd, position)
        case YAML_DOCUMENT_START_EVENT: return (.documentStart, position)
        case YAML_DOCUMENT_END_EVENT: return (.documentEnd, position)
        case YAML_SEQUENCE_END_EVENT: return (.sequenceEnd, position)
        case YAML_MAPPING_END_EVENT: return (.mappingEnd, position)
        case YAML_SEQUENCE_START_EVENT:
            try refuse(event.data.sequence_start.anchor, event.data.sequence_start.tag, position)
            return (.sequenceStart, position)
        case YAML_MAPPING_START_EVENT:
            try refuse(event.data.mapping_start.anchor, event.data.mapping_start.tag, position)
            return (.mappingStart, position)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            try refuse(scalar.anchor, scalar.tag, position)
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            return (.scalar(text, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE), position)
        case YAML_ALIAS_EVENT:
            throw TopologyMistake(position, "aliases (`*name`) are not read here; write the value out")
        default:
            throw TopologyMistake(position, "expected a value here")
        }
    }

    private func refuse(_ anchor: UnsafeMutablePointer<yaml_char_t>?, _ tag: UnsafeMutablePointer<yaml_char_t>?, _ position: TextPosition) throws(TopologyMistake) {
        if anchor != nil { throw TopologyMistake(position, "anchors (`&name`) are not read here; write the value out where it is needed") }
        if tag != nil { throw TopologyMistake(position, "tags (`!name`) are not read here; write the plain value") }
    }

    private func problem() -> TopologyMistake {
        let facts = parser.pointee
        let text = facts.problem.map { String(cString: $0) } ?? "it cannot be read"
        let context = facts.context.map { " " + String(cString: $0) } ?? ""
        let position = TextPosition(line: Int(facts.problem_mark.line) + 1, column: Int(facts.problem_mark.column) + 1)
        return TopologyMistake(position, "this is not YAML: \(text)\(context); check indentation, quotes and colons")
    }
}
