// The command line of `troupe-load`.
internal import Primitives

struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Where a node listens.
struct NodeURL: Equatable, Sendable, CustomStringConvertible {
    let isSecure: Bool
    let host: String
    let port: UInt16
    /// `https://host:port`; a path is not part of it.
    init?(_ text: String) {
        let rest: Substring
        if text.hasPrefix("https://") { (isSecure, rest) = (true, text.dropFirst(8)) } else if text.hasPrefix("http://") { (isSecure, rest) = (false, text.dropFirst(7)) } else { return nil }
        let authority = rest.last == "/" ? rest.dropLast() : rest
        guard !authority.isEmpty, !authority.contains("/") else { return nil }
        var name = authority, number = isSecure ? UInt16(443) : 80
        if let colon = authority.lastIndex(of: ":"), authority.last != "]" {
            guard let port = UInt16(authority[authority.index(after: colon)...]), port > 0 else { return nil }
            (name, number) = (authority[..<colon], port)
        }
        if name.first == "[", name.last == "]" { name = name.dropFirst().dropLast() }
        guard !name.isEmpty else { return nil }
        (host, port) = (String(name), number)
    }
    /// Where a WebSocket address leads: `wss://host:port/…`.
    init?(webSocket text: String) {
        guard let scheme = ["wss://": "https://", "ws://": "http://"].first(where: { text.hasPrefix($0.key) }) else { return nil }
        self.init(scheme.value + text.dropFirst(scheme.key.count).prefix { $0 != "/" })
    }
    /// The host is an address, not a name.
    var isNumeric: Bool { SocketAddress(host: host, port: port) != nil }
    var description: String { "\(isSecure ? "https" : "http")://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

/// What publishers send.
enum Material: Equatable, Sendable {
    case synthetic(audio: AudioShape?, video: VideoShape?)
    case beepFlash
    case files(ivf: String?, ogg: String?)
}
struct AudioShape: Equatable, Sendable {
    /// Packets a second, bytes of each payload.
    var rate: Int
    var size: Int
}
struct VideoShape: Equatable, Sendable {
    /// Frames a second, packets of a frame, bytes of each payload.
    var framesPerSecond: Int
    var packetsPerFrame: Int
    var size: Int
}

struct Options: Equatable, Sendable {
    enum Limits {
        static let clients = 1000
        static let seconds = 86_400.0
        static let packetBytes = 32...1200          // a stamp and a descriptor fit; header and SRTP tag still leave a datagram whole
        static let packetsPerSecond = 1...1000
        static let packetsPerFrame = 1...200
    }
    var urls: [NodeURL] = []
    /// Where publishers go, instead of taking their turn.
    var publishURL: NodeURL?
    var room: String?
    var createTitle: String?
    var publishers = 1
    var subscribers = 1
    var seconds = 10.0
    var material = Material.synthetic(audio: AudioShape(rate: 50, size: 160), video: VideoShape(framesPerSecond: 25, packetsPerFrame: 4, size: 1100))
    var records = false
    /// Clients come back at another node when theirs goes, and move when told to.
    var resumes = true
    var json = false
    var quiet = false
    var authority: String?
    var insecure = false
    /// A numeric address clients send from.
    var bind = "0.0.0.0"
    /// Writes the host's credentials of a created room there.
    var hostFile: String?
    /// A process of this machine whose CPU time is read at both ends of the measured time.
    var watchedProcess: Int32?

    enum Request: Equatable { case help, run(Options) }

    static func parse(_ arguments: [String]) throws(UsageError) -> Request {
        var reader = ArgumentReader(arguments)
        if arguments.contains("--help") || arguments.contains("-h") { return .help }
        var options = Options()
        var audio: AudioShape?, video: VideoShape?, ivf: String?, ogg: String?, beepFlash = false
        while let name = reader.next() {
            switch name {
            case "--url": options.urls.append(try reader.url(name))
            case "--publish-url": options.publishURL = try reader.url(name)
            case "--room": options.room = try reader.value(name)
            case "--create": options.createTitle = reader.optionalValue() ?? "Load"
            case "--publish": options.publishers = try reader.integer(name, in: 0...Limits.clients)
            case "--subscribe": options.subscribers = try reader.integer(name, in: 0...Limits.clients)
            case "--duration": options.seconds = try reader.seconds(name)
            case "--audio": audio = try audioShape(try reader.value(name))
            case "--video": video = try videoShape(try reader.value(name))
            case "--beep-flash": beepFlash = true
            case "--ivf": ivf = try reader.value(name)
            case "--ogg": ogg = try reader.value(name)
            case "--record": options.records = true
            case "--resume": options.resumes = true
            case "--no-resume": options.resumes = false
            case "--json": options.json = true
            case "--quiet": options.quiet = true
            case "--ca": options.authority = try reader.value(name)
            case "--insecure": options.insecure = true
            case "--bind": options.bind = try reader.value(name)
            case "--host-file": options.hostFile = try reader.value(name)
            case "--watch-pid": options.watchedProcess = Int32(try reader.integer(name, in: 1...Int(Int32.max)))
            default: throw UsageError("there is no option `\(name)`; see troupe-load --help")
            }
        }
        let kinds = [beepFlash, ivf != nil || ogg != nil, audio != nil || video != nil]
        guard kinds.filter({ $0 }).count <= 1 else { throw UsageError("give one of --beep-flash, --ivf/--ogg and --audio/--video") }
        if beepFlash { options.material = .beepFlash }
        if ivf != nil || ogg != nil { options.material = .files(ivf: ivf, ogg: ogg) }
        if audio != nil || video != nil { options.material = .synthetic(audio: audio, video: video) }
        try options.check()
        return .run(options)
    }

    private func check() throws(UsageError) {
        guard !urls.isEmpty else { throw UsageError("give at least one --url, such as https://127.0.0.1:8443") }
        guard (room == nil) != (createTitle == nil) else { throw UsageError("give either --room with an id or code, or --create") }
        guard publishers + subscribers > 0 else { throw UsageError("--publish and --subscribe are both 0: nobody would join") }
        guard publishers + subscribers <= Limits.clients else { throw UsageError("at most \(Limits.clients) clients in one process; start several") }
        guard !records || createTitle != nil else { throw UsageError("--record needs --create: only a room's host records it") }
        guard !records || publishers > 0 else { throw UsageError("--record needs a publisher: the first one is the host") }
        guard hostFile == nil || createTitle != nil else { throw UsageError("--host-file needs --create") }
        guard SocketAddress(host: bind, port: 0) != nil else { throw UsageError("--bind takes a numeric address") }
    }

    /// `RATE/SIZE`.
    private static func audioShape(_ text: String) throws(UsageError) -> AudioShape {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let rate = parts[0], let size = parts[1], Limits.packetsPerSecond.contains(rate), Limits.packetBytes.contains(size) else {
            throw UsageError("--audio takes RATE/SIZE, such as 50/160; rate \(Limits.packetsPerSecond), size \(Limits.packetBytes)")
        }
        return AudioShape(rate: rate, size: size)
    }
    /// `FPSxPACKETSxSIZE`.
    private static func videoShape(_ text: String) throws(UsageError) -> VideoShape {
        let parts = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 3, let rate = parts[0], let packets = parts[1], let size = parts[2], Limits.packetsPerSecond.contains(rate),
            Limits.packetsPerFrame.contains(packets), Limits.packetBytes.contains(size)
        else { throw UsageError("--video takes FPSxPACKETSxSIZE, such as 25x4x1100; packets \(Limits.packetsPerFrame), size \(Limits.packetBytes)") }
        return VideoShape(framesPerSecond: rate, packetsPerFrame: packets, size: size)
    }

    static let usage = """
        troupe-load: headless clients that publish and receive, and count what arrives.

          troupe-load --url URL [--url URL …] (--room ID|CODE | --create [TITLE]) [options]

        Who
          --url URL            a node; clients take the nodes in turn
          --publish-url URL    where publishers go instead
          --publish N          clients that send (1)         --subscribe N     clients that only receive (1)
          --ca FILE            the cluster's CA certificate  --insecure        believe any certificate
          --bind ADDRESS       send media from this address (0.0.0.0)
        What
          --audio RATE/SIZE    synthetic Opus, packets a second and bytes: 50/160
          --video FPSxPACKETSxSIZE   synthetic VP8: 25x4x1100
          --beep-flash         a tone and a white picture together, once a second
          --ivf FILE --ogg FILE      VP8 and Opus encoded before
          --duration SECONDS   measured time, once everybody receives (10)
          --no-resume          do not come back at another node when one's own goes (--resume is the default)
          --record             record the created room meanwhile, wait for the recording to be finished
        Report
          --json               one JSON object on standard output   --quiet   no progress on standard error
          --host-file FILE     keep the created room's id and host token there (mode 0600)
          --watch-pid PID      CPU time of a server process during the measured time
        Exit status: 0 done, 1 someone did not connect or nothing arrived, 2 wrong command line.

        """
}

private struct ArgumentReader {
    private let arguments: [String]
    private var position = 0
    init(_ arguments: [String]) { self.arguments = arguments }
    mutating func next() -> String? {
        guard position < arguments.count else { return nil }
        defer { position += 1 }
        return arguments[position]
    }
    mutating func optionalValue() -> String? { position < arguments.count && !arguments[position].hasPrefix("--") ? next() : nil }
    mutating func value(_ name: String) throws(UsageError) -> String {
        guard let value = next() else { throw UsageError("\(name) needs a value") }
        return value
    }
    mutating func url(_ name: String) throws(UsageError) -> NodeURL {
        let text = try value(name)
        guard let url = NodeURL(text) else { throw UsageError("\(name) takes https://HOST:PORT, not `\(text)`") }
        return url
    }
    mutating func integer(_ name: String, in range: ClosedRange<Int>) throws(UsageError) -> Int {
        guard let number = Int(try value(name)), range.contains(number) else { throw UsageError("\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }
    mutating func seconds(_ name: String) throws(UsageError) -> Double {
        guard let number = Double(try value(name)), number > 0, number <= Options.Limits.seconds else { throw UsageError("\(name) takes seconds, more than 0") }
        return number
    }
}
