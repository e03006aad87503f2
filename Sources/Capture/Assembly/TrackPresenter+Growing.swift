// Presenting a track while it is still captured: packets are appended, and what was presented is forgotten.
import Primitives
import RTP

extension TrackPresenter {
    private enum Growth { static let forgotten = 2_048 }   // packets that are let go together

    /// - Returns: the stream's number for `append`.
    package mutating func addStream(ssrc: UInt32, clock: StreamClock, payloadTypes: [UInt8: Codec]) -> Int {
        streams.append((ssrc, CaptureRuns()))
        clocks.append(clock)
        sources.append(Source(assembler: FrameAssembler(codec: header.codec, payloadTypes: payloadTypes, extensions: header.extensions)))
        return streams.count - 1
    }
    package mutating func set(_ clock: StreamClock, of stream: Int) { clocks[stream] = clock }
    package mutating func set(_ payloadTypes: [UInt8: Codec]) { for index in sources.indices { sources[index].assembler.payloadTypes = payloadTypes } }
    /// A packet of the stream was received at this time (µs); it is appended later, when those before it can be no longer late.
    package mutating func note(receivedAt: Int64, of stream: Int) {
        streams[stream].runs.extend(receivedAt)
        let time = receivedAt &- zero
        if hasReceived {
            fillerLeft += max(0, time &+ Limits.slack &- plausible.upperBound)
            plausible = min(plausible.lowerBound, time &- Limits.slack)...max(plausible.upperBound, time &+ Limits.slack)
        } else {
            hasReceived = true
            plausible = (time &- Limits.slack)...(time &+ Limits.slack)
        }
    }
    /// The next packets of a stream, in sequence order. Their bytes must stay until the frames they belong to were presented.
    package mutating func append(_ packets: [CapturedPacket], to stream: Int) {
        for packet in packets { append(packet, to: stream) }
    }
    package mutating func append(_ packet: CapturedPacket, to stream: Int) {
        if sources[stream].nextPacket >= Growth.forgotten {
            sources[stream].packets.removeFirst(sources[stream].nextPacket)
            sources[stream].nextPacket = 0
        }
        sources[stream].packets.append(packet)
    }
    /// Receive time (µs) of the oldest packet whose bytes are still looked at; nil where there is none.
    package var oldestHeld: Int64? {
        sources.compactMap { source in
            [source.assembler.oldestHeld, source.packets[source.nextPacket...].lazy.map(\.receivedAt).min()].compactMap { $0 }.min()
        }.min()
    }
    /// Nothing is appended any more.
    package mutating func endGrowing() {
        guard isGrowing else { return }
        isGrowing = false
        for index in sources.indices where sources[index].nextPacket == sources[index].packets.count { sources[index].assembler.finish() }
    }
    /// Presents a frame that still waits for its successor when it is from before `time` (µs from zero): a still picture has none for long.
    package mutating func release(before time: Int64) {
        guard var frame = held, frame.time < time else { return }
        if frame.duration == 0 { frame.duration = Limits.longestDuration }
        queue.append(frame)
        held = nil
    }
}
