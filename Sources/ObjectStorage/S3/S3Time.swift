// The three ways S3 writes a time.
internal import Primitives

enum S3Time {
    /// "20130524T000000Z", as signatures have it (ISO 8601 basic).
    static func basic(_ time: WallTime) -> String {
        let t = CivilTime(time)
        return "\(date(t))T\(CivilTime.pad(t.hour))\(CivilTime.pad(t.minute))\(CivilTime.pad(t.second))Z"
    }
    /// "20130524".
    static func day(_ time: WallTime) -> String { date(CivilTime(time)) }
    private static func date(_ t: CivilTime) -> String { "\(CivilTime.pad(t.year, 4))\(CivilTime.pad(t.month))\(CivilTime.pad(t.day))" }

    /// Of a list: "2009-10-12T17:50:30.000Z" (the fraction may be missing).
    static func listed(_ text: String) -> WallTime? {
        let parts = text.split(whereSeparator: { "-T:.Z".contains($0) }).map { Int64($0) }
        guard parts.count >= 6, let year = parts[0], let month = parts[1], let day = parts[2], let hour = parts[3], let minute = parts[4], let second = parts[5] else { return nil }
        let milliseconds = parts.count > 6 && text.hasSuffix("Z") ? parts[6] ?? 0 : 0
        return time(year, month, day, hour, minute, second, milliseconds)
    }
    /// Of a header: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7).
    static func header(_ text: String) -> WallTime? {
        let parts = text.split(whereSeparator: { " ,:".contains($0) })
        guard parts.count == 8, let day = Int64(parts[1]), let month = months.firstIndex(of: parts[2]), let year = Int64(parts[3]), let hour = Int64(parts[4]), let minute = Int64(parts[5]), let second = Int64(parts[6]) else { return nil }
        return time(year, Int64(month) + 1, day, hour, minute, second, 0)
    }
    private static let months: [Substring] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Days of the proleptic Gregorian calendar by eras of 400 years that begin in March: the inverse of `CivilTime`.
    private static func time(_ year: Int64, _ month: Int64, _ day: Int64, _ hour: Int64, _ minute: Int64, _ second: Int64, _ milliseconds: Int64) -> WallTime? {
        guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day), (0..<24).contains(hour), (0..<60).contains(minute), (0...60).contains(second), (0..<1_000).contains(milliseconds) else { return nil }
        let marchYear = month <= 2 ? year - 1 : year, era = marchYear / 400, yearOfEra = marchYear % 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return WallTime(microseconds: (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + milliseconds * 1_000)
    }
}
