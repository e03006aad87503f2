// Reading the repository's own files, without Foundation.
import Glibc

struct SourceFile {
    let path: String
    let lines: [Substring]

    /// The lines without comments and without what stands in string literals.
    var code: [String] {
        var inBlock = false, inText = false
        return lines.map { line in
            // A line with an odd number of triple quotes begins or ends a text of several lines.
            let quotes = line.ranges(of: "\"\"\"").count
            if inText { if quotes % 2 == 1 { inText = false }; return "" }
            if quotes % 2 == 1 { inText = true; return String(line[..<line.firstRange(of: "\"\"\"")!.lowerBound]) }
            return Self.bare(line, inBlock: &inBlock)
        }
    }

    private static func bare(_ line: Substring, inBlock: inout Bool) -> String {
        var out = "", inString = false, previous: Character = " "
        var rest = line
        while let character = rest.popFirst() {
            defer { previous = character }
            if inBlock {
                if previous == "*", character == "/" { inBlock = false }
            } else if inString {
                if character == "\\" { _ = rest.popFirst() } else if character == "\"" { inString = false }
            } else if character == "\"" {
                inString = true
            } else if character == "/", rest.first == "/" {
                return out
            } else if character == "/", rest.first == "*" {
                inBlock = true
            } else {
                out.append(character)
            }
        }
        return out
    }
}

enum SourceTree {
    /// The repository's root, found from this file's own path.
    static let root: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(3).joined(separator: "/")
    }()

    static func entries(under path: String) -> [(name: String, isDirectory: Bool)] {
        guard let handle = opendir("\(root)/\(path)") else { return [] }
        defer { closedir(handle) }
        var found: [(String, Bool)] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasPrefix(".") { continue }
            found.append((name, entry.pointee.d_type == UInt8(DT_DIR)))
        }
        return found.sorted { $0.0 < $1.0 }
    }

    static func directories(under path: String) -> [String] { entries(under: path).filter(\.isDirectory).map(\.name) }

    /// Paths, relative to the root, of all files below `path` whose name ends in `suffix`.
    static func files(under path: String, suffix: String) -> [String] {
        entries(under: path).flatMap { entry -> [String] in
            let child = "\(path)/\(entry.name)"
            if entry.isDirectory { return files(under: child, suffix: suffix) }
            return entry.name.hasSuffix(suffix) ? [child] : []
        }
    }

    static func swiftFiles(under path: String) -> [SourceFile] { files(under: path, suffix: ".swift").map(read) }

    static func text(_ path: String) -> String {
        guard let file = fopen("\(root)/\(path)", "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 65_536)
        while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func read(_ path: String) -> SourceFile {
        SourceFile(path: path, lines: text(path).split(separator: "\n", omittingEmptySubsequences: false))
    }
}
