import Primitives
import Testing
@testable import Capture

/// A sound as a person makes it: bursts of noise of any length, with pauses between.
struct Speech {
    private let bursts: [(from: Double, to: Double, loudness: Float)]
    private let noise: [Float]
    init(seconds: Double, seed: UInt64 = 1) {
        var random = SplitMix64(seed: seed), at = 0.0, bursts: [(Double, Double, Float)] = []
        func share() -> Double { Double(random.next() >> 11) / Double(1 << 53) }
        while at < seconds {
            let length = 0.06 + share() * 0.4
            bursts.append((at, at + length, Float(0.05 + share() * 0.4)))
            at += length + 0.03 + share() * 0.5
        }
        self.bursts = bursts
        noise = (0..<8_191).map { _ in Float(share()) * 2 - 1 }
    }
    /// Levels a recorder makes of it whose time 0 is `offset` seconds of the speech, and whose seconds are (1 + drift) of it.
    func levels(seconds: Double, offset: Double = 0, drift: Double = 0, lost: [ClosedRange<Double>] = [], seed: UInt64 = 3) -> SoundLevels {
        var levels = SoundLevels(from: 0), next = 0, random = SplitMix64(seed: seed)
        let count = Int(seconds * Double(SoundLevels.rate))
        levels.add((0..<count).lazy.map { index -> Float in
            let time = offset + Double(index) / Double(SoundLevels.rate) * (1 + drift)
            while next < bursts.count, bursts[next].to < time { next += 1 }
            // Both ends have noise of their own.
            var sample = (Float(random.next() >> 40) / Float(1 << 24) - 0.5) * 0.002
            if next < bursts.count, bursts[next].from <= time { sample += noise[index % noise.count] * bursts[next].loudness }
            return lost.contains { $0.contains(time) } ? 0 : sample
        }, at: 0)
        levels.finish()
        for hole in lost { levels.forget(Int64((hole.lowerBound - offset) * 1e6)..<Int64((hole.upperBound - offset) * 1e6)) }
        return levels
    }
}

@Suite struct DeviceAlignmentTests {
    private func align(_ device: SoundLevels, _ server: SoundLevels, clock: Int64, uncertainty: Int64 = 150_000) -> DeviceAlignment {
        let (findings, asked) = SoundOffset.find(device: device, server: server, expected: clock, search: DeviceAlignment.search(uncertainty: uncertainty))
        return DeviceAlignment(clock: clock, uncertainty: uncertainty, findings: findings, asked: asked)
    }

    /// The clock is 300 ms wrong either way, crystals differ by 100 ppm, the server lost seconds: never 20 ms off, at neither end.
    @Test(arguments: [(0.3, 0.0), (-0.3, 0.0), (0.25, 100e-6), (-0.3, -100e-6)] as [(Double, Double)])
    func soundIsBelieved(error: Double, drift: Double) {
        let speech = Speech(seconds: 80)
        let device = speech.levels(seconds: 60, offset: 7.123, drift: drift, seed: 9), server = speech.levels(seconds: 75, lost: [20...23, 40...41.5])
        let found = align(device, server, clock: Int64((7.123 + error) * 1e6))
        #expect(found.method == .sound && found.isTrusted && found.confidence > 0.5 && found.uncertainty <= 20_000, "\(found)")
        for time in [0.0, 30, 60] {
            let off = Double(found.recorded(Int64(time * 1e6)) ?? 0) / 1e6 - (7.123 + time * (1 + drift))
            #expect(abs(off) < 0.01, "\(off) s off at \(time) of \(found)")
        }
        #expect(abs(found.driftPPM - drift * 1e6) < 40 && abs(Double(found.clockError ?? 0) / 1e6 + error) < 0.02)
    }
    @Test func twoStrangersAreNotAligned() {
        let found = align(Speech(seconds: 40, seed: 5).levels(seconds: 30), Speech(seconds: 40, seed: 6).levels(seconds: 40), clock: 2_000_000)
        #expect(found.method == .clock && found.offset == 2_000_000 && found.uncertainty == 150_000 && !found.isTrusted && found.windows > 3, "\(found)")
    }
    /// A beep each second fits at every second.
    @Test func whatRepeatsItselfTellsNothing() {
        func beeps(_ offset: Double) -> SoundLevels {
            var levels = SoundLevels(from: 0)
            levels.add((0..<240_000).lazy.map { index in
                let time = Double(index) / 8_000 + offset
                return (time - time.rounded(.down)) < 0.1 ? (index % 2 == 0 ? 0.3 : -0.3) : 0
            }, at: 0)
            levels.finish()
            return levels
        }
        let found = align(beeps(0.4), beeps(0), clock: 0)
        #expect(found.method == .clock && found.agreeing == 0, "\(found)")
    }
    @Test func silenceTellsNothing() {
        let speech = Speech(seconds: 30), silent = Speech(seconds: 0).levels(seconds: 30)
        #expect(align(silent, speech.levels(seconds: 30), clock: 0, uncertainty: 40_000) == DeviceAlignment(clock: 0, uncertainty: 40_000))
        #expect(align(speech.levels(seconds: 1), speech.levels(seconds: 30), clock: 0).method == .clock, "too short")
        #expect(DeviceAlignment(clock: 0, uncertainty: 40_000).isTrusted)
    }
    @Test func aMajorityIsBelievedAndHalfIsNot() {
        func finding(_ second: Int64, _ offset: Double) -> SoundOffset.Finding { .init(time: second * 1_000_000, offset: offset, correlation: 0.9) }
        let honest = (0..<10 as Range<Int64>).map { finding($0 * 10, 500_000 + Double($0) * 1_000) }
        let liars = (0..<6 as Range<Int64>).map { finding($0 * 17 + 3, Double($0 * $0) * 130_000 - 900_000) }
        let found = DeviceAlignment(clock: 400_000, uncertainty: 0, findings: (honest + liars).sorted { $0.time < $1.time }, asked: 16)
        #expect(found.method == .sound && found.agreeing == 10 && abs(found.offset - 500_000) < 200 && abs(found.driftPPM - 100) < 5, "\(found)")
        #expect(DeviceAlignment(clock: 400_000, uncertainty: 0, findings: honest, asked: 40).method == .clock)
        #expect(DeviceAlignment(clock: 0, uncertainty: 0, findings: Array(honest.prefix(2)), asked: 2).method == .clock)
    }
    @Test func timesThatCannotBeAreNone() {
        #expect(DeviceAlignment(clock: .max / 2, uncertainty: 0).recorded(5) == nil)
        #expect(DeviceAlignment(clock: 5, uncertainty: 0).recorded(1_000) == 1_005)
    }
}
