// Dates as HTTP and JSON write them, without a calendar library.
package import Primitives

/// A day of the proleptic Gregorian calendar and a time in UTC.
package struct CivilTime: Equatable, Sendable {
    package var year, month, day, hour, minute, second, millisecond: Int
    /// 0 is Sunday.
    package var weekday: Int

    /// Days to date by the era method (400-year eras of 146,097 days, years beginning in March).
    package init(_ time: WallTime) {
        let microseconds = max(0, time.microseconds)
        let seconds = microseconds / 1_000_000
        let days = Int(seconds / 86_400), rest = Int(seconds % 86_400)
        let shifted = days + 719_468
        let era = shifted / 146_097, dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
        millisecond = Int(microseconds % 1_000_000 / 1000)
        weekday = (days + 4) % 7
    }
    static func pad(_ value: Int, _ width: Int = 2) -> String {
        let text = String(value)
        return text.count >= width ? text : String(repeating: "0", count: width - text.count) + text
    }
}

/// IMF-fixdate (RFC 9110 section 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
package enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    package static func format(_ time: WallTime) -> String {
        let t = CivilTime(time)
        return "\(days[t.weekday]), \(CivilTime.pad(t.day)) \(months[t.month - 1]) \(CivilTime.pad(t.year, 4)) "
            + "\(CivilTime.pad(t.hour)):\(CivilTime.pad(t.minute)):\(CivilTime.pad(t.second)) GMT"
    }
}

/// RFC 3339 in UTC with milliseconds: "2026-11-21T09:20:17.123Z".
package enum ISOTime {
    package static func format(_ time: WallTime) -> String {
        let t = CivilTime(time)
        return "\(CivilTime.pad(t.year, 4))-\(CivilTime.pad(t.month))-\(CivilTime.pad(t.day))T"
            + "\(CivilTime.pad(t.hour)):\(CivilTime.pad(t.minute)):\(CivilTime.pad(t.second)).\(CivilTime.pad(t.millisecond, 3))Z"
    }
}
