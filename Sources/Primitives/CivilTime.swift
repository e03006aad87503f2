// Wall time as people and protocols write it, without a calendar library.

/// A day of the proleptic Gregorian calendar and a time of day, in UTC.
package struct CivilTime: Equatable, Sendable {
    package var year, month, day, hour, minute, second, millisecond: Int
    /// 0 is Sunday.
    package var weekday: Int

    /// Days to date by the era method: eras of 400 years (146,097 days), years that begin in March.
    package init(_ time: WallTime) {
        let (days, microseconds) = Self.divide(time.microseconds, by: 86_400_000_000)
        let (era, dayOfEra) = Self.divide(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * marchMonth + 2) / 5 + 1)
        month = Int(marchMonth < 10 ? marchMonth + 3 : marchMonth - 9)
        year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
        let seconds = Int(microseconds / 1_000_000)
        hour = seconds / 3600
        minute = seconds / 60 % 60
        second = seconds % 60
        millisecond = Int(microseconds % 1_000_000 / 1000)
        weekday = Int(Self.divide(days + 4, by: 7).rest)
    }
    /// The quotient towards minus infinity, and what is left: never negative.
    private static func divide(_ value: Int64, by divisor: Int64) -> (quotient: Int64, rest: Int64) {
        let (quotient, rest) = value.quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
    }
    /// A number with zeros in front of it.
    package static func pad(_ value: Int, _ width: Int = 2) -> String {
        let text = String(value)
        return text.utf8.count >= width ? text : String(repeating: "0", count: width - text.utf8.count) + text
    }
}

extension WallTime {
    /// RFC 3339 in UTC with milliseconds: "2026-11-21T09:20:17.123Z".
    package var rfc3339: String {
        let t = CivilTime(self)
        let date = "\(CivilTime.pad(t.year, 4))-\(CivilTime.pad(t.month))-\(CivilTime.pad(t.day))"
        return "\(date)T\(CivilTime.pad(t.hour)):\(CivilTime.pad(t.minute)):\(CivilTime.pad(t.second)).\(CivilTime.pad(t.millisecond, 3))Z"
    }
}
