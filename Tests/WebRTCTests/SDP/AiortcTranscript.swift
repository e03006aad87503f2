// Offers as current clients make them, recorded with Debian 12's packages: aiortc 1.16, `createOffer`, candidates gathered.
// Addresses, credentials and fingerprints are of throw-away connections.

extension Transcripts {
    /// Audio and video sendrecv, all candidates inside.
    static let aiortc = crlf("""
        v=0
        o=- 4004242492 4004242492 IN IP4 0.0.0.0
        s=-
        t=0 0
        a=group:BUNDLE 0 1
        a=msid-semantic:WMS *
        m=audio 47345 UDP/TLS/RTP/SAVPF 96 9 0 8
        c=IN IP4 192.0.2.2
        a=sendrecv
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=mid:0
        a=msid:3f07cfcd-4406-44db-aaf5-1d5322459b5f 6602419c-c45f-42c1-a30c-201ca9432a57
        a=rtcp:9 IN IP4 0.0.0.0
        a=rtcp-mux
        a=ssrc:1506372184 cname:c0c2bcbc-0795-4340-b2e4-395e43f1b6d1
        a=rtpmap:96 opus/48000/2
        a=rtpmap:9 G722/8000
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 47345 typ host
        a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 46189 typ host
        a=end-of-candidates
        a=ice-ufrag:9vBf
        a=ice-pwd:GYKbWwTpGpr4Woe4EtgvyO
        a=fingerprint:sha-256 4C:E5:A4:26:1B:E3:EA:DE:B1:EC:D0:40:A4:57:F3:4B:7B:52:EC:30:48:93:82:57:71:75:C0:7A:A9:75:7E:55
        a=fingerprint:sha-384 06:E8:72:53:BA:94:7D:B7:A2:EE:C4:C8:C0:43:0F:C7:F9:EA:23:3B:0F:F6:90:EE:C5:AE:CC:CC:1E:DC:62:14:3D:22:19:36:1F:7F:16:64:8F:F5:41:94:6B:CF:4F:BA
        a=fingerprint:sha-512 36:41:41:18:69:FB:FD:53:49:55:DF:3C:F4:5B:39:93:C3:E9:CD:31:AA:DC:AA:12:FB:B2:3F:DC:AA:B7:22:41:F9:2E:43:14:6E:AA:A4:E6:DF:85:5C:56:7D:E5:19:68:B3:FF:70:35:EB:1E:C3:10:EB:B0:41:6E:4C:AF:C4:DC
        a=setup:actpass
        m=video 35026 UDP/TLS/RTP/SAVPF 97 98 99 100 101 102
        c=IN IP4 192.0.2.2
        a=sendrecv
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        a=mid:1
        a=msid:3f07cfcd-4406-44db-aaf5-1d5322459b5f 424d7803-2f34-495a-a3de-bd647ccdfd39
        a=rtcp:9 IN IP4 0.0.0.0
        a=rtcp-mux
        a=ssrc-group:FID 790688517 2542778890
        a=ssrc:790688517 cname:c0c2bcbc-0795-4340-b2e4-395e43f1b6d1
        a=ssrc:2542778890 cname:c0c2bcbc-0795-4340-b2e4-395e43f1b6d1
        a=rtpmap:97 VP8/90000
        a=rtcp-fb:97 nack
        a=rtcp-fb:97 nack pli
        a=rtcp-fb:97 goog-remb
        a=rtpmap:98 rtx/90000
        a=fmtp:98 apt=97
        a=rtpmap:99 H264/90000
        a=rtcp-fb:99 nack
        a=rtcp-fb:99 nack pli
        a=rtcp-fb:99 goog-remb
        a=fmtp:99 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
        a=rtpmap:100 rtx/90000
        a=fmtp:100 apt=99
        a=rtpmap:101 H264/90000
        a=rtcp-fb:101 nack
        a=rtcp-fb:101 nack pli
        a=rtcp-fb:101 goog-remb
        a=fmtp:101 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
        a=rtpmap:102 rtx/90000
        a=fmtp:102 apt=101
        a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 35026 typ host
        a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 37667 typ host
        a=end-of-candidates
        a=ice-ufrag:9vBf
        a=ice-pwd:GYKbWwTpGpr4Woe4EtgvyO
        a=fingerprint:sha-256 4C:E5:A4:26:1B:E3:EA:DE:B1:EC:D0:40:A4:57:F3:4B:7B:52:EC:30:48:93:82:57:71:75:C0:7A:A9:75:7E:55
        a=fingerprint:sha-384 06:E8:72:53:BA:94:7D:B7:A2:EE:C4:C8:C0:43:0F:C7:F9:EA:23:3B:0F:F6:90:EE:C5:AE:CC:CC:1E:DC:62:14:3D:22:19:36:1F:7F:16:64:8F:F5:41:94:6B:CF:4F:BA
        a=fingerprint:sha-512 36:41:41:18:69:FB:FD:53:49:55:DF:3C:F4:5B:39:93:C3:E9:CD:31:AA:DC:AA:12:FB:B2:3F:DC:AA:B7:22:41:F9:2E:43:14:6E:AA:A4:E6:DF:85:5C:56:7D:E5:19:68:B3:FF:70:35:EB:1E:C3:10:EB:B0:41:6E:4C:AF:C4:DC
        a=setup:actpass
        """)
}
