import Primitives
import RTP
import Testing
import WebRTC

@Suite struct OfferTests {
    @Test func defaultsForAClientThatOnlyReceives() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        #expect(nothing(server.makeOffer()))
        for codec in Codec.allCases { server.addOutbound(.test("t-\(codec)", codec)) }
        let text = server.makeOffer()
        #expect(nothing(server.makeOffer()), "one is outstanding")
        let offer = try SDP.Session.parse(try #require(text))
        #expect(offer.iceLite && offer.bundle == ["s1", "s2", "s3", "s4", "s5"] && offer.userName == "troupe" && offer.sessionID == "42" && offer.version == 1)
        #expect(offer.media.map(\.formats) == [["111"], ["96", "97"], ["98", "99"], ["102", "103"], ["45", "46"]])
        #expect(offer.media.allSatisfy { $0.direction == .sendonly && $0.transport.setup == .actpass && $0.endOfCandidates && $0.rtcpMux })
        let video = offer.media[1], track = OutboundTrack.test("t-vp8", .vp8)
        #expect(video.msids == [SDP.MSID(stream: "anna", track: "t-vp8")] && video.sourceGroups == [SDP.SourceGroup(semantics: "FID", ssrcs: [track.ssrc, track.rtxSSRC!])])
        #expect(Set(video.sources.map(\.value)) == ["anna"] && Set(video.feedback.map(\.value)) == ["nack", "nack pli", "ccm fir"])
        #expect(offer.media[3].formatParameters[102] == Codec.h264.defaultFormatParameters)
        #expect(offer.media[0].extmaps.map(\.uri) == [ExtensionURI.mid.uri, ExtensionURI.audioLevel.uri] && video.extmaps.map(\.uri) == [ExtensionURI.mid.uri])

        let answered = try client.receive(offer: text!)
        let accepted = try server.receive(answer: try #require(answered?.answer))
        #expect(accepted.answer == nil && accepted.remote.iceUfrag == "cliufrag" && accepted.remote.setup == .active)
        #expect(accepted.outbound.map(\.payloadType) == [111, 96, 98, 102, 45] && accepted.outbound.allSatisfy(\.accepted))
        #expect(accepted.outbound.map(\.rtxPayloadType) == [nil, 97, 99, 103, 46])
        #expect(accepted.outbound[1].extensions == ExtensionMap([.mid: 4]) && accepted.outbound[1].mid == "s2")
        #expect(nothing(server.makeOffer()))
        // What the client learned of the first video.
        let inbound = try #require(answered?.inbound[1])
        #expect(inbound.trackID == "t-vp8" && inbound.streamID == "anna" && inbound.encodings == [InboundEncoding(ssrc: track.ssrc, rtxSSRC: track.rtxSSRC)])
    }

    @Test func numbersFollowThePeer() throws {
        var negotiation = Negotiation.test()
        _ = try negotiation.receive(offer: Transcripts.chromiumSimulcast)
        negotiation.addOutbound(.test("cb", .h264, fmtp: "packetization-mode=1;profile-level-id=42e01f"))
        negotiation.addOutbound(.test("base", .h264, fmtp: "packetization-mode=1;profile-level-id=42001f"))
        negotiation.addOutbound(.test("high", .h264, fmtp: "packetization-mode=1;profile-level-id=64001f"))
        let text = negotiation.makeOffer()
        #expect(try section(text, "s1").formats == ["108", "109"] && section(text, "s2").formats == ["102", "103"])
        let high = try section(text, "s3")
        #expect(high.formatParameters[UInt8(high.formats[0])!] == "packetization-mode=1;profile-level-id=64001f")
        let taken = try section(Transcripts.chromiumSimulcast, "1").formats + section(Transcripts.chromiumSimulcast, "0").formats
        #expect(!taken.contains(high.formats[0]) && !taken.contains(high.formats[1]) && high.formats[0] != high.formats[1])
        // Its own sections stay as they are, in their places.
        let session = try SDP.Session.parse(text!)
        #expect(session.media.map { $0.mid! } == ["0", "1", "2", "s1", "s2", "s3"] && session.bundle == ["0", "1", "s1", "s2", "s3"])
        #expect(session.media[1].direction == .recvonly && session.media[1].simulcast?.receive == ["q", "h", "f"] && session.media[1].formats.first == "96")
        #expect(session.media[2].isRejected && session.media[2].proto == "UDP/DTLS/SCTP" && session.media[2].formats == ["webrtc-datachannel"])
        #expect(session.media[1].extmaps.map(\.id) == [4, 10, 11])
    }

    @Test func refusedTracksAreNotOfferedAgain() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        server.addOutbound(.test("a", .opus))
        server.addOutbound(.test("v", .vp8))
        let answer = try client.receive(offer: server.makeOffer()!)!.answer!
        let refused = try server.receive(answer: answer.replacingLines("m=video", with: "m=video 0 UDP/TLS/RTP/SAVPF 96"))
        #expect(refused.outbound.map(\.id) == ["a"] && nothing(server.makeOffer()))
        server.addOutbound(.test("v", .vp8))
        #expect(!nothing(server.makeOffer()), "asked for again it is")
    }

