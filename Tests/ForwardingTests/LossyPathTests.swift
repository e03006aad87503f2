// Whole rooms over bad networks, from a seed: what a subscriber sees must be what the publisher sent.
import Primitives
import RTP
import Testing
@testable import Forwarding

/// A one-way path with seeded loss, delay and so reordering. Time in ticks of one millisecond.
struct LossyPath {
    var random: SplitMix64
    let lossPercent: Int
    let delay: ClosedRange<Int>
    private var inFlight: [(at: Int, order: Int, bytes: [UInt8], isRTCP: Bool)] = []
    private var sentCount = 0

    init(seed: UInt64, lossPercent: Int, delay: ClosedRange<Int>) {
        random = SplitMix64(seed: seed)
        self.lossPercent = lossPercent
        self.delay = delay
    }
    mutating func send(_ bytes: [UInt8], isRTCP: Bool, at tick: Int) {
        sentCount += 1
        guard Int.random(in: 0..<100, using: &random) >= lossPercent else { return }
        inFlight.append((tick + Int.random(in: delay, using: &random), sentCount, bytes, isRTCP))
    }
    mutating func arrivals(at tick: Int) -> [(bytes: [UInt8], isRTCP: Bool)] {
        let due = inFlight.filter { $0.at <= tick }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
        inFlight.removeAll { $0.at <= tick }
        return due.map { ($0.bytes, $0.isRTCP) }
    }
}

/// A subscriber's receiver: asks for what it misses, takes RTX, keeps what it has by extended sequence number.
struct Subscriber {
    let ssrc: UInt32
    let rtxSSRC: UInt32
    var gate = SequenceGate()
    var nack = NackScheduler()
    var packets: [UInt64: (timestamp: UInt32, payload: [UInt8])] = [:]
    var duplicates = 0

    mutating func receive(_ bytes: [UInt8], now: Instant) {
        let packet = Sent(kind: .rtp, transport: 0, stream: 0, streamID: 0, isRecovered: false, receivedAt: 0, bytes: bytes)
        var sequence = packet.sequence, payload = packet.payload
        if packet.ssrc == rtxSSRC {
            sequence = UInt16(payload[0]) << 8 | UInt16(payload[1])
            payload.removeFirst(2)
        }
        let number: UInt64
        switch gate.admit(sequence) {
        case .newest(let n), .late(let n): number = n
        default: Issue.record("the stream jumped to \(sequence)"); return
        }
        _ = nack.received(number, now: now)
        if packets[number] != nil { duplicates += 1 }
        packets[number] = (packet.timestamp, payload)
    }
    mutating func feedback(now: Instant) -> [UInt8]? {
        var numbers = [UInt16](repeating: 0, count: 64)
        let count = numbers.withUnsafeMutableBufferPointer { nack.takeDue(now: now, into: $0) }
        guard count > 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 400)
        let length = buffer.withUnsafeMutableBytes { raw in
            var writer = RTCPWriter(raw)
            _ = writer.nack(sender: 1, media: ssrc, sequences: Array(numbers[..<count]))
            return writer.count
        }
        return Array(buffer[..<length])
    }
}

@Suite struct LossyPathTests {
    /// A publisher's sent packets by payload tag; answers NACKs by RTX.
    struct Publisher {
        var sent: [UInt16: Packet] = [:]
        var rtxSequence: UInt16 = 60_000
        mutating func answers(to rtcp: [UInt8]) -> [Packet] {
            var out: [Packet] = []
            for sequence in Feedback([Sent(kind: .rtcp, transport: 0, stream: 0, streamID: 0, isRecovered: false, receivedAt: 0, bytes: rtcp)]).nacked {
                guard let packet = sent[sequence] else { Issue.record("asked for \(sequence), never sent"); continue }
                out.append(packet.wrapped(ssrc: Scene.publisherRTX, sequence: rtxSequence))
                rtxSequence &+= 1
            }
            return out
        }
    }
    static func tag(_ index: Int) -> [UInt8] { [UInt8(index >> 16 & 255), UInt8(index >> 8 & 255), UInt8(index & 255)] }

