// CPU time of processes of this machine.
internal import Glibc

enum ProcessTime {
    /// Seconds of user and system time of all threads of a process; nil when it is gone.
    static func seconds(of process: Int32) -> Double? {
        guard let file = fopen("/proc/\(process)/stat", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return ticks(inStat: String(decoding: bytes[..<count], as: UTF8.self)).map { Double($0) / Double(sysconf(Int32(_SC_CLK_TCK))) }
    }
    /// Fields 14 and 15 of proc(5); the program's name before them may hold anything.
    static func ticks(inStat text: String) -> UInt64? {
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = UInt64(fields[11]), let system = UInt64(fields[12]) else { return nil }
        return user + system
    }
    static var own: Double { seconds(of: getpid()) ?? 0 }
}
