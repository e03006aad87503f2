// Who captures: the writer beside the Recording, and a warm standby on another node (docs/decisions/0034-capture-writers.md).
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

extension Recording {
    /// The recorder node that captures too: the first of the others in this recording's own order; nil where there is none.
    static func standby(for recording: RecordingID, beside node: NodeName, among members: [Member]) -> NodeName? {
        members.filter { $0.name != node && $0.roles.contains("recorder") && $0.state.takesWork }.map(\.name)
            .max { (StableHash.fnv1a("\(recording)@\($0)".utf8), $0) < (StableHash.fnv1a("\(recording)@\($1)".utf8), $1) }
    }
    /// Recorder nodes besides this one that may have been capturing under an earlier decider.
    var otherRecorders: Set<NodeName> {
        Set(actorSystem.members().filter { $0.roles.contains("recorder") && $0.state != .down }.map(\.name)).subtracting([actorSystem.node])
    }

    /// Gives the orders again; releases who is not wanted once the wanted ones have everything.
    func keepWriters() async {
        let standby = Self.standby(for: recordingID, beside: actorSystem.node, among: actorSystem.members())
        let order = order()
        var isWhole = await (try? writer?.local { try $0.obey(order) })?.isWhole ?? false
        guard record?.status.state.isActive == true else { return }
        if let standby {
            writing.insert(standby)
            let report = await ordered(standby)
            // One that does not answer keeps nobody waiting: it may be dying.
            if let report, !report.isWhole { isWhole = false }
        }
        let unwanted = writing.subtracting(standby.map { [$0] } ?? [])
        guard !unwanted.isEmpty else { return keptSince = nil }
        keptSince = keptSince ?? context.loop.now
        guard isWhole || context.loop.now - keptSince! > Limits.overlap else { return }
        keptSince = nil
        await release(unwanted)
    }
    private func ordered(_ node: NodeName) async -> CaptureReport? {
        let agent = actorSystem.service(RecorderAgent.self, on: node, RecorderAgent.service), order = order()
        do { return try await ClusterSystem.$deadline.withValue(Limits.order) { try await agent.capture(order) } } catch {
            context.log(.warning, "standby_order", ["recording": recordingID.rawValue, "node": node.rawValue, "error": "\(error)"])
            return nil
        }
    }

    /// Ends the capture on these nodes, all at once. One that cannot be told ends it by itself (`CaptureWriter.Limits.orphaned`).
    func release(_ nodes: Set<NodeName>) async {
        let epoch = epoch, recording = recordingID
        await withTaskGroup(of: (NodeName, (any Error)?).self) { group in
            for node in nodes.sorted() {
                let agent = actorSystem.service(RecorderAgent.self, on: node, RecorderAgent.service)
                group.addTask { (node, await Self.failure { try await agent.release(recording, epoch: epoch) }) }
            }
            for await (node, error) in group {
                if let error { context.log(.warning, "release", ["recording": recording.rawValue, "node": node.rawValue, "error": "\(error)"]) }
                if error == nil || actorSystem.member(node)?.state == .down { writing.remove(node) }
            }
        }
    }
    private static func failure(_ order: @Sendable () async throws -> Void) async -> (any Error)? {
        do { try await ClusterSystem.$deadline.withValue(Limits.release) { try await order() } } catch { return error }
        return nil
    }
}
