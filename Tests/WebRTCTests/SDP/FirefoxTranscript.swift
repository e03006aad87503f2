// Offers as current clients make them, recorded with Debian 12's packages: Firefox ESR 153, `createOffer` of a page without any change.
// Addresses, credentials and fingerprints are of throw-away connections.

extension Transcripts {
    /// Audio and video sendonly, three RIDs with SSRC and FID lines beside them, a data channel.
    static let firefoxSimulcast = crlf("""
        v=0
        o=mozilla...THIS_IS_SDPARTA-99.0 3178869228514377071 0 IN IP4 0.0.0.0
        s=-
        t=0 0
        a=sendrecv
        a=fingerprint:sha-256 DD:94:F3:37:7A:18:55:51:7A:E7:C0:07:F7:E0:26:4E:A8:A3:C7:26:A9:2C:87:27:D5:84:EB:07:64:A5:1B:D7
        a=group:BUNDLE 0 1 2
        a=ice-options:trickle
        a=msid-semantic:WMS *
        m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
        c=IN IP4 0.0.0.0
        a=sendonly
        a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
        a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        a=extmap-allow-mixed
        a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
        a=fmtp:101 0-15
        a=ice-pwd:2f82dff733607d3ec7aa9689a65eddc8
        a=ice-ufrag:726cd8bf
        a=mid:0
        a=msid:{7a533c74-69ad-44c7-aad8-74946750aad8} {52aabb23-f263-4e79-821d-04042ede0a14}
        a=rtcp-fb:109 transport-cc
        a=rtcp-fb:9 transport-cc
        a=rtcp-fb:0 transport-cc
        a=rtcp-fb:8 transport-cc
        a=rtcp-mux
        a=rtpmap:109 opus/48000/2
        a=rtpmap:9 G722/8000/1
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000
        a=setup:actpass
        a=ssrc:1791986044 cname:{1f142b16-2dbd-46db-8ca6-87df7fe92b1a}
        m=video 9 UDP/TLS/RTP/SAVPF 120 124 121 125 99 100 123 122 119
        c=IN IP4 0.0.0.0
        a=sendonly
        a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        a=extmap:5 urn:ietf:params:rtp-hdrext:toffset
        a=extmap:6/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
        a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        a=extmap:8/sendonly https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension
        a=extmap:9/sendonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
        a=extmap:10/sendonly urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
        a=extmap-allow-mixed
        a=fmtp:120 max-fs=12288;max-fr=60
        a=fmtp:124 apt=120
        a=fmtp:121 max-fs=12288;max-fr=60
        a=fmtp:125 apt=121
        a=fmtp:100 apt=99
        a=fmtp:119 apt=122
        a=ice-pwd:2f82dff733607d3ec7aa9689a65eddc8
        a=ice-ufrag:726cd8bf
        a=mid:1
        a=msid:{7a533c74-69ad-44c7-aad8-74946750aad8} {04dc77a0-cd78-4068-88cf-e1e785a28be5}
        a=rid:q send
        a=rid:h send
        a=rid:f send
        a=rtcp-fb:120 nack
        a=rtcp-fb:120 nack pli
        a=rtcp-fb:120 ccm fir
        a=rtcp-fb:120 goog-remb
        a=rtcp-fb:120 transport-cc
        a=rtcp-fb:121 nack
        a=rtcp-fb:121 nack pli
        a=rtcp-fb:121 ccm fir
        a=rtcp-fb:121 goog-remb
        a=rtcp-fb:121 transport-cc
        a=rtcp-fb:99 nack
        a=rtcp-fb:99 nack pli
        a=rtcp-fb:99 ccm fir
        a=rtcp-fb:99 goog-remb
        a=rtcp-fb:99 transport-cc
        a=rtcp-fb:123 nack
        a=rtcp-fb:123 nack pli
        a=rtcp-fb:123 ccm fir
        a=rtcp-fb:123 goog-remb
        a=rtcp-fb:123 transport-cc
        a=rtcp-fb:122 nack
        a=rtcp-fb:122 nack pli
        a=rtcp-fb:122 ccm fir
        a=rtcp-fb:122 goog-remb
        a=rtcp-fb:122 transport-cc
        a=rtcp-mux
        a=rtcp-rsize
        a=rtpmap:120 VP8/90000
        a=rtpmap:124 rtx/90000
        a=rtpmap:121 VP9/90000
        a=rtpmap:125 rtx/90000
        a=rtpmap:99 AV1/90000
        a=rtpmap:100 rtx/90000
        a=rtpmap:123 ulpfec/90000
        a=rtpmap:122 red/90000
        a=rtpmap:119 rtx/90000
        a=setup:actpass
        a=simulcast:send q;h;f
        a=ssrc:2942474359 cname:{1f142b16-2dbd-46db-8ca6-87df7fe92b1a}
        a=ssrc:3166537967 cname:{1f142b16-2dbd-46db-8ca6-87df7fe92b1a}
        a=ssrc:3606940644 cname:{1f142b16-2dbd-46db-8ca6-87df7fe92b1a}
        a=ssrc:3942742045 cname:{1f142b16-2dbd-46db-8ca6-87df7fe92b1a}
        a=ssrc:2703681949 cname:{1f142b16-2dbd-46db-8ca6-87df7fe92b1a}
        a=ssrc:1499480741 cname:{1f142b16-2dbd-46db-8ca6-87df7fe92b1a}
        a=ssrc-group:FID 2942474359 3166537967
        a=ssrc-group:FID 3606940644 3942742045
        a=ssrc-group:FID 2703681949 1499480741
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel
        c=IN IP4 0.0.0.0
        a=sendrecv
        a=ice-pwd:2f82dff733607d3ec7aa9689a65eddc8
        a=ice-ufrag:726cd8bf
        a=mid:2
        a=setup:actpass
        a=sctp-port:5000
        a=max-message-size:1073741823
        """)
}
