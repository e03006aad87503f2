// From 16 bits of sequence number and 32 of timestamp to numbers that never wrap.
import RTP

/// Extends sequence numbers and timestamps together, in arrival order.
struct NumberExtender {
    var timestamps = TimestampExtender()
    private var highest: (sequence: UInt64, timestamp: UInt64, receivedAt: Int64)?

    mutating func extend(_ sequence: UInt16, _ timestamp: UInt32, receivedAt: Int64) -> (UInt64, UInt64) {
        let time = timestamps.extend(timestamp)
        guard let highest else {
            let first = 1 << 16 | UInt64(sequence)
            self.highest = (first, time, receivedAt)
            return (first, time)
        }
        let delta = Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest.sequence))
        var value = highest.sequence &+ UInt64(bitPattern: Int64(delta))
        // After a long outage half the circle may have passed: what is later by timestamp is later by sequence.
        if delta <= 0, time > highest.timestamp, receivedAt - highest.receivedAt > TrackMerge.Limits.wrapPause { value &+= 1 << 16 }
        if value > highest.sequence { self.highest = (value, time, receivedAt) }
        return (value, time)
    }
}
