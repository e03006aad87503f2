// Reading the repository's own files, without Foundation.
import Glibc

struct SourceFile {
    let path: String
    let lines: [Substring]
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
