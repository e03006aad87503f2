// One node's states: starting, running, draining, stopping. On the control loop.
internal import Configuration
internal import EventLoop
internal import Glibc
internal import Primitives

/// What the wiring has started: it stops on the control loop, within `NodeProcess.Limits.stop`.
package protocol NodeService: Sendable {
    /// Sends clients to other nodes; returns when all have gone, when there is nowhere to go, or at the deadline.
    func drain(within deadline: Duration) async
    func stop() async
}

/// Confined to the control loop; `status` is read after it has ended.
final class NodeLife: @unchecked Sendable {
    /// starting → running → (SIGTERM) draining → stopping; a second signal, and SIGINT, go to stopping at once;
    /// starting → stopping when a signal comes early or the start fails.
    private enum State {
        case starting(isStopWanted: Bool)
        case running(any NodeService)
        case draining(any NodeService)
        case stopping
    }
    private var state = State.starting(isStopWanted: false)
    private let environment: NodeEnvironment
    private(set) var status: Int32 = 0

    init(_ environment: NodeEnvironment) { self.environment = environment }

    /// Called before the loop runs.
    func watchSignals() throws(NetworkError) {
        for number in [SIGTERM, SIGINT] { try environment.control.onSignal(number) { [self] in stopRequested(number) } }
    }

    func start() {
        environment.control.spawn { [self] in
            do {
                let service = try await Wiring.start(environment)
                environment.control.run { self.started(service) }
            } catch {
                environment.log.error("the node did not start: \(error)")
                environment.control.run { self.finish(status: 1) }
            }
        }
    }

    private func started(_ service: any NodeService) {
        guard case .starting(let isStopWanted) = state else { return }
        state = .running(service)
        if isStopWanted { stop(service); return }
        environment.log.info("ready", ["url": environment.topology.url(of: environment.node), "version": Release.version])
    }

    private func stopRequested(_ signal: Int32) {
        let name = signal == SIGINT ? "SIGINT" : "SIGTERM"
        switch state {
        case .starting:
            environment.log.info("stopping once started", ["signal": name])
            state = .starting(isStopWanted: true)
            limitStop()
        case .running(let service) where signal == SIGTERM:
            environment.log.info("draining", ["signal": name, "seconds": "\(environment.topology.drainSeconds)"])
            drain(service)
        case .running(let service), .draining(let service):
            environment.log.info("stopping", ["signal": name])
            limitStop()
            stop(service)
        case .stopping:
            environment.log.warning("stopping at once", ["signal": name])
            _exit(1)
        }
    }

    private func drain(_ service: any NodeService) {
        state = .draining(service)
        environment.control.spawn { [self] in
            await service.drain(within: .seconds(environment.topology.drainSeconds))
            environment.control.run {
                guard case .draining = self.state else { return }
                self.limitStop()
                self.stop(service)
            }
        }
    }
    private func stop(_ service: any NodeService) {
        state = .stopping
        environment.control.spawn { [self] in
            await service.stop()
            await environment.store.close()
            environment.control.run { self.finish(status: 0) }
        }
    }

    private func limitStop() {
        environment.control.schedule(after: NodeProcess.Limits.stop) { [log = environment.log] in
            log.error("did not stop in \(NodeProcess.Limits.stop); ending anyway")
            _exit(1)
        }
    }

    private func finish(status: Int32) {
        self.status = status
        if status == 0 { environment.log.info("stopped") }
        environment.control.stop()
    }
}
