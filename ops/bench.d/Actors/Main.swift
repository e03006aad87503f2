// One node of the actor benchmark: `ops/bench actors` runs two of these and reads the JSON the caller prints.
//   actors serve NAME PORT PEER PEERPORT FOLDER            answers until its standard input ends
//   actors call  NAME PORT PEER PEERPORT FOLDER SECONDS    measures and prints
import Cluster
import Distributed
import EventLoop
import Glibc
import Primitives
import Synchronization

/// What is called: a number and a short text in, the same out.
package distributed actor Adder {
    package typealias ActorSystem = ClusterSystem
    package static let kind = "adder"
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    package init(system: ClusterSystem) { actorSystem = system }
    package distributed func add(_ number: Int, to text: String) -> Answer { Answer(number: number + 1, text: text) }
}
package struct Answer: Codable, Sendable {
    package var number: Int
    package var text: String
}

/// Times of single calls, in nanoseconds.
struct Times {
    var all: [Int64] = []
    func quantile(_ q: Double) -> Double {
        let sorted = all.sorted()
        return sorted.isEmpty ? 0 : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * q))]) / 1000
    }
}

@main struct Main {
    static func main() {
        let words = CommandLine.arguments
        guard words.count >= 7, let port = UInt16(words[3]), let peerPort = UInt16(words[5]) else {
            print("usage: actors serve|call NAME PORT PEER PEERPORT FOLDER [SECONDS]")
            exit(64)
        }
        let loop = try! UVLoop(name: "control")
        let system = ClusterSystem(
            configuration: configuration(words[2], port, words[4], peerPort, folder: words[6]), loop: loop, network: UVNetwork(loop: loop),
            leases: MemoryLeaseStore(), random: SeededRandom(seed: 1))
        // Both processes have a store of their own: only the server may host what is called across nodes.
        system.virtual(Adder.kind, roles: ["server"]) { _, _, system in Adder(system: system) }
        system.virtual("local", roles: ["caller"]) { _, _, system in Adder(system: system) }
        loop.start()
        if words[1] == "serve" {
            loop.spawn { try! await system.start() }
            while getchar() != EOF {}
            exit(0)
        }
        let seconds = words.count > 7 ? Double(words[7]) ?? 5 : 5
        loop.spawn {
            try! await system.start()
            await Bench(system: system, loop: loop, seconds: seconds).run()
            exit(0)
        }
        loop.join()
    }
    static func configuration(_ name: String, _ port: UInt16, _ peer: String, _ peerPort: UInt16, folder: String) -> ClusterConfiguration {
        let localhost: UInt32 = 0x7F00_0001
        return ClusterConfiguration(
            name: NodeName(name), roles: [name], bind: SocketAddress(ipv4: localhost, port: port), peers: [NodeName(peer): SocketAddress(ipv4: localhost, port: peerPort)],
            tls: TLSIdentity(certificate: read("\(folder)/\(name).pem"), key: read("\(folder)/\(name).key"), authority: read("\(folder)/ca.pem")))
    }
    static func read(_ path: String) -> String {
        guard let file = fopen(path, "r") else { fatalError("no \(path)") }
        defer { fclose(file) }
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 4096)
        while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The caller's side. Runs on the control loop.
struct Bench: Sendable {
    let system: ClusterSystem
    let loop: UVLoop
    let seconds: Double
    static let text = "R_0123456789abcd"
    static let roundTrips = 20_000
    static let inFlight = 64

    func run() async {
        while system.members().count < 2 { try! await loop.sleep(for: .milliseconds(10)) }
        let remote = system.reference(Adder.self, kind: Adder.kind, key: "a")
        let near = system.reference(Adder.self, kind: "local", key: "a")
        let instance = Adder(system: system)
        _ = try! await remote.add(1, to: Self.text)
        _ = try! await near.add(1, to: Self.text)
        let direct = await sequential(instance, count: 200_000)
        let local = await sequential(near, count: 100_000)
        let trips = await sequential(remote, count: Self.roundTrips)
        let before = system.counters(), cpu = cpuSeconds()
        let rate = await pipelined(remote)
        let after = system.counters(), spent = cpuSeconds() - cpu
        let calls = Double(after.callsSent - before.callsSent)
        let coding = codingSeconds() * calls
        print("""
            {"direct_us": \(direct.quantile(0.5)), "local_us": \(local.quantile(0.5)), "remote_us_p50": \(trips.quantile(0.5)), "remote_us_p99": \(trips.quantile(0.99)), \
            "pipelined_per_second": \(rate), "in_flight": \(Self.inFlight), "bytes_out_per_call": \(Double(after.bytesSent - before.bytesSent) / calls), \
            "bytes_in_per_call": \(Double(after.bytesReceived - before.bytesReceived) / calls), "caller_cpu_us_per_call": \(spent / calls * 1e6), "coding_share": \(coding / spent)}
            """)
    }
    private func sequential(_ actor: Adder, count: Int) async -> Times {
        var times = Times()
        times.all.reserveCapacity(count)
        for number in 0..<count {
            let begin = loop.now
            let answer = try! await actor.add(number, to: Self.text)
            precondition(answer.number == number + 1)
            times.all.append((loop.now - begin).inNanoseconds)
        }
        return times
    }
    /// `inFlight` callers, each with one call under way.
    private func pipelined(_ actor: Adder) async -> Double {
        let begin = loop.now, end = begin + .nanoseconds(Int64(seconds * 1e9)), loop = loop
        let total = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<Self.inFlight {
                group.addTask(executorPreference: loop) {
                    var count = 0
                    while loop.now < end {
                        let answer = try! await actor.add(count, to: Self.text)
                        count += 1
                        precondition(answer.number == count)
                    }
                    return count
                }
            }
            return await group.reduce(0, +)
        }
        return Double(total) / (loop.now - begin).inSeconds
    }
    /// CPU seconds the caller spends on one call's coding: its arguments written, its answer read.
    private func codingSeconds() -> Double {
        let rounds = 50_000
        let answer = try! CBOREncoder.encode(Answer(number: 5, text: Self.text))
        let begin = cpuSeconds()
        var sum = 0
        for number in 0..<rounds {
            sum &+= try! CBOREncoder.encode(number).count &+ CBOREncoder.encode(Self.text).count
            sum &+= try! CBORDecoder.decode(Answer.self, from: answer).number
        }
        precondition(sum != 0)
        return (cpuSeconds() - begin) / Double(rounds)
    }
    private func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
