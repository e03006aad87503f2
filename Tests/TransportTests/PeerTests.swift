// Peers over loopback: handshake, media both ways, moved addresses, refused datagrams.
import CShims
import EventLoop
import Forwarding
import Primitives
import Testing
import WebRTC
@testable import Transport

@Suite struct PeerTests {
    @Test func handshakeThenPacketsBothWays() async throws {
        try await withMediaLoops(["server", "clients"]) { loops in
            let (server, clients) = (loops[0], loops[1])
            let atServer = Collector(), atClient = Collector()
            try await server.call { try server.addSink(atServer) }
            let c = try await connect(clients, atClient, to: server, Unchecked(.sink(atServer)))
            #expect(c.clientLog.events.contains(.connected(.aeadAES128GCM)))
            let packets = (0..<200).map { rtp(ssrc: 7, payloadType: 111, sequence: UInt16($0), timestamp: UInt32($0) * 960, payload: [UInt8](repeating: UInt8($0), count: 100)) }
            try await clients.call {
                for packet in packets { clients.send(packet, to: c.client) }
                receiverReport(ssrc: 7).withUnsafeBytes { clients.sendRTCP($0, to: c.client) }
            }
            try await server.until("200 packets") { atServer.total == 201 }
            let (media, control, stamps) = try await server.call { (atServer.media, atServer.control, atServer.packets.map(\.receivedAt)) }
            #expect(media == packets)
            #expect(control == [receiverReport(ssrc: 7)])
            #expect(stamps.allSatisfy { abs($0 - server.loop.wall.microseconds) < 60_000_000 })
            try await server.call { for packet in packets.prefix(5) { server.send(packet, to: c.peer) } }
            try await clients.until("5 packets") { atClient.total == 5 }
            let statistics = try await server.call { server.statistics(c.peer)! }
            #expect(statistics.packetsIn == 201 && statistics.packetsOut == 5)
            let counters = await server.snapshot()
            #expect(counters.dropTotal == 0, "\(counters.allDrops)")
            // Equal lengths to one peer leave as one segmented message.
            #expect(counters.segmentedOut == 5 && counters.segmentRuns == 1)
        }
    }

    @Test func goodbyeReachesTheOtherSide() async throws {
        try await withMediaLoops(["server", "clients"]) { loops in
            let (server, clients) = (loops[0], loops[1])
            let atServer = Collector()
            try await server.call { try server.addSink(atServer) }
            let c = try await connect(clients, Collector(), to: server, Unchecked(.sink(atServer)))
            try await clients.call { clients.removePeer(c.client) }
            try await server.until("close_notify") { c.peerLog.closed == .remote }
            try await server.call {
                #expect(!server.isConnected(c.peer))
                server.removePeer(c.peer)
                #expect(server.slot(c.peer) == nil)
                #expect(server.addresses.count == 0 && server.fragments.isEmpty)
            }
        }
    }

    @Test func unknownFragmentIsDroppedAndCounted() async throws {
        try await withMediaLoops(["server", "clients"]) { loops in
            let (server, clients) = (loops[0], loops[1])
            let random = SystemRandom()
            let near = ICECredentials.random(random), nobody = ICECredentials.random(random)
            try await clients.call {
                let sink = Collector()
                try clients.addSink(sink)
                let index = try clients.addPeer(
                    sink: sink, configuration: PeerSessionConfiguration(role: .client, localUfrag: near.fragment, localPassword: near.password, certificate: certificate),
                    ownSocket: loopback) { _ in }
                try clients.setRemote(index, ufrag: nobody.fragment, password: nobody.password, fingerprintAlgorithm: "sha-256", fingerprint: certificate.fingerprint)
                try clients.addRemoteCandidate(index, server.address)
            }
            try await server.until("a drop") { server.counters().drops(.unknownFragment) >= 1 }
            let counters = await server.snapshot()
            #expect(counters.dropTotal == counters.drops(.unknownFragment))
            #expect(counters.datagramsOut == 0)
        }
    }

