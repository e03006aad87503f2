// An IPv4 or IPv6 address with a port: a value, hashable without allocation, used as the key of every datagram flow.

/// IPv4 addresses are held as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2), so one comparison serves both.
package struct SocketAddress: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The address, network order, in two words.
    package let high: UInt64
    package let low: UInt64
    package let port: UInt16

    package init(high: UInt64, low: UInt64, port: UInt16) { self.high = high; self.low = low; self.port = port }
    package init(ipv4: UInt32, port: UInt16) { self.init(high: 0, low: 0x0000_FFFF_0000_0000 | UInt64(ipv4), port: port) }

    package var isIPv4: Bool { high == 0 && low >> 32 == 0x0000_FFFF }
    package var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }
    package var isLoopback: Bool { isIPv4 ? ipv4 >> 24 == 127 : (high == 0 && low == 1) }
    package func with(port: UInt16) -> SocketAddress { SocketAddress(high: high, low: low, port: port) }

    /// Parses a numeric address ("127.0.0.1", "::1"); names are not resolved here.
    package init?(host: String, port: UInt16) {
        if let v4 = Self.parseIPv4(host) { self.init(ipv4: v4, port: port); return }
        guard let words = Self.parseIPv6(host) else { return nil }
        var high: UInt64 = 0, low: UInt64 = 0
        for i in 0..<4 { high = high << 16 | UInt64(words[i]); low = low << 16 | UInt64(words[i + 4]) }
        self.init(high: high, low: low, port: port)
    }

    /// The numeric host, without port or brackets.
    package var host: String {
        if isIPv4 { return "\(ipv4 >> 24).\(ipv4 >> 16 & 255).\(ipv4 >> 8 & 255).\(ipv4 & 255)" }
        var words: [UInt16] = []
        for half in [high, low] {
            for shift in [48, 32, 16, 0] as [UInt64] { words.append(UInt16(truncatingIfNeeded: half >> shift)) }
        }
        // RFC 5952 §4.2: the longest run of two or more zero groups becomes "::".
        var best = 0..<0, i = 0
        while i < 8 {
            if words[i] == 0 { var j = i; while j < 8, words[j] == 0 { j += 1 }; if j - i > max(best.count, 1) { best = i..<j }; i = j } else { i += 1 }
        }
        let hex = words.map { String($0, radix: 16) }
        if best.isEmpty { return hex.joined(separator: ":") }
        return hex[..<best.lowerBound].joined(separator: ":") + "::" + hex[best.upperBound...].joined(separator: ":")
    }
    package var description: String { isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

    private static func parseIPv4(_ s: String) -> UInt32? {
        let parts = s.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let n = UInt32(part), n < 256 else { return nil }
            value = value << 8 | n
        }
        return value
    }
    private static func parseIPv6(_ s: String) -> [UInt16]? {
        func groups(_ t: Substring) -> [UInt16]? {
            if t.isEmpty { return [] }
            var out: [UInt16] = []
            let parts = t.split(separator: ":", omittingEmptySubsequences: false)
            for (i, p) in parts.enumerated() {
                if i == parts.count - 1, p.contains("."), let v4 = parseIPv4(String(p)) { out += [UInt16(v4 >> 16), UInt16(truncatingIfNeeded: v4)]; continue }
                guard (1...4).contains(p.utf8.count), p.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }), let v = UInt16(p, radix: 16) else { return nil }
                out.append(v)
            }
            return out
        }
        if let r = s.firstRange(of: "::") {
            guard let head = groups(s[..<r.lowerBound]), let tail = groups(s[r.upperBound...]), head.count + tail.count < 8 else { return nil }
            return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
        }
        guard let all = groups(s[...]), all.count == 8 else { return nil }
        return all
    }
}

extension SocketAddress: Codable {
    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "expected host:port"))
        }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        guard let value = SocketAddress(host: String(host), port: port) else { throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "expected host:port")) }
        self = value
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