    /// Publisher → near router → (pipe → far router) → subscriber, every path lossy both ways.
    @Test(arguments: 0..<24)
    func everyPacketArrivesOnceInItsPlace(seed: Int) {
        let viaPipe = seed % 2 == 1, loss = [0, 2, 5, 10][seed / 2 % 4]
        let edge = [0, 1, 32_767, 32_768, 65_534, 65_535][seed % 6] as UInt16
        func path(_ n: Int, _ loss: Int) -> LossyPath { LossyPath(seed: UInt64(seed * 100 + n), lossPercent: loss, delay: 3...9) }
        var up = path(0, loss), upBack = path(1, loss), pipe = path(2, loss), pipeBack = path(3, loss), down = path(4, loss), downBack = path(5, loss)
        let near = Scene(), far = viaPipe ? Scene() : near
        let track = near.video()
        var publisher = Publisher(), subscriber = Subscriber(ssrc: 1_001, rtxSSRC: 2_001)
        if viaPipe {
            _ = near.router.addOutbound(of: track, OutboundConfiguration(transport: 7, sink: .pipe(streamID: 70)))
            far.subscribe(far.video(transport: 3, origin: .pipe(streamID: 70), encodings: []), transport: 1)
        } else {
            near.subscribe(track, transport: 1)
        }
        let total = 1_500
        for tick in 0..<(total + 1_500) {
            if tick < total {
                let packet = Packet.vp8(
                    edge &+ UInt16(tick), timestamp: UInt32(tick / 3) &* 3_000 &+ 0xFFFF_0000, key: tick == 0, starts: tick % 3 == 0, picture: UInt16(tick / 3) & 0x7FFF,
                    marker: tick % 3 == 2, body: Self.tag(tick))
                publisher.sent[packet.sequence] = packet
                // The first packet is the only key frame: it must get through.
                if tick == 0 { near.receive(packet) } else { up.send(packet.bytes, isRTCP: false, at: tick) }
            }
            for arrival in up.arrivals(at: tick) { _ = near.receiveRaw(arrival.bytes) }
            for arrival in upBack.arrivals(at: tick) { for answer in publisher.answers(to: arrival.bytes) { up.send(answer.bytes, isRTCP: false, at: tick) } }
            for arrival in pipe.arrivals(at: tick) { if !arrival.isRTCP { _ = far.receiveRaw(arrival.bytes, from: 3, pipeStream: 70) } }
            for arrival in pipeBack.arrivals(at: tick) {
                arrival.bytes.withUnsafeBytes { near.router.receiveRTCP($0.baseAddress!, length: $0.count, from: 7, pipeStream: 70, receivedAt: near.wall, now: near.now) }
            }
            for arrival in downBack.arrivals(at: tick) {
                arrival.bytes.withUnsafeBytes { far.router.receiveRTCP($0.baseAddress!, length: $0.count, from: 1, receivedAt: far.wall, now: far.now) }
            }
            for packet in near.flush() + (viaPipe ? far.flush() : []) {
                switch (packet.kind, packet.transport) {
                case (.rtcp, 0): upBack.send(packet.bytes, isRTCP: true, at: tick)
                case (.pipeRTP, 7): if tick == 0 { _ = far.receiveRaw(packet.bytes, from: 3, pipeStream: 70) } else { pipe.send(packet.bytes, isRTCP: false, at: tick) }
                case (.pipeRTCP, 3): pipeBack.send(packet.bytes, isRTCP: true, at: tick)
                case (.rtp, 1): down.send(packet.bytes, isRTCP: false, at: tick)
                default: break
                }
            }
            for arrival in down.arrivals(at: tick) { subscriber.receive(arrival.bytes, now: near.now) }
            if let nack = subscriber.feedback(now: near.now) { downBack.send(nack, isRTCP: true, at: tick) }
            near.advance(.milliseconds(1))
            if viaPipe { far.advance(.milliseconds(1)) }
        }
        check(subscriber, total: total, loss: loss)
    }

