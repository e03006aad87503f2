// What a node tells of itself: readiness and Prometheus text.
internal import Cluster
internal import Conference
internal import Configuration
internal import EventLoop
internal import Gateway
internal import ObjectStorage
internal import Primitives
internal import Transport

/// Confined to the control loop.
final class NodeMetrics: @unchecked Sendable {
    private let environment: NodeEnvironment
    private let system: ClusterSystem
    private let edge: Edge
    private let media: [MediaLoop]
    private let planes: [MediaPlane]
    private let recorder: Recorder?
    /// Set once, before the first request can come.
    var gateway: Gateway?
    /// Of a compositor.
    weak var runner: JobRunner?
    /// Where there is a bucket.
    weak var archive: RecordingArchive?
    weak var uploads: UploadDesk?

    init(environment: NodeEnvironment, system: ClusterSystem, edge: Edge, media: [MediaLoop], planes: [MediaPlane], recorder: Recorder?) {
        self.environment = environment; self.system = system; self.edge = edge; self.media = media; self.planes = planes; self.recorder = recorder
    }

    var hooks: GatewayHooks {
        let log = environment.log
        return GatewayHooks(
            ready: { [edge] in edge.drainProgress == nil ? .init(isReady: true) : .init(isReady: false, reason: "the node is being emptied; use another") }, metrics: { [self] in await text() },
            log: { line in log.write(LogLevel(rawValue: line.level.rawValue) ?? .info, line.message, line.fields.sorted { $0.key < $1.key }) })
    }

