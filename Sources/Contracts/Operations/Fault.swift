// What a node of a test cluster lets be done to itself. Decision: docs/decisions/0043-faults-on-request.md
import Primitives

package enum Fault: String, Codable, Sendable, CaseIterable {
    package enum Limits {
        /// Seconds that `stall` and `sever` may last.
        package static let seconds: ClosedRange<Double> = 0.1...60
        package static let usual: Double = 5
    }
    /// The process ends as by `kill -9`.
    case kill
    /// The whole process stands still, as by SIGSTOP, and goes on afterwards.
    case stall
    /// It has no link to any other node; the store stays within reach.
    case sever
}

package struct FaultReport: Codable, Sendable, Equatable {
    package var node: NodeName
    package var fault: Fault
    package var seconds: Double
    package init(node: NodeName, fault: Fault, seconds: Double) { self.node = node; self.fault = fault; self.seconds = seconds }
}
