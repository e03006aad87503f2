// Range requests (RFC 9110 section 14): one range of bytes; anything else is answered whole, as section 14.2 allows.

package enum ByteRange: Equatable, Sendable {
    case whole
    case part(Range<Int64>)
    /// Answered 416 with `Content-Range: bytes */size`.
    case unsatisfiable

    /// - Parameter header: the value of `Range`, nil where there is none.
    package static func resolve(_ header: String?, size: Int64) -> ByteRange {
        guard let header, header.lowercased().hasPrefix("bytes=") else { return .whole }
        let spec = header.dropFirst("bytes=".count)
        guard !spec.contains(","), let dash = spec.firstIndex(of: "-") else { return .whole }
        let first = trim(spec[..<dash]), last = trim(spec[spec.index(after: dash)...])
        if first.isEmpty {
            guard let suffix = number(last) else { return .whole }
            guard suffix > 0, size > 0 else { return .unsatisfiable }
            return .part(max(0, size - suffix)..<size)
        }
        guard let start = number(first), last.isEmpty || number(last) != nil else { return .whole }
        let end = number(last) ?? .max
        guard end >= start else { return .whole }
        guard start < size else { return .unsatisfiable }
        return .part(start..<(min(end, size - 1) + 1))
    }
    /// Digits only; what does not fit counts as the largest number.
    private static func number(_ text: Substring) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return Int64(text) ?? .max
    }
    private static func trim(_ text: Substring) -> Substring {
        text.drop { $0 == " " || $0 == "\t" }
    }
}

/// Validators (RFC 9110 section 8.8.3): strong, made of size and modification time.
package struct EntityTag: Equatable, Sendable, CustomStringConvertible {
    package let description: String
    package init(size: Int64, modifiedNanoseconds: Int64) {
        description = "\"" + String(size, radix: 16) + "-" + String(modifiedNanoseconds, radix: 16) + "\""
    }
    /// Section 13.1.2: whether an `If-None-Match` names this tag, compared weakly.
    package func isNamed(by ifNoneMatch: String?) -> Bool {
        guard let ifNoneMatch else { return false }
        return ifNoneMatch.split(separator: ",").contains { item in
            var tag = item.drop { $0 == " " || $0 == "\t" }
            while tag.last == " " || tag.last == "\t" { tag.removeLast() }
            if tag == "*" { return true }
            if tag.hasPrefix("W/") { tag = tag.dropFirst(2) }
            return tag == description
        }
    }
    /// Section 13.1.5: whether an `If-Range` lets the range stand. A date never does: ours are not strong.
    package func allowsRange(_ ifRange: String?) -> Bool { ifRange.map { $0 == description } ?? true }
}