    private func addLinks(to text: inout MetricsText) async {
        let links = await system.linkReports(), counters = system.counters()
        func add(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: (LinkReport) -> Double?) {
            text.add(name, kind, help, links.compactMap { link in value(link).map { .init(["peer": link.peer.rawValue], $0) } })
        }
        add("troupe_link_bytes_sent_total", .counter, "Bytes on the link to a peer.") { Double($0.bytesSent) }
        add("troupe_link_bytes_received_total", .counter, "Bytes from a peer.") { Double($0.bytesReceived) }
        add("troupe_link_queue_bytes", .gauge, "Bytes that wait to leave.") { Double($0.queueBytes) }
        add("troupe_link_calls_in_flight", .gauge, "Calls that wait for a peer's answer.") { Double($0.callsInFlight) }
        add("troupe_link_round_trip_seconds", .gauge, "Median round trip of the last pings.") { $0.medianRoundTrip?.inSeconds }
        add("troupe_link_clock_offset_seconds", .gauge, "A peer's wall clock minus this node's.") { $0.clockOffset?.inSeconds }
        add("troupe_link_reconnects_total", .counter, "Links to a peer before this one.") { Double($0.reconnects) }
        text.add("troupe_links_lost_total", .counter, "Links that ended.", Double(counters.linksLost))
        text.add("troupe_connections_refused_total", .counter, "Connections that did not become links.", Double(counters.connectionsRefused))
        text.add("troupe_members_suspected_total", .counter, "Times a member became suspect.", Double(counters.suspicions))
        text.add("troupe_members_down_total", .counter, "Lives of nodes that ended.", Double(counters.membersDown))
        text.add("troupe_complaints_total", .counter, "Times a peer was told of because it answered pings and no call.", Double(counters.complaints))
        text.add("troupe_condemned_total", .counter, "Times the others declared this node down.", Double(counters.condemned))
        text.add("troupe_calls_shed_total", .counter, "Calls refused because a queue was full.", [
            .init(["side": "caller"], Double(counters.callsShed)), .init(["side": "callee"], Double(counters.peerCallsShed)),
        ])
    }
    private func text() async -> String {
        var text = MetricsText()
        ProcessMetrics.add(to: &text, version: Release.version, startedAt: Double(environment.startedAt.microseconds) / 1e6)
        text.add("troupe_participants", .gauge, "Participants attached to this node.", Double(edge.participantCount))
        text.add("troupe_rooms", .gauge, "Rooms with a Router on this node.", Double(edge.roomCount))
        text.add("troupe_members", .gauge, "Nodes this node sees up, itself among them.", Double(system.members().count))
        await addLinks(to: &text)
        addUploads(to: &text)
        addBucket(to: &text)
        var counters: [(loop: String, TransportCounters)] = []
        for (index, loop) in media.enumerated() { counters.append((String(index), await loop.snapshot())) }
        func add(_ name: String, _ help: String, _ value: (TransportCounters) -> UInt64) {
            text.add(name, .counter, help, counters.map { .init(["loop": $0.loop], Double(value($0.1))) })
        }
        add("troupe_media_datagrams_received_total", "Datagrams on media ports.") { $0.datagramsIn }
        add("troupe_media_datagrams_sent_total", "Datagrams to peers.") { $0.datagramsOut }
        add("troupe_media_bytes_received_total", "Bytes on media ports.") { $0.bytesIn }
        add("troupe_media_bytes_sent_total", "Bytes to peers.") { $0.bytesOut }
        add("troupe_pipe_packets_received_total", "Packets from other nodes' media loops.") { $0.pipePacketsIn }
        add("troupe_pipe_packets_sent_total", "Packets to other nodes' media loops.") { $0.pipePacketsOut }
        add("troupe_pipe_bytes_received_total", "Bytes from other nodes' media loops.") { $0.pipeBytesIn }
        add("troupe_pipe_bytes_sent_total", "Bytes to other nodes' media loops.") { $0.pipeBytesOut }
        add("troupe_tap_packets_total", "Packets handed to journals.") { $0.tapPackets }
        text.add("troupe_media_dropped_total", .counter, "Datagrams and packets dropped, by reason.", counters.flatMap { loop, counters in
            TransportDrop.allCases.map { .init(["loop": loop, "reason": "\($0)"], Double(counters.drops($0))) }
        })
        await addHandover(to: &text)
        addEvents(to: &text)
        if let journals = recorder?.journals.snapshot {
            text.add("troupe_journal_packets_total", .counter, "Packets written to journals.", Double(journals.packets))
            text.add("troupe_journal_bytes_total", .counter, "Bytes written to journals.", Double(journals.bytes))
            text.add("troupe_journal_lost_total", .counter, "Packets lost before a journal, by cause.", [
                .init(["cause": "ring_full"], Double(journals.ringFull)), .init(["cause": "disk"], Double(journals.lost)),
            ])
            text.add("troupe_journal_open_tracks", .gauge, "Tracks being captured.", Double(journals.openTracks))
        }
        addStoring(to: &text)
        if let removals = recorder?.removals {
            text.add("troupe_recordings_deleted_total", .counter, "Recordings deleted here, by cause.", Recorder.Removals.causes.map { .init(["cause": $0], Double(removals.recordings[$0] ?? 0)) })
            text.add("troupe_recordings_deleted_objects_total", .counter, "Files removed with them.", Double(removals.objects))
            text.add("troupe_recordings_deleted_bytes_total", .counter, "Bytes of these files.", Double(removals.bytes))
            text.add("troupe_recordings_deletion_pending_total", .counter, "Attempts at which the bucket did not answer; they are repeated.", Double(removals.pending))
        }
        if let jobs = runner?.counters {
            text.add("troupe_jobs_started_total", .counter, "Attempts at jobs begun here.", Double(jobs.started))
            text.add("troupe_jobs_ended_total", .counter, "Attempts that ended, by outcome.", [
                .init(["outcome": "ready"], Double(jobs.ready)), .init(["outcome": "failed"], Double(jobs.failed)), .init(["outcome": "stopped"], Double(jobs.stopped)),
            ])
            text.add("troupe_jobs_running", .gauge, "Jobs under work here.", Double(jobs.running))
        }
        if let gateway { text.append(gateway.metrics()) }
        return text.text
    }
    private func addStoring(to text: inout MetricsText) {
        guard let storing = recorder?.uploader?.counters else { return }
        text.add("troupe_storing_files_total", .counter, "Journal files brought to a store and read back there.", Double(storing.stored))
        text.add("troupe_storing_bytes_total", .counter, "Bytes of these files.", Double(storing.bytes))
        text.add("troupe_storing_failures_total", .counter, "Attempts that failed, by cause; they are repeated.", UploadPlan.Cause.allCases.map {
            .init(["cause": $0.rawValue], Double(storing.failures[$0.rawValue] ?? 0))
        })
        text.add("troupe_storing_waiting", .gauge, "Files that a store still lacks.", Double(storing.waiting))
        text.add("troupe_storing_deferred_total", .counter, "Files beyond those kept in mind; they are stored when the node starts again.", Double(storing.deferred))
        text.add("troupe_storing_removed_total", .counter, "Local copies removed, by why.", [
            .init(["why": "stored"], Double(storing.removed)), .init(["why": "disk_full"], Double(storing.shed)),
        ])
    }
    private func addEvents(to text: inout MetricsText) {
        let logs = edge.logCounters
        text.add("troupe_room_events_dropped_total", .counter, "Room events given up unwritten because the store was away too long.", Double(logs.dropped))
        text.add("troupe_room_events_lost_entries_total", .counter, "events_lost entries for what earlier epochs or the store have lost.", Double(logs.losses))
        text.add("troupe_room_event_batches_total", .counter, "Batches of room events given to the store.", Double(logs.batches))
        text.add("troupe_room_event_batches_failed_total", .counter, "Those it did not take.", Double(logs.failures))
    }
    private func addUploads(to text: inout MetricsText) {
        guard let counts = uploads?.counters else { return }
        text.add("troupe_uploads_refused_total", .counter, "Chunks of browsers' own recordings refused as too much of one participant's.", [
            .init(["why": "under_way"], Double(counts.underWay)), .init(["why": "open"], Double(counts.open)),
        ])
    }
    private func addBucket(to text: inout MetricsText) {
        guard let counts = environment.bucket?.counts else { return }
        if let kept = archive?.counters {
            text.add("troupe_archive_total", .counter, "Recordings copied to the bucket, erased there, or given up.", [
                .init(["outcome": "kept"], Double(kept.kept)), .init(["outcome": "erased"], Double(kept.erased)), .init(["outcome": "failed"], Double(kept.failed)),
            ])
        }
        text.add("troupe_bucket_requests_total", .counter, "Requests to the S3 server, repeated ones included.", Double(counts.requests))
        text.add("troupe_bucket_retries_total", .counter, "Those that were sent again.", Double(counts.retries))
        text.add("troupe_bucket_failures_total", .counter, "Calls that failed after all.", Double(counts.failures))
        text.add("troupe_bucket_sent_bytes_total", .counter, "Bytes of bodies sent to the S3 server.", Double(counts.bytesSent))
        text.add("troupe_bucket_received_bytes_total", .counter, "Bytes of bodies that came from it.", Double(counts.bytesReceived))
        text.add("troupe_bucket_aborted_uploads_total", .counter, "Uploads in parts that were begun and given up.", Double(counts.abortedUploads))
    }
    private func addHandover(to text: inout MetricsText) async {
        var switches: [(loop: String, SourceSwitches)] = []
        for plane in planes { switches.append((String(plane.index), await plane.sourceSwitches())) }
        func add(_ name: String, _ help: String, _ value: (SourceSwitches) -> UInt64) {
            text.add(name, .counter, help, switches.map { .init(["loop": $0.loop], Double(value($0.1))) })
        }
        add("troupe_source_switches_total", "Outbound streams that went over to another source of their track.") { $0.done }
        add("troupe_source_switches_after_silence_total", "Those whose source had fallen silent before.") { $0.afterSilence }
        add("troupe_frames_lost_at_switch_total", "Frames between the last of a source that still sent and the first of the next.") { $0.framesLost }
        let drain = edge.drainProgress ?? DrainProgress()
        let states: [(String, Int)] = [
            ("all", drain.clients), ("told", drain.told), ("moved", drain.moved), ("left", drain.left), ("cut", drain.cut), ("cut_unaware", drain.cutUnaware),
        ]
        text.add("troupe_drain_clients", .gauge, "Clients of a node that is being emptied, by what became of them.", states.map { .init(["state": $0.0], Double($0.1)) })
    }
}

