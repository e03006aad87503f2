// What every program of the cluster says of itself, and of a command line it cannot follow.

package enum Release {
    package static let version = "0.1.0"
}

/// A command line that cannot be followed; the text says what to write instead.
package struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
