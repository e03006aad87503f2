// Metrics in Prometheus' text format, version 0.0.4.
internal import Glibc

/// Builds the text family by family; a family's samples stand together, as the format wants.
package struct MetricsText {
    package enum Kind: String { case counter, gauge }
    package struct Sample {
        let labels: KeyValuePairs<String, String>
        let value: Double
        package init(_ labels: KeyValuePairs<String, String> = [:], _ value: Double) { self.labels = labels; self.value = value }
    }
    package private(set) var text = ""
    package init() {}

    /// Adds one family. Counters' names end in `_total`; units are seconds and bytes.
    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            text += name
            if !sample.labels.isEmpty { text += "{" + sample.labels.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",") + "}" }
            text += " \(Self.number(sample.value))\n"
        }
    }
    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) { add(name, kind, help, [Sample([:], value)]) }
    /// Families another part has written already.
    package mutating func append(_ other: String) {
        text += other
        if !other.isEmpty, !other.hasSuffix("\n") { text += "\n" }
    }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.unicodeScalars.append(character)
            }
        }
        return out
    }
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }
}

/// What every process reports of itself, by Prometheus' usual names.
package enum ProcessMetrics {
    package static func add(to metrics: inout MetricsText, version: String, startedAt: Double) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let seconds = Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        metrics.add("process_cpu_seconds_total", .counter, "User and system CPU time.", seconds)
        metrics.add("process_resident_memory_bytes", .gauge, "Resident memory.", Double(residentBytes()))
        metrics.add("process_open_fds", .gauge, "Open file descriptors.", Double(openDescriptors()))
        metrics.add("process_start_time_seconds", .gauge, "Start, seconds since 1970.", startedAt)
        metrics.add("troupe_build_info", .gauge, "The release this node runs.", [.init(["version": version], 1)])
    }

    static func residentBytes() -> Int64 {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (Int64(fields[1]) ?? 0) * Int64(sysconf(Int32(_SC_PAGESIZE))) : 0
    }
    private static func openDescriptors() -> Int {
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count = -3   // ".", ".." and this folder's own
        while readdir(folder) != nil { count += 1 }
        return count
    }
}
