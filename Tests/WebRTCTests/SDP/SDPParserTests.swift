import Primitives
import RTP
import Testing
import WebRTC

@Suite struct SDPParserTests {
    @Test func chromium() throws {
        let session = try SDP.Session.parse(Transcripts.chromiumSimulcast)
        #expect(session.sessionID == "8335211611807281277" && session.version == 2 && session.bundle == ["0", "1", "2"])
        #expect(session.extmapAllowMixed && !session.iceLite && session.media.map(\.kind) == [.audio, .video, .application])
        let audio = session.media[0], video = session.media[1]
        #expect(audio.mid == "0" && audio.direction == .sendonly && audio.rtcpMux && audio.rtcpReducedSize && audio.port == 9)
        #expect(audio.transport.iceUfrag == "fY+e" && audio.transport.setup == .actpass && audio.transport.iceOptions == ["trickle"])
        #expect(audio.transport.fingerprints.map(\.algorithm) == ["sha-256"])
        #expect(audio.rtpmaps.first == SDP.RTPMap(payloadType: 111, name: "opus", clockRate: 48_000, channels: 2))
        #expect(audio.formatParameters[111] == "minptime=10;useinbandfec=1")
        #expect(audio.msids == [SDP.MSID(stream: "ec834889-b555-4764-8d96-1becfdd3121c", track: "f0641c9c-8917-49fd-b31c-12fa3c684142")])
        #expect(audio.sources.map(\.ssrc) == [153746123, 153746123] && audio.sources.map(\.name) == ["cname", "msid"])
        #expect(video.rids.map(\.id) == ["q", "h", "f"] && video.rids.allSatisfy(\.isSend) && video.simulcast?.send == ["q", "h", "f"])
        #expect(video.offersFeedback("nack pli", payloadType: 96) && !video.offersFeedback("nack", payloadType: 97))
        #expect(video.extmaps.first { $0.id == 10 }?.uri == ExtensionURI.rid.uri)
        #expect(video.configurations.filter { $0.codec == .h264 }.count == 6)
        #expect(session.media[2].sctpPort == 5000 && session.media[2].proto == "UDP/DTLS/SCTP")
    }
    @Test func firefox() throws {
        let session = try SDP.Session.parse(Transcripts.firefoxSimulcast)
        #expect(session.direction == .sendrecv && session.transport.fingerprints.count == 1)
        let video = session.media[1]
        #expect(session.transport(of: video).fingerprints == session.transport.fingerprints && session.transport(of: video).iceUfrag == "726cd8bf")
        #expect(video.extmaps.first { $0.id == 9 }?.direction == .sendonly)
        #expect(video.sourceGroups.count == 3 && video.sourceGroups[0] == SDP.SourceGroup(semantics: "FID", ssrcs: [2942474359, 3166537967]))
        #expect(video.sentEncodings == ["q", "h", "f"].map { InboundEncoding(rid: $0) })
        #expect(video.acceptableCodecs.map(\.codec) == [.vp8, .vp9, .av1] && video.acceptableCodecs.map(\.rtxPayloadType) == [124, 125, 100])
    }
    @Test func aiortc() throws {
        let session = try SDP.Session.parse(Transcripts.aiortc)
        let audio = session.media[0], video = session.media[1]
        #expect(audio.port == 47345 && audio.connection == "192.0.2.2" && audio.endOfCandidates)
        #expect(audio.candidates.map(\.address) == [SocketAddress(host: "192.0.2.2", port: 47345), SocketAddress(host: "fd00::2", port: 46189)])
        #expect(audio.transport.fingerprints.map(\.algorithm) == ["sha-256", "sha-384", "sha-512"])
        #expect(video.sentEncodings == [InboundEncoding(ssrc: 790688517, rtxSSRC: 2542778890)])
        #expect(video.acceptableCodecs.map(\.payloadType) == [97, 101], "of two H.264 the constrained baseline one")
    }

    @Test(arguments: Transcripts.all) func writtenReadsBack(_ text: String) throws {
        let session = try SDP.Session.parse(text)
        let again = try SDP.Session.parse(session.text)
        #expect(again.media == session.media && again.bundle == session.bundle && again.transport == session.transport)
        #expect(again.text == session.text)
    }

    @Test(arguments: Transcripts.all) func lineFeedsAloneWill(_ text: String) throws {
        #expect(try SDP.Session.parse(text.split(separator: "\r\n").joined(separator: "\n")) == SDP.Session.parse(text))
    }

    static let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    static let audio = head + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"

