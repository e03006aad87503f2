// What one job may take of the machine (setrlimit(2)), before anything from outside is looked at.
import Glibc

struct ResourceLimits {
    /// Private memory; mapped journals do not count.
    var memoryMiB: UInt64 = 3 << 10
    var cpuSeconds: UInt64 = 4 * 3_600
    var openFiles: UInt64 = 16_384
    /// Below everything that serves live media.
    var niceness: Int32 = 10

    func apply() {
        limit(RLIMIT_DATA, memoryMiB << 20)
        limit(RLIMIT_CPU, cpuSeconds)
        limit(RLIMIT_NOFILE, openFiles)
        limit(RLIMIT_CORE, 0)
        _ = nice(niceness)
    }
    /// Never raises what the parent set.
    private func limit(_ resource: __rlimit_resource, _ value: UInt64) {
        var now = rlimit()
        guard getrlimit(__rlimit_resource_t(resource.rawValue), &now) == 0 else { return }
        now.rlim_cur = min(now.rlim_max, UInt(value))
        if resource.rawValue != RLIMIT_NOFILE.rawValue { now.rlim_max = now.rlim_cur }
        _ = setrlimit(__rlimit_resource_t(resource.rawValue), &now)
    }
}