    /// Number i of the subscriber's stream is packet i of the publisher's, with its payload and its time.
    private func check(_ subscriber: Subscriber, total: Int, loss: Int) {
        let first = UInt64(65_536 + 100)
        var wrong = 0, missing = 0
        for index in 0..<total {
            guard let packet = subscriber.packets[first + UInt64(index)] else { missing += 1; continue }
            if Array(packet.payload.suffix(3)) != Self.tag(index) || packet.timestamp != UInt32(index / 3) &* 3_000 &+ 0xFFFF_0000 { wrong += 1 }
        }
        #expect(wrong == 0)
        // The very first packet may be lost on the last leg before its receiver knows the stream.
        #expect(missing <= (loss == 0 ? 0 : 3), "\(missing) of \(total) missing at \(loss) %")
        #expect(subscriber.packets.keys.allSatisfy { $0 >= first && $0 < first + UInt64(total) })
    }

    /// Layers thinned at random moments over a lossy path: the numbers have no holes but those of lost packets, pictures are whole and in order.
    @Test(arguments: 0..<12)
    func thinningNeverBreaksAPicture(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let scene = Scene(), track = scene.video(), reader = scene.subscribe(track, transport: 1)
        var byNumber: [UInt64: [UInt8]] = [:], gate = SequenceGate(), lost = 0
        let tids: [UInt8] = [0, 2, 1, 2]
        var sequence: UInt16 = 65_000, late: [Packet] = []
        for picture in 0..<600 {
            if Int.random(in: 0..<15, using: &random) == 0 {
                scene.router.setPreferredLayer(reader, LayerPreference(temporal: UInt8.random(in: 0...2, using: &random)))
            }
            let tid = tids[picture % 4]
            for part in 0..<3 {
                let packet = Packet.vp8(
                    sequence, timestamp: UInt32(picture * 3_000), key: picture == 0 && part == 0, starts: part == 0, picture: UInt16(picture) & 0x7FFF, tl0: UInt8(picture / 4 & 255),
                    tid: tid, sync: picture % 4 == 1 || picture % 4 == 2, marker: part == 2, body: [UInt8(picture >> 8), UInt8(picture & 255), UInt8(part)])
                sequence &+= 1
                // One in ten comes late, one in fifty never.
                let dice = picture == 0 ? 99 : Int.random(in: 0..<100, using: &random)
                if dice < 10 { late.append(packet) } else if dice < 12 { lost += 1 } else { scene.receive(packet) }
                if let old = late.first, Int.random(in: 0..<4, using: &random) == 0 { scene.receive(old); late.removeFirst() }
            }
            for sent in scene.media() {
                switch gate.admit(sent.sequence) {
                case .newest(let n), .late(let n):
                    #expect(byNumber[n] == nil, "number \(n) twice")
                    byNumber[n] = sent.payload
                default: Issue.record("jump")
                }
            }
        }
        for packet in late { scene.receive(packet) }
        for sent in scene.media() { if case .late(let n) = gate.admit(sent.sequence) { byNumber[n] = sent.payload } }
        let numbers = byNumber.keys.sorted(), span = Int(numbers.last! - numbers.first!) + 1
        #expect(span - numbers.count <= lost, "no hole but what the network lost")
        // In number order, pictures and their parts rise; outgoing picture ids rise with them.
        var last = (picture: -1, part: -1, id: -1)
        for number in numbers {
            guard let payload = byNumber[number], payload.count >= 10 else { continue }   // an empty one fills a place
            let picture = Int(payload[7]) << 8 | Int(payload[8]), part = Int(payload[9]), id = Int(payload[2] & 0x7F) << 8 | Int(payload[3])
            #expect(picture > last.picture || picture == last.picture && part > last.part)
            #expect(picture == last.picture ? id == last.id : id > last.id, "picture \(picture) has id \(id) after \(last)")
            last = (picture, part, id)
        }
    }
}
