// The simulated world itself: time, loops, clocks, wires, the database.
import EventLoop
import Primitives
import Testing

@testable import Simulation

private let oneSecond: Int64 = 1_000_000_000

private final class Notes: @unchecked Sendable {
    var all: [String] = []
    func add(_ text: String) { all.append(text) }
}

@Suite(.serialized) struct WorldTests {
    private func loop(_ world: World, _ name: String, drift: Int64 = 0) -> SimulatedLoop {
        SimulatedLoop(world, name: name, clock: SimulatedClock(origin: 5_000, drift: drift))
    }

    @Test func workIsDoneInTheOrderOfTimeThenOfEntry() {
        let world = World(seed: 1), notes = Notes(), a = loop(world, "a"), b = loop(world, "b")
        world.after(20, on: a) { notes.add("20") }
        world.after(10, on: b) { notes.add("10"); a.post { notes.add("10 posted") } }
        world.after(10, on: a) { notes.add("10 second") }
        a.post { notes.add("0") }
        world.run(until: oneSecond)
        #expect(notes.all == ["0", "10", "10 second", "10 posted", "20"])
        #expect(world.now == oneSecond)
    }
    @Test(arguments: [-300, -1, 0, 1, 77, 300])
    func aTimerNeverRingsEarlyOnItsOwnClock(drift: Int64) {
        let world = World(seed: 1), loop = loop(world, "a", drift: drift)
        var random = SplitMix64(seed: UInt64(bitPattern: drift))
        let rung = Notes(), early = Notes()
        for _ in 0..<200 {
            let wait = Int64(random.next() % 90_000_000_000)
            world.after(Int64(random.next() % 30_000_000_000), on: loop) {
                let due = loop.now + .nanoseconds(wait)
                loop.schedule(after: .nanoseconds(wait)) {
                    rung.add("")
                    if loop.now < due { early.add("") }
                }
            }
        }
        world.run(until: 130 * oneSecond)
        #expect(rung.all.count == 200 && early.all.isEmpty)
    }
    @Test func aStalledLoopDoesEverythingLaterInOrder() {
        let world = World(seed: 1), notes = Notes(), a = loop(world, "a")
        world.after(0, on: a) {
            a.schedule(after: .milliseconds(30)) { notes.add("timer 30 at \(world.now / 1_000_000)") }
            a.schedule(after: .milliseconds(10)) { notes.add("timer 10 at \(world.now / 1_000_000)") }
        }
        world.after(5_000_000) { a.stall() }
        world.after(20_000_000, on: a) { notes.add("message at \(world.now / 1_000_000)") }
        world.after(50_000_000) { a.resume() }
        world.run(until: oneSecond)
        #expect(notes.all == ["timer 10 at 50", "timer 30 at 50", "message at 50"] || notes.all == ["timer 10 at 50", "message at 50", "timer 30 at 50"])
        #expect(a.stalledFor == 45_000_000)
    }
    @Test func aKilledLoopDoesNothingMore() {
        let world = World(seed: 1), notes = Notes(), a = loop(world, "a")
        world.after(0, on: a) { a.spawn { try? await a.sleep(for: .milliseconds(10)); notes.add("awake") } }
        world.after(5_000_000) { a.kill() }
        world.after(20_000_000, on: a) { notes.add("message") }
        world.run(until: oneSecond)
        #expect(notes.all == [])
    }
    @Test func tasksAndActorsStayOnTheirLoops() {
        let world = World(seed: 1), notes = Notes(), a = loop(world, "a"), b = loop(world, "b")
        a.spawn {
            notes.add("a \(a.isCurrent)")
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<3 { group.addTask { notes.add("child \(number) \(a.isCurrent)") } }
            }
            await b.spawn { notes.add("b \(b.isCurrent)") }.value
            notes.add("a again \(a.isCurrent)")
        }
        world.run(until: oneSecond)
        #expect(world.violation == nil)
        #expect(notes.all == ["a true", "child 0 true", "child 1 true", "child 2 true", "b true", "a again true"])
    }
    @Test func aJobThatLeavesItsLoopsIsCaught() {
        let world = World(seed: 1), a = loop(world, "a")
        a.post { _ = Task.detached {} }
        world.run(until: oneSecond)
        #expect(world.violation?.invariant == .oneThread)
    }
    @Test func timeThatStandsStillIsCaught() {
        let world = World(seed: 1), a = loop(world, "a")
        @Sendable func again() { a.post { again() } }
        again()
        world.run(until: oneSecond)
        #expect(world.violation?.invariant == .timeStandsStill)
    }
    @Test func purposesDrawApart() {
        let world = World(seed: 7)
        var one = world.random("one"), same = world.random("one"), other = world.random("other")
        let first = one.next()
        #expect(first == same.next() && first != other.next())
    }
}

@Suite(.serialized) struct WireTests {
    /// Two machines with a stream from 0 to 1.
    private final class Rig: @unchecked Sendable {
        let world: World
        let wires: Wires
        let near: SimulatedLoop
        let far: SimulatedLoop
        let notes = Notes()
        var client: (any EventLoop.Stream)?
        var server: (any EventLoop.Stream)?
        var listener: (any Listener)?