    @Test func inactiveInTheAnswerMeansNotNow() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        server.addOutbound(.test("v", .vp8))
        let answer = try client.receive(offer: server.makeOffer()!)!.answer!
        let accepted = try server.receive(answer: answer.replacingLines("a=recvonly", with: "a=inactive"))
        #expect(accepted.outbound.map(\.accepted) == [false] && nothing(server.makeOffer()))
    }

    @Test func removedTracksStopTheirSection() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        for id in ["a", "b", "c"] { server.addOutbound(.test(id, .vp8)) }
        _ = try exchange(&server, &client)
        server.removeOutbound(id: "a")
        server.removeOutbound(id: "b")
        let text = server.makeOffer()
        #expect(try section(text, "s1").direction == .inactive && section(text, "s1").port != 0, "the first carries the group's transport")
        #expect(try section(text, "s2").isRejected && section(text, "s3").direction == .sendonly)
        #expect(try SDP.Session.parse(text!).bundle == ["s1", "s3"])
        let answer = try client.receive(offer: text!)!.answer!
        #expect(try server.receive(answer: answer).outbound.map(\.id) == ["c"] && nothing(server.makeOffer()))
        server.addOutbound(.test("d", .vp8))
        #expect(try section(server.makeOffer(), "s4").direction == .sendonly, "a short session grows")
    }

    @Test func longSessionsUseSectionsAnew() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        for round in 0..<60 {
            server.addOutbound(.test("v\(round)", .vp8))
            server.addOutbound(.test("a\(round)", .opus))
            _ = try exchange(&server, &client)
            if round >= 3 {
                server.removeOutbound(id: "v\(round - 3)")
                server.removeOutbound(id: "a\(round - 3)")
                let accepted = try exchange(&server, &client)
                #expect(accepted.server.outbound.count == 6 && accepted.server.outbound.allSatisfy(\.accepted))
                #expect(accepted.client.inbound.filter(\.active).count == 6)
            }
        }
        server.addOutbound(.test("last", .vp8))
        let sections = try SDP.Session.parse(server.makeOffer()!).media
        #expect(sections.count <= Negotiation.Limits.sectionsBeforeReuse + 2 && Set(sections.map(\.mid)).count == sections.count)
    }

    @Test func sessionsAreBounded() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        for i in 0..<80 { server.addOutbound(.test("v\(i)", .vp8)) }
        let accepted = try exchange(&server, &client)
        #expect(accepted.server.outbound.count == SDP.Limits.media && nothing(server.makeOffer()))
        server.removeOutbound(id: "v5")
        _ = try exchange(&server, &client)
        let next = try exchange(&server, &client)
        #expect(next.server.outbound.contains { $0.id == "v64" } && nothing(server.makeOffer()))
    }

    @Test func ownRestartOfICE() throws {
        var server = Negotiation.test(), client = ClientNegotiation.test()
        server.addOutbound(.test("v", .vp8))
        _ = try exchange(&server, &client)
        var fresh = LocalTransport.server
        fresh.iceUfrag = "newufrag"
        server.restartICE(local: fresh)
        let accepted = try exchange(&server, &client)
        #expect(accepted.server.local.iceUfrag == "newufrag" && accepted.client.iceRestarted && accepted.client.remote.iceUfrag == "newufrag")
        #expect(nothing(server.makeOffer()))
    }

    @Test func idsCannotBreakALine() throws {
        var server = Negotiation.test()
        server.addOutbound(.test("v\r\na=evil", .vp8, stream: "an na"))
        #expect(try section(server.makeOffer(), "s1").msids == [SDP.MSID(stream: "an_na", track: "v__a=evil")])
    }
}