extension GatewayConfiguration {
    init(_ environment: NodeEnvironment) throws(FileError) {
        let topology = environment.topology, node = environment.node
        self.init(
            node: node.name, region: node.region, roles: node.roles.map(\.rawValue).sorted(), version: Release.version,
            bind: node.listenAddress(port: node.httpPort) ?? SocketAddress(ipv4: 0x7F00_0001, port: node.httpPort),
            tls: environment.httpsFiles.map { TLSFiles(certificate: $0.certificate, privateKey: $0.key) }, publicURL: topology.publicURL, origins: topology.allowedOrigins,
            keys: environment.keys.keys.map { APIKey(id: $0.id, secret: $0.secret) }, studioDirectory: ProgramFolder.studio(topology.studioFolder),
            mediaDirectory: topology.storageFolder, iceServers: try Self.iceServers(topology))
    }
}

extension GatewayConfiguration {
    private static func iceServers(_ topology: Topology) throws(FileError) -> [TURNService] {
        var services: [TURNService] = []
        for server in topology.turn {
            guard let secret = try PrivateFile.read(server.secretFile) else {
                throw FileError("\(server.secretFile) is missing: it holds the secret shared with the TURN server (coturn: `static-auth-secret`)")
            }
            services.append(TURNService(urls: server.urls, secret: Array(secret.prefix { $0 != 0x0A && $0 != 0x0D })))
        }
        return services
    }
}

extension LogLevel {
    init(_ level: Conference.LogLevel) { self = LogLevel(rawValue: level.rawValue) ?? .info }
}
