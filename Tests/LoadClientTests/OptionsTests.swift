// The command line, and numbers read from outside.
import Testing
@testable import LoadClient

@Suite struct OptionsTests {
    private func parse(_ line: String) throws -> Options {
        guard case .run(let options) = try Options.parse(line.split(separator: " ").map(String.init)) else { throw UsageError("help") }
        return options
    }

    @Test func defaultsAreOnePublisherAndOneSubscriber() throws {
        let options = try parse("--url https://127.0.0.1:8443 --create")
        #expect(options.publishers == 1 && options.subscribers == 1 && options.createTitle == "Load")
        #expect(options.material == .synthetic(audio: AudioShape(rate: 50, size: 160), video: VideoShape(framesPerSecond: 25, packetsPerFrame: 4, size: 1100)))
    }
    @Test func everythingIsRead() throws {
        let options = try parse("--url https://a:1 --url http://b --publish-url https://[::1]:9 --room XYZ --publish 2 --subscribe 30 --duration 2.5 --video 30x8x1200 --json --quiet --ca f")
        #expect(options.urls.map(\.description) == ["https://a:1", "http://b:80"] && options.publishURL?.host == "::1")
        #expect(options.publishURL?.isNumeric == true && options.urls[0].isNumeric == false)
        #expect(options.room == "XYZ" && options.publishers == 2 && options.subscribers == 30 && options.seconds == 2.5 && options.json && options.quiet && options.authority == "f")
        #expect(options.material == .synthetic(audio: nil, video: VideoShape(framesPerSecond: 30, packetsPerFrame: 8, size: 1200)))
    }
    @Test func helpWinsOverMistakes() throws { #expect(try Options.parse(["--nonsense", "--help"]) == .help) }

    @Test(arguments: [
        ("", "give at least one --url"), ("--url https://a:1", "either --room"), ("--url https://a:1 --room x --create y", "either --room"),
        ("--url ftp://a --create", "--url takes"), ("--url https://a:70000 --create", "--url takes"), ("--url https://a:1/path --create", "--url takes"),
        ("--url https://a:1 --create --nonsense", "no option `--nonsense`"), ("--url https://a:1 --create --publish -1", "--publish takes"),
        ("--url https://a:1 --create --publish 0 --subscribe 0", "nobody would join"), ("--url https://a:1 --room x --record", "--record needs --create"),
        ("--url https://a:1 --create --duration 0", "--duration takes"), ("--url https://a:1 --create --duration nan", "--duration takes"),
        ("--url https://a:1 --create --audio 50", "--audio takes"), ("--url https://a:1 --create --audio 50/1300", "--audio takes"),
        ("--url https://a:1 --create --video 25x0x100", "--video takes"), ("--url https://a:1 --create --beep-flash --audio 50/160", "give one of"),
        ("--url", "--url needs a value"), ("--url https://a:1 --create --publish 600 --subscribe 600", "at most"),
    ])
    func mistakesAreNamed(line: String, part: String) {
        #expect { try parse(line) } throws: { "\($0)".contains(part) }
    }

    @Test(arguments: [
        ("7 (troupe) S 1 7 7 0 -1 4194304 1 2 3 4 50 8 0 0 20", 58), ("7 (a b) c) S 1 7 7 0 -1 4194304 1 2 3 4 1 2 0 0", 3), ("7 troupe", nil), ("7 (x) S 1", nil), ("", nil),
    ] as [(String, UInt64?)])
    func cpuTimeIsReadFromStat(text: String, ticks: UInt64?) { #expect(ProcessTime.ticks(inStat: text) == ticks) }
}
