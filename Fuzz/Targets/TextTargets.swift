// SDP, signalling messages and tokens: what clients write.
internal import Gateway
internal import ObjectStorage
internal import Primitives
internal import WebRTC

extension FuzzTarget {
    /// RFC 8866 and what JSEP needs of it. Accepted text is read as a description, written, read again, and offered to a negotiation.
    static let sdp = FuzzTarget("sdp", longest: 16_384) {
        [Array(offer.utf8), Array("v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n".utf8)]
    } run: { bytes in
        guard let session = try? SDP.Session.parse(bytes) else { return }
        guard let again = try? SDP.Session.parse(session.text) else { preconditionFailure("what was written is read") }
        check(again.text == session.text, "writing is stable")
        let local = LocalTransport(
            iceUfrag: "abcd", icePassword: "abcdefghijklmnopqrstuvwx", fingerprint: Array(repeating: "AB", count: 32).joined(separator: ":"),
            candidates: [SocketAddress(ipv4: 0x7F00_0001, port: 40_001)])
        var negotiation = Negotiation(local: local, sessionID: 1)
        let text = String(decoding: bytes, as: UTF8.self)
        guard let accepted = try? negotiation.receive(offer: text), let answer = accepted.answer else { return }
        check((try? SDP.Session.parse(answer)) != nil, "an answer is a description")
        _ = negotiation.makeOffer()
    }

    /// The WebSocket's JSON messages.
    static let signalling = FuzzTarget("signalling", longest: 4_096) {
        [
            #"{"type":"webrtc_offer","id":1,"sdp":"v=0\r\n"}"#, #"{"type":"ice_candidate","candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}"#,
            #"{"type":"publish","id":2,"track_id":"t","mid":"0","source":"camera","muted":false}"#, #"{"type":"subscribe","id":3,"track_ids":["a","b"]}"#,
            #"{"type":"chat","id":4,"text":"h\u00e9llo \ud83d\ude00"}"#, #"{"type":"mute","id":5,"track_id":"t","muted":true}"#, #"{"type":"heartbeat"}"#, #"{"type":"bye"}"#,
            #"[1,-0.5e-3,null,true,{"a":[]}]"#,
        ].map { Array($0.utf8) }
    } run: { bytes in
        _ = try? ClientMessageCodec.decode(Array(bytes))
    }

    /// JWTs (RFC 7519) as they come in headers and query strings, verified under a key the input does not know.
    static let token = FuzzTarget("token", longest: 2_048) {
        var token = AccessToken(expires: WallTime(seconds: 2_000_000_000))
        token.identity = "ann"
        token.roomJoin = true
        token.room = "room"
        return [Array(token.signed(by: ring).utf8), Array("eyJhbGciOiJub25lIn0.e30.".utf8)]
    } run: { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        guard let token = try? AccessToken.verify(text, keys: ring, now: WallTime(seconds: 1_900_000_000)) else { return }
        check(token.identity == "ann", "only what was signed with the key is believed")
    }

    /// What S3 servers answer.
    static let objects = FuzzTarget("objects", longest: 4_096) {
        [
            #"<?xml version="1.0"?><ListBucketResult xmlns="x"><IsTruncated>false</IsTruncated><Contents><Key>a&amp;b</Key><Size>1</Size></Contents></ListBucketResult>"#,
            "<s3:Error><Code>SlowDown</Code><!-- x --><Empty/></s3:Error>",
        ].map { Array($0.utf8) }
    } run: { bytes in
        guard let root = XMLElement.parse(Array(bytes)) else { return }
        func depth(_ element: XMLElement) -> Int { 1 + (element.children.map(depth).max() ?? 0) }
        check(depth(root) <= XMLElement.Limits.depth + 1, "elements stand in each other to a bound")
    }

    private static let ring: APIKeyring = {
        guard let ring = try? APIKeyring([APIKey(id: "APIfuzz", secret: "a secret of at least thirty-two bytes")]) else { preconditionFailure("a key ring with one key") }
        return ring
    }()

    /// Audio, and video of three encodings, as a browser offers them.
    private static let offer = """
        v=0\r
        o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
        s=-\r
        t=0 0\r
        a=group:BUNDLE 0 1\r
        a=extmap-allow-mixed\r
        a=msid-semantic: WMS s\r
        m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r
        c=IN IP4 0.0.0.0\r
        a=rtcp:9 IN IP4 0.0.0.0\r
        a=ice-ufrag:Xy1z\r
        a=ice-pwd:asd88fgpdd777uzjYhagZgqw\r
        a=ice-options:trickle\r
        a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r
        a=setup:actpass\r
        a=mid:0\r
        a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
        a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
        a=sendrecv\r
        a=msid:s a0\r
        a=rtcp-mux\r
        a=rtpmap:111 opus/48000/2\r
        a=rtcp-fb:111 transport-cc\r
        a=fmtp:111 minptime=10;useinbandfec=1\r
        a=rtpmap:63 red/48000/2\r
        a=ssrc:1001 cname:c\r
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103\r
        c=IN IP4 0.0.0.0\r
        a=ice-ufrag:Xy1z\r
        a=ice-pwd:asd88fgpdd777uzjYhagZgqw\r
        a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r
        a=setup:actpass\r
        a=mid:1\r
        a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
        a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r
        a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r
        a=sendonly\r
        a=msid:s v0\r
        a=rtcp-mux\r
        a=rtcp-rsize\r
        a=rtpmap:96 VP8/90000\r
        a=rtcp-fb:96 nack\r
        a=rtcp-fb:96 nack pli\r
        a=rtcp-fb:96 ccm fir\r
        a=rtpmap:97 rtx/90000\r
        a=fmtp:97 apt=96\r
        a=rtpmap:102 H264/90000\r
        a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r
        a=rtpmap:103 rtx/90000\r
        a=fmtp:103 apt=102\r
        a=rid:q send\r
        a=rid:h send\r
        a=rid:f send\r
        a=simulcast:send q;h;f\r
        a=candidate:1 1 udp 2122260223 127.0.0.1 50000 typ host generation 0\r

        """
}
