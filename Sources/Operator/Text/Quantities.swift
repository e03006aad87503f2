// Spans of time, amounts and rates, as people write and read them.

enum SpanText {
    enum Limits {
        /// Milliseconds: a year.
        static let most: Int64 = 365 * 86_400_000
    }
    private static let units: [(name: String, milliseconds: Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]

    /// `60`, `60s`, `500ms`, `1m30s`, `1.5h`: numbers with units, the largest first; a bare number is seconds.
    /// - Returns: nil for anything else, and beyond a year.
    static func parse(_ text: String) -> Duration? {
        if let seconds = number(text[...]) { return span(seconds * 1000) }
        var rest = text[...], total = 0.0, smallest = Int64.max
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            let word = rest.dropFirst(digits.count).prefix { $0.isLetter }
            guard let value = number(digits), let unit = units.first(where: { $0.name == word }), unit.milliseconds < smallest else { return nil }
            smallest = unit.milliseconds
            total += value * Double(unit.milliseconds)
            rest = rest.dropFirst(digits.count + word.count)
        }
        return span(total)
    }
    private static func number(_ text: Substring) -> Double? {
        guard let first = text.first, first.isNumber, text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let value = Double(text), value.isFinite else { return nil }
        return value
    }
    private static func span(_ milliseconds: Double) -> Duration? {
        guard milliseconds <= Double(Limits.most) else { return nil }
        return .milliseconds(Int64(milliseconds.rounded()))
    }

    /// The two largest units: `2d 3h`, `5m 10s`, `12s`, `850ms`.
    static func short(seconds: Double) -> String {
        guard seconds.isFinite else { return "–" }
        if seconds < 0 { return "-" + short(seconds: -seconds) }
        if seconds < 1 { return "\(Int((seconds * 1000).rounded()))ms" }
        let whole = Int64(min(seconds, 1e12))
        let parts: [(Int64, String)] = [(whole / 86_400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")]
        guard let first = parts.firstIndex(where: { $0.0 > 0 }) else { return "0s" }
        return parts[first...].prefix(2).filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined(separator: " ")
    }
}

enum AmountText {
    /// `fraction` digits behind the point, always.
    static func fixed(_ value: Double, _ fraction: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "–" }
        var scale = 1.0
        for _ in 0..<fraction { scale *= 10 }
        let scaled = Int64((abs(value) * scale).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard fraction > 0 else { return "\(sign)\(scaled)" }
        let digits = String(scaled % Int64(scale))
        return "\(sign)\(scaled / Int64(scale)).\(String(repeating: "0", count: fraction - digits.count))\(digits)"
    }
    /// `950`, `1.2k`, `34.0M`: powers of 1000.
    static func count(_ value: Double) -> String { scaled(value, by: 1000, ["", "k", "M", "G", "T"], unit: "") }
    /// `950 B`, `1.2 KiB`: powers of 1024.
    static func bytes(_ value: Int64) -> String { scaled(Double(value), by: 1024, [" B", " KiB", " MiB", " GiB", " TiB"], unit: "") }
    static func bits(bytesPerSecond: Double) -> String { scaled(bytesPerSecond * 8, by: 1000, [" bit/s", " kbit/s", " Mbit/s", " Gbit/s", " Tbit/s"], unit: "") }
    static func percent(_ fraction: Double, _ digits: Int = 0) -> String { fixed(fraction * 100, digits) + " %" }

    private static func scaled(_ value: Double, by step: Double, _ names: [String], unit: String) -> String {
        var value = value, index = 0
        while value >= step, index < names.count - 1 {
            value /= step
            index += 1
        }
        return fixed(value, index == 0 ? 0 : 1) + names[index]
    }
}
