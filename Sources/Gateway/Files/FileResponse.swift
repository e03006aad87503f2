// From an open file and a request's conditions to 200, 206, 304 or 416 (RFC 9110 sections 13 and 14).

enum FileResponse {
    /// - Parameter cache: the value of `Cache-Control`.
    static func make(_ file: OpenFile, path: String, request: HTTPRequest, cache: String) -> HTTPResponse {
        let tag = file.tag
        var response = HTTPResponse(status: 200, headers: [
            ("Content-Type", MediaType.of(path: path)), ("ETag", tag.description), ("Last-Modified", HTTPDate.format(file.modified)),
            ("Cache-Control", cache), ("Accept-Ranges", "bytes"),
        ])
        if isUnchanged(file, request) {
            response.status = 304
            return response
        }
        let range = tag.allowsRange(request.headers["if-range"]) ? ByteRange.resolve(request.headers["range"], size: file.size) : .whole
        switch range {
        case .whole: response.body = .file(file, 0..<file.size)
        case .part(let part):
            response.status = 206
            response.set("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(file.size)")
            response.body = .file(file, part)
        case .unsatisfiable:
            response.status = 416
            response.set("Content-Range", "bytes */\(file.size)")
        }
        return response
    }
    /// `If-None-Match` decides; `If-Modified-Since` only where it is missing, and only by the date we gave (section 13.1.3).
    private static func isUnchanged(_ file: OpenFile, _ request: HTTPRequest) -> Bool {
        if let tags = request.headers["if-none-match"] { return file.tag.isNamed(by: tags) }
        return request.headers["if-modified-since"] == HTTPDate.format(file.modified)
    }
}
