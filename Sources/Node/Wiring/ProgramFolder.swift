// Where this program lies, and what lies beside it.
internal import Glibc

enum ProgramFolder {
    /// The folder of the running executable.
    static let path: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let file = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "."
    }()
    static func path(of program: String) -> String { "\(path)/\(program)" }

    /// The studio's pages: as the topology says, else `studio` beside the program, else those of the source tree it was built in.
    static func studio(_ configured: String?) -> String? {
        if let configured { return configured }
        var candidates = ["\(path)/studio"]
        var folder = path
        while let slash = folder.lastIndex(of: "/") {
            folder = String(folder[..<slash])
            candidates.append("\(folder)/Sources/Gateway/Studio")
        }
        return candidates.first { access("\($0)/index.html", R_OK) == 0 }
    }
}
