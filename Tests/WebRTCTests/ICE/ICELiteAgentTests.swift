// The server's agent as transcripts: a check goes in, what it means comes out.
import Primitives
import Testing
@testable import WebRTC

@Suite struct ICELiteAgentTests {
    static let local = ICECredentials(fragment: "srvr", password: "server-password-of-enough-length")
    static let a = SocketAddress(ipv4: 0x7F00_0001, port: 1000), b = SocketAddress(ipv4: 0x7F00_0001, port: 2000)
    static func at(_ seconds: Double) -> Instant { .origin + .milliseconds(Int64(seconds * 1000)) }

    struct Check {
        var username: String? = "srvr:clnt"
        var password: String? = ICELiteAgentTests.local.password
        var nominates = false
        var controlled = false
        var extra: UInt16?
    }
    static func request(_ check: Check) -> [UInt8] {
        var writer = STUN.Writer(.request, transaction: STUN.TransactionID(high: 1, low: 2))
        if let username = check.username { writer.username(username) }
        if check.controlled { writer.controlled(9) } else { writer.controlling(9) }
        writer.priority(1)
        if check.nominates { writer.useCandidate() }
        if let extra = check.extra { writer.attribute(extra, []) }
        return writer.finish(key: check.password.map { HMACSHA1(key: Array($0.utf8)) })
    }
    /// The agent under test; a class, so that an expectation may contain the call that changes it.
    @dynamicMemberLookup final class Subject {
        var agent = ICELiteAgent(local: ICELiteAgentTests.local)
        subscript<T>(dynamicMember path: KeyPath<ICELiteAgent, T>) -> T { agent[keyPath: path] }
        func receive(_ check: Check, from: SocketAddress, at seconds: Double) throws -> ICEOutcome {
            try receive(ICELiteAgentTests.request(check), from: from, at: seconds)
        }
        func receive(_ bytes: [UInt8], from: SocketAddress, at seconds: Double) throws -> ICEOutcome {
            try bytes.withBytes { agent.receive(try STUN.Message.parse($0), from: from, now: ICELiteAgentTests.at(seconds)) }
        }
    }
    static func response(_ outcome: ICEOutcome, _ body: (STUN.Message) -> Void) throws {
        try #require(outcome.response).withBytes { body(try STUN.Message.parse($0)) }
    }

    @Test func answersWithWhatItSees() throws {
        let agent = Subject()
        let outcome = try agent.receive(Check(), from: Self.a, at: 0)
        try Self.response(outcome) {
            #expect($0.messageClass == .success && $0.mappedAddress == Self.a && $0.transaction == STUN.TransactionID(high: 1, low: 2))
            #expect($0.isAuthentic(HMACSHA1(key: Array(Self.local.password.utf8))) && $0.hasFingerprint)
        }
        #expect(outcome.validated == Self.a && outcome.selected == Self.a && outcome.drop == nil, "media may go there before a nomination")
        #expect(try agent.receive(Check(), from: Self.b, at: 0).selected == nil)
        #expect(try agent.receive(Check(nominates: true), from: Self.b, at: 0).selected == Self.b)
    }