    @Test func datagramsFromStrangersAreCountedByReason() async throws {
        try await withMediaLoops(["server"]) { loops in
            let server = loops[0]
            let stranger = try DatagramSocket(bind: loopback)
            var endpoint = stranger.endpoint(server.address)
            func send(_ bytes: [UInt8]) { _ = bytes.withUnsafeBytes { shim_send_one(stranger.descriptor, $0.baseAddress!, UInt32($0.count), &endpoint) } }
            send(rtp(ssrc: 1, payloadType: 0, sequence: 0, timestamp: 0, payload: [1, 2, 3]))
            send(receiverReport(ssrc: 1))
            send([22, 254, 253, 0])
            send([0, 1, 0, 0])
            send([70, 1, 2, 3])
            send([255])
            send([UInt8](repeating: 0x80, count: 3000))
            // At least: a port of loopback is soon used again, and a late datagram of another test's client may come here.
            try await server.until("7 datagrams") { server.counters().datagramsIn >= 7 }
            let counters = await server.snapshot()
            let expected: [TransportDrop: UInt64] = [.unknownAddress: 3, .strayResponse: 1, .unknownProtocol: 2, .truncated: 1]
            for (reason, count) in expected { #expect(counters.drops(reason) >= count, "\(reason)") }
        }
    }

    @Test func forgedMediaFromAPeersAddressIsDropped() async throws {
        try await withMediaLoops(["server", "clients"]) { loops in
            let (server, clients) = (loops[0], loops[1])
            let atServer = Collector()
            try await server.call { try server.addSink(atServer) }
            let c = try await connect(clients, Collector(), to: server, Unchecked(.sink(atServer)))
            let forged = rtp(ssrc: 9, payloadType: 96, sequence: 1, timestamp: 1, payload: [UInt8](repeating: 0, count: 60))
            try await clients.call {
                // Through the client's own socket, without its keys.
                clients.sendNow(forged, to: server.address, by: clients.peers[c.client]!.socket)
            }
            try await server.until("a drop") { server.counters().drops(.srtpNotAuthentic) == 1 }
            let total = try await server.call { atServer.total }
            #expect(total == 0)
        }
    }

    @Test func aValidCheckTakesAnAddressOver() async throws {
        try await withMediaLoops(["server", "clients"]) { loops in
            let (server, clients) = (loops[0], loops[1])
            let first = Collector(), second = Collector(), atClient = Collector()
            try await server.call { try server.addSink(first); try server.addSink(second) }
            let before = try await connect(clients, Collector(), to: server, Unchecked(.sink(first)))
            let port = try await server.call { server.selectedAddress(before.peer)! }
            // The client dies without a word and another one gets its port.
            try await clients.call {
                let old = clients.peers[before.client]!
                old.ownWatch!.close()
                clients.peers[before.client] = nil
            }
            try await clients.until("the port is free") { (try? DatagramSocket(bind: port)) != nil }
            let after = try await connect(clients, atClient, to: server, Unchecked(.sink(second)), from: port)
            try await clients.call { clients.send(rtp(ssrc: 5, payloadType: 0, sequence: 0, timestamp: 0, payload: [42]), to: after.client) }
            try await server.until("the packet") { second.total == 1 }
            try await server.call {
                #expect(first.total == 0)
                #expect(server.counters().addressTakeovers == 1)
                // What is still sent for the dead one goes nowhere.
                server.send(rtp(ssrc: 6, payloadType: 0, sequence: 0, timestamp: 0, payload: [1]), to: before.peer)
            }
            try await server.until("not connected") { server.counters().drops(.notConnected) == 1 }
            // Removing the dead one leaves the address with its new owner.
            try await server.call { server.removePeer(before.peer); server.send(rtp(ssrc: 7, payloadType: 0, sequence: 0, timestamp: 0, payload: [2]), to: after.peer) }
            try await clients.until("the answer") { atClient.total == 1 }
        }
    }

    @Test func controlCallsAreRefusedWithReasons() async throws {
        try await withMediaLoops(["server"]) { loops in
            let server = loops[0]
            try await server.call {
                let sink = Collector()
                let configuration = PeerSessionConfiguration(role: .server, localUfrag: "abcd", localPassword: "0123456789012345678901", certificate: certificate)
                #expect(throws: TransportError.unknownTarget) { try server.addPeer(sink: sink, configuration: configuration) { _ in } }
                try server.addSink(sink)
                let index = try server.addPeer(sink: sink, configuration: configuration) { _ in }
                #expect(throws: TransportError.fragmentTaken("abcd")) { try server.addPeer(sink: sink, configuration: configuration) { _ in } }
                #expect(throws: TransportError.badFingerprint) { try server.setRemote(index, ufrag: "x", password: "y", fingerprintAlgorithm: "md5", fingerprint: "00") }
                #expect(throws: TransportError.unknownTransport(99)) { try server.restart(99, ufrag: "x", password: "y") }
                server.removeSink(sink)
                #expect(server.peers.isEmpty)
                #expect(throws: TransportError.unknownTransport(index)) { try server.restart(index, ufrag: "x", password: "y") }
            }
            #expect(throws: TransportError.network(.addressInUse(server.address))) {
                try MediaLoop(name: "taken", bind: server.address, pipeBind: loopback, certificate: certificate, random: SystemRandom())
            }
        }
    }
}
