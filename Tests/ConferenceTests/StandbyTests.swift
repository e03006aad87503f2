import Cluster
import Contracts
import Primitives
import Testing
@testable import Conference

/// Which node captures besides the one that decides.
@Suite struct StandbyTests {
    private func members(_ names: String..., roles: Set<String> = ["recorder"]) -> [Member] { names.map { Member(name: NodeName($0), incarnation: Incarnation(1), roles: roles) } }

    @Test func oneRecorderHasNone() {
        #expect(Recording.standby(for: "r", beside: "a", among: members("a") + members("b", "c", roles: ["edge"])) == nil)
    }
    @Test(arguments: [MemberState.draining, .down, .joining, .leaving])
    func onlyWhoTakesWork(_ state: MemberState) {
        var others = members("a", "b")
        others[1].state = state
        #expect(Recording.standby(for: "r", beside: "a", among: others) == nil)
    }
    /// The death of the decider leaves the standby what it is, wherever the next decider lives; other members change it only by coming first.
    @Test func itStaysWhoeverDecides() {
        let all = members("a", "b", "c", "d", "e")
        for index in 0..<200 {
            let id = RecordingID("RC_\(index)")
            let standby = Recording.standby(for: id, beside: "a", among: all)!
            let left = all.filter { $0.name != "a" }
            for next in left where next.name != standby { #expect(Recording.standby(for: id, beside: next.name, among: left) == standby) }
            #expect(Recording.standby(for: id, beside: standby, among: left) != standby)
        }
    }
    /// Whoever finds none free learns why.
    @Test func aRefusalSaysHowTheRecordersAre() {
        var all = members("a", "b", "c", "d") + members("e", roles: ["edge"])
        (all[1].state, all[2].state, all[3].state) = (.draining, .down, .suspect)
        #expect("\(RecorderCensus(all))" == "of 4 nodes of the role 1 take work, 1 are being emptied, 2 are away")
        #expect("\(RecorderCensus(members("e", roles: ["edge"])))" == "no node of the cluster has the role")
        let refusal = ServiceError(recordingFailure: ClusterError.notExecuted(.noHost), recorders: RecorderCensus(all))
        #expect(refusal.kind == .unavailable && refusal.code == "no_recorder" && refusal.message.contains("1 are being emptied"))
    }
    @Test func theWorkIsShared() {
        let all = members("a", "b", "c", "d", "e")
        var shares: [NodeName: Int] = [:]
        for index in 0..<1_000 { shares[Recording.standby(for: RecordingID("RC_\(index)"), beside: "a", among: all)!, default: 0] += 1 }
        #expect(shares.count == 4 && shares.values.allSatisfy { (180...320).contains($0) }, "\(shares)")
    }
}
