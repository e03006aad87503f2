// What the short commands print.
package import Configuration
internal import Glibc
internal import Primitives

package enum Commands {
    package static func summary(of topology: Topology) -> String {
        let count = topology.nodes.count
        return "\(count) node\(count == 1 ? "" : "s"), no mistakes"
    }

    /// One line a node: name, address, roles, the folder-relative CA file to trust; separated by tabs.
    package static func nodes(of topology: Topology) -> String {
        topology.nodes.map { node in
            let roles = node.roles.map(\.rawValue).sorted().joined(separator: ",")
            return "\(node.name)\t\(topology.url(of: node))\t\(roles)\t\(CertificatePaths(folder: topology.caFolder).authority)\n"
        }.joined()
    }

    static func makeKeys(topology file: String) throws -> String {
        let topology = try Topology.load(path: file)
        // Keys are secrets: nothing made here is ever readable by others, not even for a moment.
        umask(0o077)
        let made = try ClusterKeys.ensure(topology, now: SystemClock.wall, random: SystemRandom())
        return made.isEmpty ? "all keys are there\n" : made.map { "made \($0)\n" }.joined()
    }
}

/// The wall clock for commands that run no loop.
enum SystemClock {
    static var wall: WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}
