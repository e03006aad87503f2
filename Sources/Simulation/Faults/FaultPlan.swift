// What goes wrong in one simulation, and when: drawn from its seed before it begins.
import Primitives

package enum FaultKind: String, CaseIterable, Sendable {
    // Processes
    /// SIGKILL: the kernel closes its sockets.
    case kill
    /// Nothing leaves the machine any more, not even a FIN.
    case powerLoss = "power_loss"
    /// An orderly stop.
    case stop
    case restart
    /// Emptied, and taken back into use.
    case drain
    /// SIGSTOP and SIGCONT.
    case pause
    // Network
    /// One machine hears nobody and is heard by nobody.
    case isolate
    /// The machines fall into two halves.
    case split
    /// One direction between two machines.
    case asymmetric
    /// One pair, cut and healed in quick turns.
    case flap
    case loss
    case delay
    /// Streams between two machines are reset.
    case reset
    case reorder
    case duplicate
    // Clocks
    case wallStep = "wall_step"
    case drift
    // Store
    case storeAway = "store_away"
    case storeSlow = "slow_disk"
    /// One machine cannot reach the store.
    case storeUnreachable = "store_unreachable"
    /// Isolated and without the store: what an owner must notice by itself.
    case severed
    /// Severed, and without power a moment later: what it decided in between is known to nobody but its clients.
    case doomed
    /// Written, but the answer is lost.
    case unknownOutcome = "unknown_outcome"
}

package struct Fault: Sendable {
    package var at: Int64
    package var kind: FaultKind
    package var host: Host
    package var other: Host
    /// Nanoseconds until it is over.
    package var lasts: Int64
    /// Kind-specific: milliseconds, parts per million.
    package var amount: Int64
}

package struct PlanParameters: Sendable, Equatable {
    /// Virtual seconds: first calm, then faults until `quiet`, then nothing until `end`.
    package var calm: Int64 = 8
    package var quiet: Int64 = 90
    package var end: Int64 = 124
    /// 0: drawn from the seed, 3 to 7.
    package var nodes = 0
    /// nil: by turns.
    package var scenario: ScenarioKind?
    /// Of the conference, with one room for each ten; 0: 200.
    package var clients = 0
    package var faults = 0
    package var kinds: [FaultKind] = FaultKind.allCases
    package init() {}
}

package struct FaultPlan: Sendable {
    package let parameters: PlanParameters
    package let nodes: Int
    package private(set) var faults: [Fault] = []
    package let baseLatency: Int64

    package init(seed: UInt64, parameters: PlanParameters = PlanParameters()) {
        self.parameters = parameters
        var random = SplitMix64(seed: seed &* 0xD134_2543_DE82_EF95 ^ 0xFA17)
        nodes = parameters.nodes > 0 ? parameters.nodes : 3 + Int(random.next() % 5)
        baseLatency = [100_000, 300_000, 1_000_000, 8_000_000][Int(random.next() % 4)]
        // Half the seeds mix everything; the others do a few kinds often, and so go deeper.
        var kinds = parameters.kinds
        if random.next() & 1 == 0, kinds.count > 5 { kinds = (0..<5).map { _ in parameters.kinds[Int(random.next() % UInt64(parameters.kinds.count))] } }
        let count = parameters.faults > 0 ? parameters.faults : 8 + Int(random.next() % 22)
        let span = UInt64(parameters.quiet - parameters.calm - 4) * 1_000_000_000
        for _ in 0..<count where !kinds.isEmpty {
            let at = parameters.calm * 1_000_000_000 + Int64(random.next() % span)
            let kind = kinds[Int(random.next() % UInt64(kinds.count))]
            let host = Int(random.next() % UInt64(nodes))
            let other = (host + 1 + Int(random.next() % UInt64(nodes - 1))) % nodes
            faults.append(Self.draw(kind, at, host, other, parameters, &random))
        }
        faults.sort { ($0.at, $0.host, $0.kind.rawValue) < ($1.at, $1.host, $1.kind.rawValue) }
    }
    private static func draw(_ kind: FaultKind, _ at: Int64, _ host: Host, _ other: Host, _ parameters: PlanParameters, _ random: inout SplitMix64) -> Fault {
        func milliseconds(_ range: ClosedRange<Int64>, _ random: inout SplitMix64) -> Int64 {
            range.lowerBound + Int64(random.next() % UInt64(range.upperBound - range.lowerBound + 1))
        }
        let lasts: Int64 = switch kind {
        case .pause: milliseconds(random.next() & 3 == 0 ? 2000...9000 : 100...2500, &random)
        case .kill, .powerLoss, .stop, .restart: milliseconds(50...12_000, &random)
        case .drain: milliseconds(2000...15_000, &random)
        case .isolate, .split, .asymmetric, .severed, .doomed: milliseconds(200...10_000, &random)
        case .flap: milliseconds(1000...8000, &random)
        case .storeAway, .storeUnreachable, .storeSlow: milliseconds(300...9000, &random)
        default: milliseconds(1000...15_000, &random)
        }
        let amount: Int64 = switch kind {
        case .loss: milliseconds(1000...120_000, &random)
        case .delay: milliseconds(5...900, &random)
        case .doomed: milliseconds(20...1500, &random)
        case .wallStep: milliseconds(-600_000...600_000, &random)
        case .drift: milliseconds(-200...200, &random)
        case .storeSlow: milliseconds(20...2600, &random)
        case .unknownOutcome: milliseconds(20_000...400_000, &random)
        case .flap: milliseconds(50...700, &random)
        case .reorder, .duplicate: milliseconds(5000...100_000, &random)
        default: milliseconds(0...1_000_000, &random)
        }
        // Everything is over when the quiet begins.
        let left = parameters.quiet * 1_000_000_000 - at
        return Fault(at: at, kind: kind, host: host, other: other, lasts: min(lasts * 1_000_000, left), amount: amount)
    }
}