    static let badLines: [(String, SDPError)] = [
        ("", .malformed(line: 0, "expected v=0")),
        ("o=- 1 1 IN IP4 0.0.0.0", .malformed(line: 1, "expected v=0")),
        ("v=1", .malformed(line: 1, "expected v=0")),
        ("v=0\r\no=- 1 x IN IP4 0.0.0.0", .malformed(line: 2, "o= has six fields, the third a number")),
        ("v=0\r\nhello", .malformed(line: 2, "expected type=value")),
        ("v=0\r\ns=a\u{1}b", .malformed(line: 2, "a control character")),
        ("v=0\r\ns=a\rb=c", .malformed(line: 2, "a control character")),
        ("v=0\r\nm=audio 99999 UDP/TLS/RTP/SAVPF 111", .malformed(line: 2, "the port of m= is not one")),
        ("v=0\r\nm=audio 9", .malformed(line: 2, "m= has a kind, a port, a protocol and formats")),
    ]
    @Test(arguments: badLines) func refused(_ text: String, _ error: SDPError) { #expect(throws: error) { try SDP.Session.parse(text) } }

    @Test(arguments: [
        "rtpmap:111 opus", "rtpmap:300 opus/48000", "rtpmap:111 opus/0", "mid:", "mid:averyveryverylongmid", "extmap:0 urn:x", "extmap:1",
        "ice-ufrag:ab", "ice-pwd:short", "fingerprint:sha-256 XY", "fingerprint:sha-256", "setup:maybe", "candidate:1 1 udp x 1.2.3.4 5 typ host",
        "candidate:1 1 udp 1 1.2.3.4 70000 typ host", "ssrc:-1 cname:x", "ssrc-group:", "simulcast:send ;,", "simulcast:up 1", "simulcast:send \u{e9}",
        "rid:q both", "rid:q", "rtcp-fb:x nack", "fmtp:111", "msid:", "msid:a b c",
    ])
    func badAttribute(_ line: String) {
        let name = line.prefix { $0 != ":" }
        #expect(throws: SDPError.malformed(line: 6, "a=\(name) is not well formed")) { try SDP.Session.parse(Self.audio + "a=\(line)\r\n") }
    }

    @Test func bounds() {
        #expect(throws: SDPError.tooLarge(bytes: SDP.Limits.bytes + 1)) { try SDP.Session.parse(String(repeating: "x", count: SDP.Limits.bytes + 1)) }
        let tooMany = Self.head + String(repeating: "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", count: SDP.Limits.media + 1)
        #expect(throws: SDPError.tooMany("m-lines: at most 64")) { try SDP.Session.parse(tooMany) }
        let candidates = Self.audio + String(repeating: "a=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\n", count: SDP.Limits.candidates + 1)
        #expect(throws: SDPError.tooMany("candidates: at most 64")) { try SDP.Session.parse(candidates) }
        #expect(throws: SDPError.malformed(line: 2, "longer than 8192 bytes")) { try SDP.Session.parse("v=0\r\ns=" + String(repeating: "x", count: 9_000)) }
        let formats = Self.head + "m=audio 9 UDP/TLS/RTP/SAVPF" + String(repeating: " 1", count: SDP.Limits.formats + 1) + "\r\n"
        #expect(throws: SDPError.tooMany("formats: at most 128")) { try SDP.Session.parse(formats) }
    }

    @Test func unknownThingsAreSkipped() throws {
        let text = Self.head + "b=AS:5\r\nz=0 0\r\na=tool:x\r\n\r\nm=audio 9/2 UDP/TLS/RTP/SAVPF 111\r\ni=x\r\na=future\r\na=extmap:4097 urn:x\r\na=candidate:1 1 udp 1 ab.local 5 typ host generation 0\r\n"
        let session = try SDP.Session.parse(text)
        #expect(session.media.count == 1 && session.media[0].extmaps.isEmpty && session.media[0].candidates[0].address == nil)
    }
    @Test func simulcastAlternativesAndPauses() throws {
        let session = try SDP.Session.parse(Self.head + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=simulcast:recv x send ~1,2;3\r\n")
        #expect(session.media[0].simulcast == SDP.Simulcast(send: ["1", "3"], receive: ["x"]))
    }

    /// Transcripts with bytes changed, lines dropped and lines repeated: an error or a session, never a trap; and negotiable.
    @Test(arguments: Transcripts.all) func damagedTextNeverTraps(_ text: String) {
        var random = SplitMix64(seed: 7)
        for _ in 0..<100 {
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...6, using: &random) { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0x20...0x7E, using: &random) }
            var lines = bytes.split(separator: 0x0A).map(Array.init)
            for _ in 0..<Int.random(in: 0...4, using: &random) { lines.remove(at: Int.random(in: 1..<lines.count, using: &random)) }
            if Bool.random(using: &random) { lines.append(lines.randomElement(using: &random)!) }
            let damaged = Array(lines.joined(separator: [0x0A]))
            damaged.withUnsafeBytes { _ = try? SDP.Session.parse($0) }
            var negotiation = Negotiation.test()
            negotiation.addOutbound(.test("a", .vp8))
            let before = negotiation.makeOffer()
            #expect(before != nil)
            if let accepted = try? negotiation.receive(offer: String(decoding: damaged, as: UTF8.self)) {
                #expect((try? SDP.Session.parse(accepted.answer!)) != nil)
            } else {
                #expect(negotiation.hasOutstandingOffer, "a bad offer changes nothing")
            }
        }
    }
}
