import Primitives
import RTP
import Testing
import WebRTC

@Suite struct CollisionTests {
    @Test func serverGivesWayAndOffersAgain() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        client.publish(.test("mine", .vp8, stream: "me"))
        server.addOutbound(.test("theirs", .vp8))
        let (fromServer, fromClient) = (server.makeOffer()!, client.makeOffer()!)
        #expect(try client.receive(offer: fromServer) == nil, "ignored: ours is outstanding")
        let accepted = try server.receive(offer: fromClient)
        #expect(accepted.rolledBack && accepted.inbound.map(\.trackID) == ["mine"] && accepted.outbound.isEmpty && !server.hasOutstandingOffer)
        let published = try client.receive(answer: accepted.answer!)
        #expect(published.outbound.map(\.accepted) == [true] && published.remote.isLite && published.remote.candidates == LocalTransport.server.candidates)
        // Nothing is lost: the server's track comes with its next offer.
        let both = try exchange(&server, &client)
        #expect(both.server.outbound.map(\.id) == ["theirs"] && both.server.inbound.map(\.trackID) == ["mine"])
        #expect(both.client.inbound.map(\.trackID) == ["theirs"] && both.client.outbound.map(\.id) == ["mine"])
        #expect(nothing(server.makeOffer()) && nothing(client.makeOffer()))
    }

    @Test func receiveOnlySectionsOfTheClientAreFilled() throws {
        let offer = Transcripts.aiortc.replacingLines("a=sendrecv", with: "a=recvonly")
        var server = Negotiation.test()
        server.addOutbound(.test("face", .vp8))
        let accepted = try server.receive(offer: offer)
        #expect(accepted.inbound.isEmpty && accepted.outbound.map(\.mid) == ["1"] && accepted.outbound[0].payloadType == 97 && accepted.outbound[0].accepted)
        let video = try section(accepted.answer, "1")
        #expect(video.direction == .sendonly && video.formats == ["97", "98"] && video.msids.first?.track == "face")
        #expect(try section(accepted.answer, "0").direction == .inactive && nothing(server.makeOffer()))
        // Removed, it leaves the client's section in place.
        server.removeOutbound(id: "face")
        let next = try section(server.makeOffer(), "1")
        #expect(next.port != 0 && next.direction == .recvonly && next.msids.isEmpty)
    }

    /// Chromium's `addTrack` sends in a section of ours; stopping that track must not take ours with it.
    @Test func aSectionUsedByBothSides() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        server.addOutbound(.test("face", .vp8))
        let answer = try client.receive(offer: server.makeOffer()!)!.answer!
        let both = try server.receive(answer: answer.replacingLines("a=recvonly", with: "a=sendrecv"))
        #expect(both.inbound.map(\.mid) == ["s1"] && both.outbound.map(\.mid) == ["s1"] && nothing(server.makeOffer()))
        server.removeOutbound(id: "face")
        #expect(try section(server.makeOffer(), "s1").direction == .recvonly, "the client's track goes on")
        server.addOutbound(.test("face", .vp8))
        let stopped = answer.replacingLines("a=setup", with: "a=setup:actpass").replacingLines("m=video", with: "m=video 0 UDP/TLS/RTP/SAVPF 96")
        let accepted = try server.receive(offer: stopped)
        #expect(accepted.inbound.isEmpty && accepted.outbound.isEmpty)
        #expect(try section(server.makeOffer(), "s2").msids.first?.track == "face")
    }

    /// Whatever both sides do, in whatever order: they agree in the end.
    @Test(arguments: 0..<20) func bothSidesAgreeInTheEnd(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var server = Negotiation.test(), client = ClientNegotiation.test()
        var published: Set<String> = [], sent: Set<String> = []
        var last: (client: Accepted?, server: Accepted?) = (nil, nil)
        for step in 0..<60 {
            let codec = Codec.allCases.randomElement(using: &random)!
            switch Int.random(in: 0...5, using: &random) {
            case 0: client.publish(.test("p\(step)", codec)); published.insert("p\(step)")
            case 1: server.addOutbound(.test("s\(step)", codec)); sent.insert("s\(step)")
            case 2: if let id = published.sorted().randomElement(using: &random) { client.unpublish(id: id); published.remove(id) }
            case 3: if let id = sent.sorted().randomElement(using: &random) { server.removeOutbound(id: id); sent.remove(id) }
            case 4: try settle(&client, &server, both: true, &last)
            default: try settle(&client, &server, both: false, &last)
            }
        }
        while client.needsOffer || server.needsOffer { try settle(&client, &server, both: true, &last) }
        #expect(Set(last.server?.outbound.filter(\.accepted).map(\.id) ?? []) == sent)
        #expect(Set(last.client?.inbound.filter(\.active).map(\.trackID) ?? []) == sent)
        #expect(Set(last.server?.inbound.filter(\.active).map(\.trackID) ?? []) == published)
        #expect(Set(last.client?.outbound.filter(\.accepted).map(\.id) ?? []) == published)
        let numbers = (last.client?.outbound ?? []).map(\.payloadType) + (last.server?.outbound ?? []).map(\.payloadType)
        #expect(numbers.allSatisfy { $0 >= 35 && $0 < 128 })
    }

    /// Client's offer first; with `both` the server's is under way at the same time.
    private func settle(_ client: inout ClientNegotiation, _ server: inout Negotiation, both: Bool, _ last: inout (client: Accepted?, server: Accepted?)) throws {
        let fromServer = both ? server.makeOffer() : nil
        if let fromClient = client.makeOffer() {
            if let fromServer { #expect(try client.receive(offer: fromServer) == nil) }
            last.server = try server.receive(offer: fromClient)
            last.client = try client.receive(answer: last.server!.answer!)
        } else if let fromServer {
            last.client = try client.receive(offer: fromServer)
            last.server = try server.receive(answer: last.client!.answer!)
        }
        if let again = server.makeOffer() {
            last.client = try client.receive(offer: again)
            last.server = try server.receive(answer: last.client!.answer!)
        }
    }
}