        init(bound: Int = 1 << 20) {
            world = World(seed: 3)
            wires = Wires(world, hosts: 2)
            near = SimulatedLoop(world, name: "near", clock: SimulatedClock())
            far = SimulatedLoop(world, name: "far", clock: SimulatedClock())
            let address = Wires.address(of: 1, port: 7)
            far.post { [self] in
                listener = try? HostNetwork(wires, host: 1, loop: far).listen(address, backlog: 1, bufferBound: bound) { [self] stream in
                    server = stream
                    stream.onBytes = { [self] bytes in notes.add("got \(bytes.count)") }
                    stream.onClose = { [self] in notes.add("server \($0)") }
                }
            }
            near.post { [self] in
                HostNetwork(wires, host: 0, loop: near).connect(address, timeout: .seconds(2), bufferBound: bound) { [self] result in
                    guard case .success(let stream) = result else { return notes.add("\(result)") }
                    client = stream
                    stream.onBytes = { [self] bytes in notes.add("back \(bytes.count)") }
                    stream.onClose = { [self] in notes.add("client \($0)") }
                }
            }
            world.run(until: oneSecond)
        }
        func run(_ seconds: Int64 = 1) { world.run(until: world.now + seconds * oneSecond) }
        func atClient(_ body: @escaping @Sendable (any EventLoop.Stream) -> Void) { near.post { [self] in body(client!) } }
    }

    @Test func bytesArriveInOrderAndTogetherByTurn() {
        let rig = Rig()
        rig.atClient { $0.write([1]); $0.write([2, 3]) }
        rig.run()
        rig.atClient { $0.write([4]); $0.close() }
        rig.run()
        #expect(rig.notes.all == ["got 3", "got 1", "server remote", "client local"] || rig.notes.all == ["got 3", "client local", "got 1", "server remote"])
    }
    @Test func aCutPathHoldsWhatIsSentUntilItIsBack() {
        let rig = Rig()
        rig.wires.cut(0, 1)
        rig.atClient { $0.write([1]) }
        rig.run(5)
        #expect(rig.notes.all == [])
        rig.wires.heal(0, 1)
        rig.run()
        #expect(rig.notes.all == ["got 1"])
    }
    @Test func aKilledProcessIsToldByItsKernelAndADarkMachineIsNot() {
        let killed = Rig()
        killed.far.kill()
        killed.wires.processDied(1, silently: false)
        killed.run()
        #expect(killed.notes.all == ["client remote"])
        let dark = Rig()
        dark.far.kill()
        dark.wires.processDied(1, silently: true)
        dark.atClient { $0.write([1]) }
        dark.run(5)
        #expect(dark.notes.all == [])
        // Once it is up again, its kernel knows nothing of the stream.
        dark.wires.processStarted(1)
        dark.atClient { $0.write([2]) }
        dark.run(5)
        #expect(dark.notes.all == ["client failed(\(NetworkError.reset))"])
    }
    @Test func aReaderThatPausesStopsItsWriter() {
        let rig = Rig(bound: 1000)
        rig.far.post { rig.server!.isReadingPaused = true }
        rig.run()
        rig.atClient { stream in
            stream.onDrain = { rig.notes.add("drained") }
            let isRoom = stream.write([UInt8](repeating: 0, count: Wires.Limits.kernelBytes + 5000))
            rig.notes.add("room \(isRoom)")
        }
        rig.run()
        #expect(rig.notes.all == ["room false"])
        rig.far.post { rig.server!.isReadingPaused = false }
        rig.run()
        #expect(rig.notes.all == ["room false", "got \(Wires.Limits.kernelBytes)", "drained", "got 5000"])
    }
    @Test func nobodyListensAndNobodyAnswers() {
        let rig = Rig()
        let nowhere = Wires.address(of: 1, port: 8)
        rig.near.post { HostNetwork(rig.wires, host: 0, loop: rig.near).connect(nowhere, timeout: .seconds(2), bufferBound: 1) { rig.notes.add("\($0)") } }
        rig.run(3)
        #expect(rig.notes.all == ["failure(EventLoop.NetworkError.refused(\(nowhere)))"] || rig.notes.all.first?.contains("refused") == true)
        rig.wires.cut(1, 0)
        rig.near.post { HostNetwork(rig.wires, host: 0, loop: rig.near).connect(nowhere, timeout: .seconds(2), bufferBound: 1) { rig.notes.add("\($0)") } }
        rig.run(3)
        #expect(rig.notes.all.count == 2 && rig.notes.all[1].contains("\(NetworkError.timedOut(nowhere))"))
    }
}

@Suite struct PlanTests {
    @Test func aSeedHasOnePlanAndEveryKindComesUp() {
        var kinds: Set<FaultKind> = []
        for seed in 1...200 as ClosedRange<UInt64> {
            let plan = FaultPlan(seed: seed), again = FaultPlan(seed: seed)
            #expect(plan.faults.map(\.at) == again.faults.map(\.at) && (3...7).contains(plan.nodes))
            for fault in plan.faults {
                kinds.insert(fault.kind)
                #expect(fault.host != fault.other && fault.at + fault.lasts <= plan.parameters.quiet * oneSecond)
            }
        }
        #expect(kinds == Set(FaultKind.allCases))
    }
}
