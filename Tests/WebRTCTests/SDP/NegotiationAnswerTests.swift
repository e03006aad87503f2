import Primitives
import RTP
import Testing
import WebRTC

@Suite struct AnswerTests {
    @Test func chromiumSimulcast() throws {
        var negotiation = Negotiation.test()
        let accepted = try negotiation.receive(offer: Transcripts.chromiumSimulcast)
        #expect(accepted.remote.iceUfrag == "fY+e" && accepted.remote.fingerprintAlgorithm == "sha-256" && accepted.remote.setup == .actpass)
        #expect(!accepted.iceRestarted && !accepted.rolledBack && accepted.outbound.isEmpty)

        let audio = accepted.inbound[0], video = accepted.inbound[1]
        #expect(audio.kind == .audio && audio.trackID == "f0641c9c-8917-49fd-b31c-12fa3c684142" && audio.streamID == "ec834889-b555-4764-8d96-1becfdd3121c")
        #expect(audio.codecs == [NegotiatedCodec(payloadType: 111, codec: .opus, rtxPayloadType: nil, fmtp: "minptime=10;useinbandfec=1")])
        #expect(audio.encodings == [InboundEncoding(ssrc: 153746123)] && audio.active)
        #expect(audio.extensions == ExtensionMap([.audioLevel: 1, .mid: 4]))
        #expect(video.codecs.map(\.codec) == [.vp8, .h264, .av1, .vp9] && video.codecs.map(\.payloadType) == [96, 108, 45, 98])
        #expect(video.codecs.map(\.rtxPayloadType) == [97, 109, 46, 99])
        #expect(video.extensions == ExtensionMap([.mid: 4, .rid: 10, .repairedRid: 11]))
        #expect(video.encodings.map(\.rid) == ["q", "h", "f"])

        let answer = try SDP.Session.parse(try #require(accepted.answer))
        #expect(answer.iceLite && answer.bundle == ["0", "1"] && answer.media.map(\.kind) == [.audio, .video, .application])
        for media in answer.media[..<2] {
            #expect(media.direction == .recvonly && media.transport.setup == .passive && media.rtcpMux && media.rtcpReducedSize && media.port == 40000)
            #expect(media.transport.iceUfrag == "srvufrag" && media.transport.fingerprints == [SDP.Fingerprint(algorithm: "sha-256", digest: serverFingerprint)])
            #expect(media.candidates.map(\.address) == LocalTransport.server.candidates.map(Optional.some) && media.endOfCandidates)
            #expect(media.candidates[0].priority > media.candidates[1].priority)
            #expect(media.sources.isEmpty && media.msids.isEmpty)
        }
        let sent = answer.media[1]
        #expect(sent.formats == ["96", "97", "108", "109", "45", "46", "98", "99"])
        #expect(sent.rids == ["q", "h", "f"].map { SDP.RID(id: $0, isSend: false) } && sent.simulcast == SDP.Simulcast(receive: ["q", "h", "f"]))
        #expect(Set(sent.feedback.map(\.value)) == ["nack", "nack pli", "ccm fir"], "only what we give")
        #expect(sent.formatParameters[108]?.contains("42e01f") == true && sent.formatParameters[97] == "apt=96")
        #expect(answer.media[0].feedback.isEmpty, "NACK for Opus was not offered")
        #expect(answer.media[2].isRejected && answer.media[2].mid == "2")
    }

    @Test func firefoxSimulcast() throws {
        var negotiation = Negotiation.test()
        let accepted = try negotiation.receive(offer: Transcripts.firefoxSimulcast)
        #expect(accepted.remote.fingerprint.hasPrefix("DD:94:F3"), "the session's fingerprint stands for its sections")
        #expect(accepted.inbound[0].trackID == "{52aabb23-f263-4e79-821d-04042ede0a14}" && accepted.inbound[0].codecs[0].fmtp == "minptime=10;useinbandfec=1;stereo=1")
        #expect(accepted.inbound[1].encodings == ["q", "h", "f"].map { InboundEncoding(rid: $0) })
        #expect(accepted.inbound[1].extensions == ExtensionMap([.mid: 3, .rid: 9, .repairedRid: 10]))
        let video = try section(accepted.answer, "1")
        #expect(video.extmaps.first { $0.id == 9 }?.direction == .recvonly, "what it only sends we only receive")
        #expect(video.formatParameters[120] == nil, "its limits are not echoed")
    }

    @Test func aiortcSendsAndReceives() throws {
        var negotiation = Negotiation.test()
        let accepted = try negotiation.receive(offer: Transcripts.aiortc)
        #expect(accepted.remote.candidates == [SocketAddress(host: "192.0.2.2", port: 47345)!, SocketAddress(host: "fd00::2", port: 46189)!])
        #expect(accepted.inbound.map(\.encodings) == [[InboundEncoding(ssrc: 1506372184)], [InboundEncoding(ssrc: 790688517, rtxSSRC: 2542778890)]])
        let video = try section(accepted.answer, "1")
        #expect(video.direction == .recvonly && video.formats == ["97", "98", "101", "102"] && !video.rtcpReducedSize)
        #expect(Set(video.feedback.map(\.value)) == ["nack", "nack pli"], "ccm fir was not offered")
        // What it offered decides the numbers of our own offer.
        negotiation.addOutbound(.test("voice", .opus))
        negotiation.addOutbound(.test("face", .vp8))
        let text = negotiation.makeOffer()
        let voice = try section(text, "s1"), face = try section(text, "s2")
        #expect(voice.formats == ["96"] && face.formats == ["97", "98"])
        #expect(voice.extmaps.map(\.id) == [1, 2] && face.extmaps.map(\.id) == [1])
    }

    @Test func onlyOurCodecsAndTransport() throws {
        let other = Transcripts.aiortc
            .replacingLines("m=video", with: "m=video 9 UDP/TLS/RTP/SAVPF 99").replacingLines("a=fmtp:99", with: "a=fmtp:99 packetization-mode=2")
        var negotiation = Negotiation.test()
        let accepted = try negotiation.receive(offer: other)
        let video = try section(accepted.answer, "1")
        #expect(video.isRejected && accepted.inbound.map(\.mid) == ["0"])
        // Outside the BUNDLE group there is no second transport for it.
        let unbundled = try negotiation.receive(offer: Transcripts.aiortc.replacingLines("a=group", with: "a=group:BUNDLE 0"))
        #expect(try section(unbundled.answer, "1").isRejected)
        #expect(try SDP.Session.parse(unbundled.answer!).bundle == ["0"])
        // Without a group only the first section has it, and the answer adds none.
        let plain = try negotiation.receive(offer: Transcripts.aiortc.replacingLines("a=group", with: "a=x"))
        #expect(try SDP.Session.parse(plain.answer!).bundle == nil && section(plain.answer, "1").isRejected && plain.inbound.map(\.mid) == ["0"])
    }

    @Test(arguments: [
        ("a=mid:1", "a=x", SDPError.missing("a=mid in m-line 1")),
        ("a=mid:1", "a=mid:0", .sectionMismatch(index: 1, "mid 0 is used twice")),
        ("a=ice-ufrag", "a=x", .missing("a=ice-ufrag")), ("a=ice-pwd", "a=x", .missing("a=ice-pwd")),
        ("a=fingerprint", "a=x", .missing("a=fingerprint")), ("a=fingerprint", "a=fingerprint:md5 AB", .unsupported("fingerprint by md5")),
        ("a=setup", "a=setup:passive", .unsupported("a=setup:passive in an offer")),
    ])
    func refused(_ prefix: String, _ line: String, _ error: SDPError) {
        var negotiation = Negotiation.test()
        #expect(refusal { () throws(SDPError) in try negotiation.receive(offer: Transcripts.aiortc.replacingLines(prefix, with: line)) } == error)
    }

    @Test func sectionsMustContinueTheSession() throws {
        var negotiation = Negotiation.test()
        _ = try negotiation.receive(offer: Transcripts.aiortc)
        let swapped = Transcripts.aiortc.replacingLines("m=video", with: "m=audio 9 UDP/TLS/RTP/SAVPF 97")
        #expect(refusal { () throws(SDPError) in try negotiation.receive(offer: swapped) } == .sectionMismatch(index: 1, "expected m=video, found m=audio"))
        let renamed = Transcripts.aiortc.replacingLines("a=mid:1", with: "a=mid:9")
        #expect(refusal { () throws(SDPError) in try negotiation.receive(offer: renamed) } == .sectionMismatch(index: 1, "expected mid 1, found 9"))
        let shorter = String(Transcripts.aiortc[..<Transcripts.aiortc.firstRange(of: "m=video")!.lowerBound])
        #expect(refusal { () throws(SDPError) in try negotiation.receive(offer: shorter) } == .sectionMismatch(index: 1, "the session has 2 m-lines, the offer 1"))
        #expect(refusal { () throws(SDPError) in try negotiation.receive(answer: Transcripts.aiortc) } == .noOfferOutstanding)
    }

    @Test func pausedAndStoppedTracks() throws {
        var negotiation = Negotiation.test()
        _ = try negotiation.receive(offer: Transcripts.chromiumSimulcast)
        let paused = try negotiation.receive(offer: Transcripts.chromiumSimulcast.replacingLines("a=sendonly", with: "a=inactive"))
        #expect(paused.inbound.map(\.active) == [false, false] && paused.inbound[1].encodings.count == 3)
        #expect(try section(paused.answer, "0").direction == .inactive)
        let stopped = try negotiation.receive(offer: Transcripts.chromiumSimulcast.replacingLines("m=video", with: "m=video 0 UDP/TLS/RTP/SAVPF 96"))
        #expect(stopped.inbound.map(\.mid) == ["0"])
        #expect(try section(stopped.answer, "1").isRejected && SDP.Session.parse(stopped.answer!).bundle == ["0"])
        // The index comes back under another mid.
        let again = try negotiation.receive(offer: Transcripts.chromiumSimulcast.replacingLines("a=mid:1", with: "a=mid:7").replacingLines("a=group", with: "a=group:BUNDLE 0 7 2"))
        #expect(again.inbound.map(\.mid) == ["0", "7"])
    }

    @Test func restartOfICE() throws {
        var negotiation = Negotiation.test()
        _ = try negotiation.receive(offer: Transcripts.aiortc)
        let same = try negotiation.receive(offer: Transcripts.aiortc, restart: ICECredentials(fragment: "freshone", password: "freshpasswordfreshpassword"))
        #expect(!same.iceRestarted && same.local == .server)
        let restarting = Transcripts.aiortc.replacingLines("a=ice-ufrag", with: "a=ice-ufrag:NEWU").replacingLines("a=ice-pwd", with: "a=ice-pwd:NEWPASSWORDNEWPASSWORD12")
        let restarted = try negotiation.receive(offer: restarting, restart: ICECredentials(fragment: "freshone", password: "freshpasswordfreshpassword"))
        #expect(restarted.iceRestarted && restarted.remote.iceUfrag == "NEWU" && restarted.local.iceUfrag == "freshone")
        #expect(try section(restarted.answer, "1").transport.iceUfrag == "freshone")
    }
}
