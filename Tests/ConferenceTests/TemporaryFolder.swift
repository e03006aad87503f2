// A folder of a test's own.
import Glibc
import Testing

/// A new folder below /tmp, whose name begins with `name`. Whoever asks for it removes it.
func temporaryFolder(_ name: String) throws -> String {
    var template = Array("/tmp/\(name)-XXXXXX".utf8CString)
    return try template.withUnsafeMutableBufferPointer { buffer in String(cString: try #require(mkdtemp(buffer.baseAddress!))) }
}
