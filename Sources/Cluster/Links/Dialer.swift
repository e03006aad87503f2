// Whom to dial, and when again.
import EventLoop
import Primitives

/// Confined to the control loop. Of two nodes the one with the smaller name dials; a node that knows nobody dials its seeds.
final class Dialer: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    enum Target: Hashable, Comparable, CustomStringConvertible {
        case node(NodeName)
        case seed(SocketAddress)
        var description: String {
            switch self {
            case .node(let name): "\(name)"
            case .seed(let address): "\(address)"
            }
        }
        static func < (a: Target, b: Target) -> Bool { a.description < b.description }
    }
    private struct Dialing {
        var address: SocketAddress
        var backoff = Backoff(shortest: Limits.redialShortest, longest: Limits.redialLongest)
        /// Connecting, greeting, or waiting to connect again.
        var isUnderWay = false
        var wait: TimerToken?
        /// Why the last attempt failed; told once until it changes.
        var lastFailure: String?
    }
    private let system: ClusterSystem
    private var loop: any Loop { system.loop }
    private var targets: [Target: Dialing] = [:]
    private var isStopped = false
    init(_ system: ClusterSystem) { self.system = system }

    func stop() { isStopped = true; targets.removeAll() }
    func dials(_ name: NodeName) -> Bool { targets[.node(name)] != nil }
    func wants(_ target: Target, at address: SocketAddress) {
        guard !isStopped else { return }
        if targets[target] == nil { targets[target] = Dialing(address: address) } else { targets[target]?.address = address }
        begin(target)
    }
    func forget(_ target: Target) { targets.removeValue(forKey: target)?.wait?.cancel() }
    /// The attempt became a link.
    func succeeded(_ target: Target) {
        targets[target]?.isUnderWay = false
        targets[target]?.backoff.reset()
        targets[target]?.lastFailure = nil
    }
    /// The attempt, or the link it became, came to nothing.
    func failed(_ target: Target, _ why: String) {
        guard !isStopped, let dialing = targets[target] else { return }
        if dialing.lastFailure != why {
            targets[target]?.lastFailure = why
            system.notice(.dialFailed("\(target)", why), once: "dial \(target) \(why)")
        }
        targets[target]?.isUnderWay = true
        let wait = targets[target]!.backoff.next(random: system.random.next())
        targets[target]?.wait = loop.schedule(after: wait) { [weak self] in self?.dial(target) }
    }
    /// There is news that it is worth trying again: all of them, or one.
    func hurry(_ only: Target? = nil) {
        for target in targets.keys.sorted() where only == nil || target == only {
            targets[target]?.backoff.reset()
            guard let wait = targets[target]?.wait else { begin(target); continue }
            wait.cancel()
            dial(target)
        }
    }
    /// Why nothing has come of dialing so far.
    var lastFailure: String? { targets.sorted { $0.key < $1.key }.compactMap(\.value.lastFailure).first }
    /// Dials whoever is wanted and not linked.
    func dialAll() { for target in targets.keys.sorted() { begin(target) } }

    private func begin(_ target: Target) {
        guard targets[target]?.isUnderWay == false, system.links.needs(target) else { return }
        targets[target]?.isUnderWay = true
        loop.post { [weak self] in self?.dial(target) }
    }
    private func dial(_ target: Target) {
        guard !isStopped, let dialing = targets[target] else { return }
        targets[target]?.wait = nil
        guard system.links.needs(target) else { targets[target]?.isUnderWay = false; return }
        system.network.connect(dialing.address, timeout: Limits.connect, bufferBound: Limits.streamBytes) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let stream): if isStopped || targets[target] == nil { stream.abort() } else { system.links.connected(stream, target) }
            case .failure(let error): failed(target, "\(error)")
            }
        }
    }
}
