// Paths with parameters: "/api/v1/sessions/{id}", "/media/{path...}".

/// A parsed template. Parameters match one segment of 1 to `maxSegmentBytes`; a last `{name...}` matches the rest.
package struct PathTemplate: Sendable, Equatable, CustomStringConvertible {
    package enum Limits { package static let maxSegmentBytes = 128 }
    private enum Part: Sendable, Equatable { case literal(String), parameter(String), rest(String) }
    private let parts: [Part]
    package let description: String

    package init(_ text: String) {
        description = text
        parts = text.split(separator: "/").map { segment in
            guard segment.first == "{", segment.last == "}" else { return .literal(String(segment)) }
            let name = segment.dropFirst().dropLast()
            return name.hasSuffix("...") ? .rest(String(name.dropLast(3))) : .parameter(String(name))
        }
    }
    package var parameters: [String] {
        parts.compactMap { part in
            switch part {
            case .literal: nil
            case .parameter(let name), .rest(let name): name
            }
        }
    }
    /// As OpenAPI writes it: no dots.
    package var openAPI: String { "/" + description.split(separator: "/").map { $0.hasSuffix("...}") ? $0.dropLast(4) + "}" : $0 }.joined(separator: "/") }

    /// - Returns: the parameters, or nil where the path is another.
    package func match(_ path: String) -> [String: String]? {
        let segments = path.split(separator: "/")
        var values: [String: String] = [:]
        for (i, part) in parts.enumerated() {
            if case .rest(let name) = part {
                guard i < segments.count else { return nil }
                values[name] = segments[i...].joined(separator: "/")
                return values
            }
            guard i < segments.count else { return nil }
            switch part {
            case .literal(let text): guard segments[i] == text else { return nil }
            case .parameter(let name):
                guard segments[i].utf8.count <= Limits.maxSegmentBytes else { return nil }
                values[name] = String(segments[i])
            case .rest: break
            }
        }
        return segments.count == parts.count ? values : nil
    }
}
