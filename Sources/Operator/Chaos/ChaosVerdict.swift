// What a fault cost, beside what it may cost.
internal import Primitives

/// Objectives, each met or not. One that measured nothing is not met.
struct ChaosVerdict: Equatable {
    struct Objective: Equatable {
        let name: String
        let isMet: Bool
        /// Seconds; infinite for what never came.
        var seconds: Double?
        var bar: Double?
        var detail = ""
    }
    let plan: ChaosPlan
    let node: NodeName
    let room: RoomID
    private(set) var objectives: [Objective] = []
    init(plan: ChaosPlan, node: NodeName, room: RoomID) { self.plan = plan; self.node = node; self.room = room }

    var isPassed: Bool { !objectives.isEmpty && objectives.allSatisfy(\.isMet) }

    mutating func holds(_ name: String, _ isMet: Bool, _ detail: String = "") { objectives.append(Objective(name: name, isMet: isMet, detail: isMet ? "" : detail)) }
    /// - Parameter seconds: nil where nothing was measured.
    mutating func atMost(_ name: String, _ seconds: Double?, _ bar: Double, _ detail: String = "") {
        objectives.append(Objective(name: name, isMet: seconds.map { $0 <= bar } ?? false, seconds: seconds, bar: bar, detail: detail))
    }

    var json: JSON {
        [
            "plan": .string(plan.rawValue), "node": .string(node.rawValue), "room_id": .string(room.rawValue), "passed": .bool(isPassed),
            "objectives": .array(objectives.map { one in
                .compact([
                    ("objective", .string(one.name)), ("met", .bool(one.isMet)), ("seconds", one.seconds.map { $0.isFinite ? .number($0) : .string("never") }),
                    ("bar", .real(one.bar)), ("detail", one.detail.isEmpty ? nil : .string(one.detail)),
                ])
            }),
        ]
    }
    var text: String {
        let head = "\(plan.rawValue) of \(node): \(isPassed ? "passed" : "FAILED")\n"
        return head + objectives.map { one in
            let mark = one.isMet ? "ok  " : "MISS", detail = one.detail.isEmpty ? "" : " (\(DisplayText.safe(one.detail)))"
            guard let bar = one.bar else { return "  \(mark) \(one.name)\(detail)\n" }
            let found = one.seconds.map { $0.isFinite ? "\(AmountText.fixed($0, 3)) s" : "never" } ?? "nothing measured"
            return "  \(mark) \(one.name): \(found) (at most \(AmountText.fixed(bar, 1)) s)\(detail)\n"
        }.joined()
    }
}

/// What `troupectl chaos` does to a node, and what that may cost.
enum ChaosPlan: String, CaseIterable, Equatable {
    case kill, stall, sever, drain

    /// Without a frame at a client; DESIGN.md's figures, and for a stalled node the time to find it out.
    var gapSeconds: Double {
        switch self {
        case .kill: 1
        case .stall, .sever: 3
        case .drain: 0.1
        }
    }
    /// Whether the node is expected back by itself.
    var returns: Bool { self != .kill }
}

/// What one `troupe-load` told at its end.
struct LoadFindings: Equatable {
    /// The longest pause of each subscriber beyond the time between two frames; infinite where it never got one.
    let gaps: [Double]
    let participants: Set<String>
    let failures: [String]

    /// What is missing in it counts as nothing measured.
    init(_ text: String) throws(JSONError) {
        let report = try JSONParser.parse(text)
        let subscribers = report["subscribers"]?.array ?? []
        gaps = subscribers.map { $0["media_gap_ms"]?.double.map { $0 / 1000 } ?? .infinity }
        participants = Set((subscribers + (report["publishers"]?.array ?? [])).compactMap { $0["participant_id"]?.string })
        failures = (report["failures"]?.array ?? []).compactMap { $0.string }
    }
    /// The nearest-rank 95th percentile.
    var gapP95: Double? {
        guard !gaps.isEmpty else { return nil }
        return gaps.sorted()[max(0, (gaps.count * 95 + 99) / 100 - 1)]
    }
}
