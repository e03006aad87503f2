import Capture
@testable import Composition
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

/// The parts an export's sound is made of, by the sample.
@Suite(.serialized, .timeLimit(.minutes(1))) struct SoundTests {
    private func noise(_ count: Int, _ amplitude: Float, seed: UInt64 = 3) -> [Float] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in (Float(random.next() >> 40) / Float(1 << 23) - 1) * amplitude }
    }

    @Test(arguments: [7, 240, 1_024]) func noSampleIsAboveTheCeilingAndQuietOnesAreUntouched(block: Int) {
        var input = noise(9_600, 0.5)
        for index in 3_000..<3_010 { input[index] *= 8 }
        for index in 6_000..<6_800 { input[index] *= 3 }
        var limiter = Limiter(), ahead = [input, input.map { -$0 }], out: [Float] = []
        while !ahead[0].isEmpty {
            let count = min(block, ahead[0].count)
            // No more is shown than a caller would have.
            var seen = ahead.map { Array($0.prefix(count + Limiter.Limits.lookahead)) }
            limiter.apply(&seen, count: count)
            #expect(zip(seen[0].prefix(count), seen[1].prefix(count)).allSatisfy { $0 == -$1 }, "channels move together")
            out += seen[0].prefix(count)
            for channel in ahead.indices { ahead[channel].removeFirst(count) }
        }
        #expect(out.count == input.count && out.allSatisfy { abs($0) <= Limiter.Limits.ceiling + 1e-6 })
        #expect(Array(out[..<2_500]) == Array(input[..<2_500]), "what needs no limiting is the same bits")
        let steps = zip(out, input).filter { abs($1) > 0.1 }.map { $0 / $1 }
        #expect(zip(steps, steps.dropFirst()).allSatisfy { abs($0 - $1) < 0.03 }, "the gain never jumps")
    }
    @Test func stretchingKeepsTheEnds() {
        let ramp = (0..<960).map { Float($0) }
        for count in [951, 959, 961, 969] {
            let out = TrackSamples.stretched(ramp, to: count)
            #expect(out.count == count && out.first == 0 && abs(out[count - 1] - 959) < 0.01)
            #expect(zip(out, out.dropFirst()).allSatisfy { abs($1 - $0 - 959 / Float(count - 1)) < 0.01 })
        }
        #expect(TrackSamples.stretched(ramp, to: 960) == ramp && TrackSamples.stretched([1], to: 2) == [1])
    }

    /// A click stays where it was, nothing is added or lost, and steady noise is quieter.
    @Test func denoisingMovesNothing() throws {
        let denoiser = try Denoiser()
        var input = noise(96_000, 0.01)
        for index in 60_000..<60_400 { input[index] = 0.8 * sinf(Float(index) * 0.3) }
        var out = [Float](repeating: 0, count: 96_000 + 1_000), covered = 0
        func take(_ samples: [[Float]], _ at: Int64) {
            covered += samples[0].count
            for (index, sample) in samples[0].enumerated() { out[Int(at) - 500 + index] = sample }
        }
        for start in stride(from: 0, to: input.count, by: 960) { try denoiser.pass([Array(input[start..<(start + 960)]), Array(input[start..<(start + 960)])], at: Int64(start + 500)) { take($0, $1) } }
        try denoiser.finish { take($0, $1) }
        #expect(covered == input.count)
        let best = (-3_000...3_000).max { a, b in correlation(input, out, a) < correlation(input, out, b) }
        #expect(abs(try #require(best)) <= 48, "moved by \(best ?? 0) samples")
        let before = input[40_000..<58_000].reduce(0) { $0 + $1 * $1 }, after = out[40_000..<58_000].reduce(0) { $0 + $1 * $1 }
        #expect(after < before / 4, "noise went from \(before) to \(after)")
    }
    private func correlation(_ a: [Float], _ b: [Float], _ shift: Int) -> Float {
        (60_000..<60_400).reduce(0) { $0 + a[$1] * b[$1 + shift] }
    }

    /// A sender whose clock is 2 ‰ fast, and one that is silent for a while: each beep within some ms of its time.
    @Test func samplesStandWhereTheirTimestampsSay() throws {
        let folder = TemporaryFolder()
        // A beep each second; asetpts lets the timestamps run slower than the samples, and jump at 5.5 s.
        let made = run("""
            cd '\(folder.path)' && ffmpeg -v error -y -f lavfi -t 8 -i "aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.05)':s=48000" \
            -af "asetnsamples=960,asetpts='(PTS*998/1000+gte(T,5.5)*48000*3)'" -c:a libopus -b:a 96k -f matroska a.mkv </dev/null
            """)
        #expect(made.status == 0, "\(made.errors)")
        let piece = RenderPlan.Piece(path: "a.mkv", range: 0..<12_000_000)
        let source = RenderPlan.Source(track: "a", person: 0, kind: .audio, isScreen: false, isDenoised: false, pieces: [piece])
        let track = try TrackSamples(source, folder: folder.path) { Issue.record("\($0) cannot be read") }
        var out = [[Float]](repeating: [], count: 2), gain: Float = 1
        for second in 0..<13 {
            for channel in 0..<2 { out[channel] += [Float](repeating: 0, count: 48_000) }
            try track.add(from: Int64(second) * 48_000, count: 48_000, to: &out, at: second * 48_000, gain: &gain, target: 1, step: 0.01)
        }
        // Where beeps begin, in ms of the recording.
        var beeps: [Double] = [], quiet = 48_000
        for (index, sample) in out[0].enumerated() {
            if abs(sample) > 0.15 { if quiet > 9_600 { beeps.append(Double(index) / 48) }; quiet = 0 } else { quiet += 1 }
        }
        let wanted = (0..<8).map { (beep: Int) -> Double in
            let late: Double = beep >= 6 ? 3_000 : 0
            return Double(beep) * 998 + late
        }
        #expect(beeps.count == wanted.count, "\(beeps)")
        for (beep, wanted) in zip(beeps, wanted) { #expect(abs(beep - wanted) < 6, "\(beep) instead of \(wanted)") }
    }
    /// What was given is not kept: a track without a gap held all its samples, a gigabyte and a half an hour.
    @Test func aTrackWithoutAGapHoldsNoMoreThanAPacket() throws {
        let folder = TemporaryFolder()
        let made = run("ffmpeg -v error -y -f lavfi -t 30 -i sine=440:sample_rate=48000 -c:a libopus -b:a 32k '\(folder.path)/a.webm' </dev/null")
        #expect(made.status == 0, "\(made.errors)")
        let source = RenderPlan.Source(track: "a", person: 0, kind: .audio, isScreen: false, isDenoised: false, pieces: [RenderPlan.Piece(path: "a.webm", range: 0..<30_000_000)])
        let track = try TrackSamples(source, folder: folder.path) { Issue.record("\($0) cannot be read") }
        var most = 0, power: Float = 0
        for block in 0..<1_400 {
            var out = [[Float]](repeating: [Float](repeating: 0, count: 1_024), count: 2), gain: Float = 1
            try track.add(from: Int64(block) * 1_024, count: 1_024, to: &out, at: 0, gain: &gain, target: 1, step: 0.01)
            most = max(most, track.held)
            power = out[0].reduce(0) { $0 + $1 * $1 }
        }
        #expect(most <= 2 * 960 && power > 1, "\(most) samples held, power \(power) at the end")
    }
}