    @Test(arguments: [
        (Check(password: nil), 400, ICEDrop.incomplete),
        (Check(username: nil), 400, .incomplete),
        (Check(password: "another password of that length!"), 401, .notAuthentic),
        (Check(extra: 0x7FFF), 420, .unknownAttribute),
        (Check(controlled: true), 487, .roleConflict),
    ] as [(Check, UInt16, ICEDrop)])
    func refuses(_ check: Check, _ code: UInt16, _ drop: ICEDrop) throws {
        let agent = Subject()
        let outcome = try agent.receive(check, from: Self.a, at: 0)
        try Self.response(outcome) { #expect($0.messageClass == .failure && $0.errorCode == code) }
        #expect(outcome.drop == drop && outcome.validated == nil && outcome.selected == nil)
        #expect(agent.deadline == nil, "nothing unauthenticated keeps consent")
    }
    @Test func isSilentForOthers() throws {
        let agent = Subject()
        for name in ["other:clnt", "srvrx:clnt", "srv:clnt", "srvr"] {
            let outcome = try agent.receive(Check(username: name), from: Self.a, at: 0)
            #expect(outcome.response == nil && outcome.drop == .unknownFragment, "\(name)")
        }
    }

    @Test func theLatestNominationWins() throws {
        let agent = Subject()
        #expect(try agent.receive(Check(nominates: true), from: Self.a, at: 0).selected == Self.a)
        #expect(try agent.receive(Check(nominates: true), from: Self.a, at: 1).selected == nil)
        #expect(try agent.receive(Check(), from: Self.b, at: 2).selected == nil)
        #expect(try agent.receive(Check(nominates: true), from: Self.b, at: 3).selected == Self.b)
        #expect(agent.agent.isValid(Self.a) && agent.agent.isValid(Self.b))
    }
    /// Chromium shakes hands on the pair it likes best, which it may nominate later.
    @Test func beforeANominationTrafficDecides() throws {
        let subject = Subject()
        _ = try subject.receive(Check(), from: Self.a, at: 0)
        _ = try subject.receive(Check(), from: Self.b, at: 0)
        let fromA = subject.agent.receivedTraffic(from: Self.a), fromB = subject.agent.receivedTraffic(from: Self.b), stranger = subject.agent.receivedTraffic(from: Self.a.with(port: 9))
        #expect(fromA == nil && fromB == Self.b && stranger == nil && subject.selected == Self.b)
        #expect(try subject.receive(Check(nominates: true), from: Self.a, at: 0).selected == Self.a)
        let afterwards = subject.agent.receivedTraffic(from: Self.b)
        #expect(afterwards == nil && subject.selected == Self.a)
    }
    /// A client whose nomination came through once and which now moves without nominating again.
    @Test func aSilentSelectionGivesWay() throws {
        let agent = Subject()
        _ = try agent.receive(Check(nominates: true), from: Self.a, at: 0)
        #expect(try agent.receive(Check(), from: Self.b, at: 9.9).selected == nil)
        #expect(try agent.receive(Check(), from: Self.b, at: 10).selected == Self.b)
    }
    @Test func consentEndsThirtySecondsAfterTheLastCheck() throws {
        let agent = Subject()
        #expect(agent.agent.hasConsent(now: Self.at(1000)), "not before the first check")
        _ = try agent.receive(Check(), from: Self.a, at: 5)
        _ = try agent.receive(Check(password: "not the password, not the password"), from: Self.a, at: 20)
        #expect(agent.deadline == Self.at(35))
        #expect(agent.agent.hasConsent(now: Self.at(34.999)) && !agent.agent.hasConsent(now: Self.at(35)))
    }
    @Test func oldAddressesAreForgottenButNotTheSelectedOne() throws {
        let agent = Subject()
        _ = try agent.receive(Check(nominates: true), from: Self.a, at: 0)
        for port in 1..<ICELiteAgent.Limits.validAddresses {
            #expect(try agent.receive(Check(), from: Self.b.with(port: UInt16(port)), at: 1).invalidated == nil)
        }
        let outcome = try agent.receive(Check(), from: Self.b, at: 2)
        #expect(outcome.validated == Self.b && outcome.invalidated == Self.b.with(port: 1))
        #expect(agent.agent.isValid(Self.a) && !agent.agent.isValid(Self.b.with(port: 1)))
    }
    @Test func restartKeepsTheOldPathUntilTheNewIsNominated() throws {
        let agent = Subject()
        _ = try agent.receive(Check(nominates: true), from: Self.a, at: 0)
        let fresh = ICECredentials(fragment: "next", password: "the next password, long enough")
        agent.agent.restart(local: fresh)
        #expect(agent.selected == Self.a)
        #expect(try agent.receive(Check(), from: Self.a, at: 1).drop == nil)
        let new = Check(username: "next:clnt", password: fresh.password)
        #expect(try agent.receive(new, from: Self.b, at: 2).drop == nil)
        #expect(try agent.receive(Check(username: "next:clnt"), from: Self.b, at: 2).drop == .notAuthentic)
        var nominating = new
        nominating.nominates = true
        #expect(try agent.receive(nominating, from: Self.b, at: 3).selected == Self.b)
        #expect(try agent.receive(Check(), from: Self.a, at: 4).drop == .unknownFragment)
    }
    @Test func ignoresWhatItNeverAskedFor() throws {
        let agent = Subject()
        for (kind, drop) in [(STUN.Class.success, ICEDrop.unexpectedResponse), (.failure, .unexpectedResponse), (.indication, .ignored)] {
            let bytes = STUN.Writer(kind, transaction: STUN.TransactionID(high: 0, low: 0)).finish(key: nil)
            #expect(try agent.receive(bytes, from: Self.a, at: 0).drop == drop)
        }
    }
    @Test func drawsCredentialsOfIceChars() {
        let random = SeededRandom(seed: 4)
        let one = ICECredentials.random(random), two = ICECredentials.random(random)
        #expect(one != two && one.fragment.utf8.count == 8 && one.password.utf8.count == 24)
        #expect((one.fragment + one.password).allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "+" || $0 == "/") })
    }
}
