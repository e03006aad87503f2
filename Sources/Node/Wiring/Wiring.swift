// Which part is given which: the one place where a node's parts meet.
internal import Capture
internal import Cluster
internal import Conference
internal import Configuration
internal import Contracts
internal import EventLoop
internal import Gateway
internal import Glibc
internal import Primitives
internal import Store
internal import Transport
internal import WebRTC

package enum Wiring {
    private enum Limits {
        /// Exit status of a process whose media stands still (EX_SOFTWARE of sysexits.h).
        static let stalledExit: Int32 = 70
        /// A node may be started together with its database, or while that is overloaded.
        static let storePatience = Duration.seconds(60)
    }
    /// Starts every part of a node on its control loop and gives back what stops them.
    static func start(_ environment: NodeEnvironment) async throws -> any NodeService {
        let certificate = try DTLSCertificate.selfSigned(now: environment.control.wall)
        let media = try MediaPorts.open(environment, certificate: certificate)
        let system = ClusterSystem(
            configuration: try cluster(environment), loop: environment.control, shards: media.map(\.loop), network: UVNetwork(loop: environment.control),
            leases: environment.store, random: environment.random)
        let planes = media.enumerated().map { MediaPlane(media: $1, index: $0, system: system, random: environment.random) }
        let edge = Edge(system: system, loop: environment.control, planes: planes, certificate: certificate, random: environment.random)
        let settings = RecorderSettings(
            storageRoot: environment.topology.storageFolder, mediaWorker: ProgramFolder.path(of: "troupe-media"),
            journalRoot: environment.topology.journalsFolder.map { "\($0)/\(environment.node.name)" })
        let log = environment.log
        let context = ConferenceContext(
            system: system, loop: environment.control, rooms: environment.store, recordings: environment.store, events: environment.store, random: environment.random,
            edge: edge,
            addresses: environment.topology.edgeAddresses, log: { level, event, fields in log.write(LogLevel(level), event, fields.sorted { $0.key < $1.key }) })
        let disk = DiskThread(name: "recordings")
        let recorder = environment.node.roles.contains(.recorder)
            ? try Recorder(settings: settings, node: environment.node.name, objects: environment.objects, bucket: environment.bucket, disk: disk, loop: environment.control, rings: planes.map(\.ring)) : nil
        ConferenceActors.register(context, recorder: recorder)
        system.observeNotices { log.info("cluster", ["notice": "\($0)"]) }
        system.observeMembers { event in
            if let (member, state) = event.told { log.info("member", ["member": member.name.rawValue, "incarnation": "\(member.incarnation.rawValue)", "state": state]) }
            guard case .down(let member) = event else { return }
            environment.control.run { edge.nodeDown(member.name) }
        }
        system.observeFreeze { isFrozen in
            if isFrozen { log.warning("frozen: neither the store nor a majority can be reached") } else { log.info("thawed") }
            context.freezeEdge(isFrozen)
        }
        MediaPorts.start(media, on: environment)
        let watchdog = MediaWatchdog(control: environment.control, loops: media.map(\.loop)) { index in
            log.error("a media loop stands still: this process ends, its clients go on elsewhere", ["loop": "\(index)"])
            _exit(Limits.stalledExit)
        }
        watchdog.start()
        try await system.start()
        if let recorder { ConferenceActors.begin(context, recorder) }
        try environment.control.onSignal(SIGHUP) { reloadCertificates(environment, system) }
        let metrics = NodeMetrics(environment: environment, system: system, edge: edge, media: media, planes: planes, recorder: recorder)
        let sampler = NodeSampler(name: environment.node.name, loop: environment.control, media: media)
        let operations = ClusterOperations(
            context: context, process: .init(version: Release.version, startedAt: environment.startedAt, sample: { sampler.sample }, suffer: environment.topology.allowsChaos ? NodeFaults(loop: environment.control, system: system, log: log).suffer : nil))
        Operations.provide(operations, in: system)
        sampler.start()
        let runner = environment.node.roles.contains(.compositor)
            ? JobRunner(context: context, jobs: environment.store, settings: settings, objects: environment.objects, disk: disk, loop: environment.control, processors: processors(environment)) : nil
        let desk = CompositionDesk(
            context: context, jobs: environment.store, tokens: environment.store, compositions: environment.store, objects: environment.objects, disk: disk, nudge: { runner?.nudge() })
        let archive = environment.bucket.map { RecordingArchive(bucket: $0, folder: environment.objects, context: context) }
        recorder?.onReady = { [weak recorder] record, revision in
            await desk.makeDefaults(of: record, revision: revision)
            let layout = RecordingLayout(room: record.status.roomID, recording: record.status.recordingID)
            await archive?.keep(layout)
            await recorder?.bucketAnswers(layout)
        }
        if let archive { recorder?.onErase = { layout in await archive.erase(layout) } }
        runner?.onReady = { job in await archive?.keep(RecordingLayout(room: job.room, recording: job.recording)) }
        archive?.start()
        metrics.archive = archive
        runner?.start()
        metrics.runner = runner
        let uploads = UploadDesk(context: context, objects: environment.objects)
        metrics.uploads = uploads
        let gateway = try Gateway(
            configuration: try GatewayConfiguration(environment), loop: environment.control, service: LocalConference(context: context, tokens: environment.store),
            composition: desk, uploads: uploads, operations: operations,
            store: environment.store, random: environment.random, hooks: metrics.hooks)
        metrics.gateway = gateway
        try await gateway.start()
        return RunningNode(context: context, operations: operations, sampler: sampler, watchdog: watchdog, media: media, recorder: recorder, runner: runner, archive: archive, uploads: uploads, disk: disk, gateway: gateway)
    }

    /// Those the topology sets aside for it; else all of the machine's, which live media takes from whenever it wants.
    private static func processors(_ environment: NodeEnvironment) -> Int {
        environment.node.pipelineCPUs.isEmpty ? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) : environment.node.pipelineCPUs.count
    }

    private static func cluster(_ environment: NodeEnvironment) throws -> ClusterConfiguration {
        let node = environment.node
        var peers: [NodeName: SocketAddress] = [:]
        for other in environment.topology.nodes where other.name != node.name {
            guard let address = other.linkAddress else {
                throw FileError("node `\(other.name)`: `host` must be a numeric address, so that other nodes find it without asking a name server")
            }
            peers[other.name] = address
        }
        var configuration = ClusterConfiguration(
            name: node.name, roles: Set(node.roles.map(\.rawValue)), region: node.region, bind: node.listenAddress(port: node.clusterPort), peers: peers,
            tls: TLSIdentity(environment.certificates))
        configuration.capacity = Double(node.capacity)
        // A room costs one unit: 100, the default, is 10,000 rooms.
        configuration.units = node.capacity * ClusterConfiguration.Limits.units / 100
        configuration.storePatience = Limits.storePatience
        configuration.tags = ["http": environment.topology.url(of: node)]
        configuration.advertised = node.linkAddress
        return configuration
    }

    /// SIGHUP: the certificates are read again and every link is made anew with them, one at a time.
    private static func reloadCertificates(_ environment: NodeEnvironment, _ system: ClusterSystem) {
        environment.control.spawn {
            do {
                let certificates = try ClusterKeys.certificates(of: environment.node.name, in: environment.topology)
                try await system.reload(tls: TLSIdentity(certificates))
                environment.log.info("certificates reloaded")
            } catch { environment.log.warning("certificates not reloaded; those in use stay", ["error": "\(error)"]) }
        }
    }
}

