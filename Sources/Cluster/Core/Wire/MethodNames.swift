// Method names numbered per link and direction: 40 to 70 bytes the first time, one or two afterwards.

package enum MethodNames {
    package enum Limits {
        /// Names one direction of a link numbers; later ones travel as text every time.
        package static let names = 4096
    }

    /// The caller's side.
    package struct Sent {
        private var numbers: [String: UInt64] = [:]
        package init() {}
        package func reference(_ name: String) -> MethodReference { numbers[name].map { .number($0) } ?? .name(name) }
        /// Call it once the frame that carried `reference` has been written.
        package mutating func written(_ reference: MethodReference) {
            guard case .name(let name) = reference, numbers.count < Limits.names else { return }
            numbers[name] = UInt64(numbers.count)
        }
    }
    /// The callee's side.
    package struct Received {
        private var names: [String] = []
        package init() {}
        /// - Returns: nil for a number that was never given.
        package mutating func name(_ reference: MethodReference) -> String? {
            switch reference {
            case .number(let number): return number < UInt64(names.count) ? names[Int(number)] : nil
            case .name(let name):
                if names.count < Limits.names { names.append(name) }
                return name
            }
        }
    }
}
