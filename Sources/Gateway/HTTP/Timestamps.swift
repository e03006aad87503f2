// Dates as HTTP writes them.
package import Primitives

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