extension TLSIdentity {
    init(_ certificates: NodeCertificates) {
        self.init(
            certificate: String(decoding: certificates.certificate, as: UTF8.self), key: String(decoding: certificates.key, as: UTF8.self),
            authority: String(decoding: certificates.authority, as: UTF8.self))
    }
}

extension MemberEvent {
    /// What the log says of it: whom it is about, and what that node is now.
    fileprivate var told: (Member, String)? {
        switch self {
        case .up(let member), .changed(let member): (member, "\(member.state)")
        case .down(let member): (member, "down")
        case .condemned: nil
        }
    }
}

extension Topology {
    /// Where clients reach each edge.
    var edgeAddresses: [NodeName: String] {
        Dictionary(nodes.filter { $0.roles.contains(.edge) }.map { ($0.name, url(of: $0)) }, uniquingKeysWith: { $1 })
    }
}

/// What `Wiring` started; stops in the order that loses nothing.
private final class RunningNode: NodeService {
    private enum Limits {
        /// The store may take this long for the last events of the rooms hosted here.
        static let lastEvents = Duration.seconds(2)
    }
    private let context: ConferenceContext
    private let operations: ClusterOperations
    private let sampler: NodeSampler
    private let watchdog: MediaWatchdog
    private let media: [MediaLoop]
    private let recorder: Recorder?
    private let runner: JobRunner?
    private let archive: RecordingArchive?
    private let uploads: UploadDesk
    private let disk: DiskThread
    private let gateway: Gateway

    init(context: ConferenceContext, operations: ClusterOperations, sampler: NodeSampler, watchdog: MediaWatchdog, media: [MediaLoop], recorder: Recorder?, runner: JobRunner?, archive: RecordingArchive?, uploads: UploadDesk, disk: DiskThread, gateway: Gateway) {
        self.context = context; self.operations = operations; self.sampler = sampler; self.watchdog = watchdog; self.media = media; self.recorder = recorder; self.runner = runner; self.archive = archive; self.uploads = uploads; self.disk = disk; self.gateway = gateway
    }
    func drain(within deadline: Duration) async {
        let report = await operations.draining.run(within: deadline)
        context.log(.info, "drained", [
            "state": report.state.rawValue, "actors": "\(report.actors)", "actors_left": "\(report.actorsLeft)", "clients": "\(report.clients)", "moved": "\(report.moved)",
            "left": "\(report.left)", "cut": "\(report.cut)", "cut_unaware": "\(report.cutUnaware)",
        ])
    }
    func stop() async {
        sampler.stop()
        watchdog.stop()
        await runner?.stop()
        await context.edge.shutdown()
        await gateway.stop()
        let unwritten = await context.edge.settleLogs(within: Limits.lastEvents)
        if unwritten > 0 { context.log(.warning, "room_events_unwritten", ["rooms": "\(unwritten)"]) }
        for loop in media {
            await withCheckedContinuation { continuation in
                loop.loop.run {
                    loop.shutDown()
                    continuation.resume()
                }
            }
            loop.uvLoop.stop()
            loop.uvLoop.join()
        }
        recorder?.stop()
        archive?.stop()
        uploads.stop()
        disk.stop()
        await context.system.shutdown()
    }
}
