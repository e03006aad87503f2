// The grid every preview of a recording stands on: the same segments for everyone, counted from the recording's time zero.

/// Which pictures and which samples belong to which segment. Segment `n` covers n·S … (n+1)·S; the last one ends with the recording.
package struct PreviewGrid: Equatable, Sendable {
    package enum Limits {
        /// Of one playlist: 24 h of 2 s segments.
        package static let segments = 43_200
    }
    /// Samples of an AAC frame (ISO/IEC 14496-3 §4.5.1.1).
    package static let audioFrame = 1_024
    package static let sampleRate = 48_000

    package let segmentSeconds: Int
    package let frameRate: Int

    /// - Parameters:
    ///   - segmentSeconds: 2 or 4.
    ///   - frameRate: pictures a second, whole.
    package init(segmentSeconds: Int, frameRate: Int) {
        precondition(segmentSeconds > 0 && frameRate > 0)
        self.segmentSeconds = segmentSeconds
        self.frameRate = frameRate
    }
    package var framesPerSegment: Int { segmentSeconds * frameRate }
    package var segmentMicroseconds: Int64 { Int64(segmentSeconds) * 1_000_000 }

    /// Pictures of a recording of this length (µs): its last, shorter picture counts as a whole one.
    package func frames(in duration: Int64) -> Int {
        let wanted = max(0, duration).multipliedReportingOverflow(by: Int64(frameRate))
        let frames = wanted.overflow ? .max : (wanted.partialValue &+ 999_999) / 1_000_000
        return Int(min(frames, Int64(Limits.segments * framesPerSegment)))
    }
    package func segments(frames: Int) -> Int { (frames + framesPerSegment - 1) / framesPerSegment }
    /// Pictures of segment `index` of a recording of `total` pictures.
    package func frames(of index: Int, total: Int) -> Range<Int> { min(total, index * framesPerSegment)..<min(total, (index + 1) * framesPerSegment) }
    /// When picture `frame` is shown, µs.
    package func time(_ frame: Int) -> Int64 { Int64(frame) * 1_000_000 / Int64(frameRate) }
    /// Pictures taken before this time (µs) belong to picture `frame` or an earlier one: to the nearest on the grid.
    package func cutoff(_ frame: Int) -> Int64 { (Int64(frame) * 2 + 1) * 500_000 / Int64(frameRate) }
    /// Where picture `frame` begins, in samples.
    package func sample(_ frame: Int) -> Int64 { Int64(frame) * Int64(Self.sampleRate) / Int64(frameRate) }
    /// AAC frames that begin within these pictures: a sound's segments follow the pictures' to within one frame (21 ms).
    package func audioFrames(_ frames: Range<Int>) -> Range<Int64> {
        let length = Int64(Self.audioFrame)
        return (sample(frames.lowerBound) + length - 1) / length..<(sample(frames.upperBound) + length - 1) / length
    }
}
