import Primitives
import Testing
@testable import Capture

/// A live WebM file as browsers write it, element by element.
struct LiveWebM {
    var elements: [[UInt8]] = []
    static func element(_ id: [UInt8], _ body: [UInt8]) -> [UInt8] { id + [0x40 | UInt8(body.count >> 8), UInt8(body.count & 255)] + body }
    static let unknown: [UInt8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    static let ebml = element([0x1A, 0x45, 0xDF, 0xA3], [0x42, 0x82, 0x84, 0x77, 0x65, 0x62, 0x6D])
    static let segment: [UInt8] = [0x18, 0x53, 0x80, 0x67] + unknown
    static let info = element([0x15, 0x49, 0xA9, 0x66], [0x2A, 0xD7, 0xB1, 0x83, 0x0F, 0x42, 0x40])
    static let tracks = element([0x16, 0x54, 0xAE, 0x6B], [0xAE, 0x83, 0xD7, 0x81, 0x01])
    static let head = [ebml, segment, info, tracks]
    static func cluster(_ milliseconds: Int) -> [UInt8] {
        [0x1F, 0x43, 0xB6, 0x75] + unknown + [0xE7, 0x84] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: milliseconds >> $0) }
    }
    static func block(_ size: Int, _ fill: UInt8 = 7) -> [UInt8] { element([0xA3], [0x81, 0, 0, 0x80] + [UInt8](repeating: fill, count: size)) }

    /// `count` clusters a second apart, ten blocks each.
    init(clusters count: Int) {
        elements = Self.head
        for number in 0..<count {
            elements.append(Self.cluster(number * 1000))
            for block in 0..<10 { elements.append(Self.block(40 + block * 7, UInt8(number * 10 + block))) }
        }
    }
    var bytes: [UInt8] { elements.flatMap { $0 } }
    /// Where a cluster begins.
    func offset(ofCluster number: Int) -> Int { elements[..<(4 + number * 11)].reduce(0) { $0 + $1.count } }
}

/// Pieces to add; nil where bytes are missing.
func join(_ pieces: [[UInt8]?]) -> JoinedWebM {
    var joiner = WebMJoiner()
    for piece in pieces { if let piece { piece.withUnsafeBytes { joiner.add($0) } } else { joiner.gap() } }
    return joiner.finish()
}
func written(_ joined: JoinedWebM, of input: [UInt8]) -> [UInt8] {
    joined.parts.flatMap { part -> [UInt8] in
        switch part {
        case .bytes(let range): Array(input[Int(range.lowerBound)..<Int(range.upperBound)])
        case .head(let bytes): bytes
        }
    }
}

@Suite struct JoinerTests {
    private let file = LiveWebM(clusters: 5)

    @Test(arguments: [1, 2, 3, 7, 64, 1_000, 100_000]) func wholeChunksAreTheFile(size: Int) {
        let bytes = file.bytes
        let joined = join(stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min(bytes.count, $0 + size)]) })
        #expect(joined.parts == [.bytes(0..<Int64(bytes.count))] && joined.gaps.isEmpty && joined.failure == nil)
        #expect(joined.clusters == 5 && joined.blocks == 50 && joined.kept == joined.input)
    }
    @Test func afterAMissingChunkTheNextClusterCounts() {
        let bytes = file.bytes, from = file.offset(ofCluster: 1) + 300, to = file.offset(ofCluster: 2) + 55
        let before = Array(bytes[..<from]), after = Array(bytes[to...])
        let joined = join([before, nil, after])
        // The cut block goes, the rest of cluster 2 goes, cluster 3 is there.
        #expect(joined.clusters == 4 && joined.gaps == [.init(after: 1_000_000, resumes: 3_000_000)])
        let out = written(joined, of: before + after)
        #expect(out.suffix(bytes.count - file.offset(ofCluster: 3)) == bytes[file.offset(ofCluster: 3)...])
        #expect(out.count < from + bytes.count - file.offset(ofCluster: 3) && joined.blocks > 30 && joined.blocks < 38)
    }
    @Test func aCutOffEndAndAMissingEndAreGaps() {
        let bytes = file.bytes
        let joined = join([Array(bytes[..<(bytes.count - 20)]), nil])
        #expect(joined.blocks == 49 && joined.gaps == [.init(after: 4_000_000, resumes: nil)])
        #expect(join([Array(bytes[..<(bytes.count - 20)])]).blocks == 49)
    }
    @Test func withoutAHeadThereIsNothing() {
        let bytes = file.bytes
        #expect(join([nil, bytes]).failure == .noHead && join([Array(bytes[100...])]).failure == .noHead && join([]).failure == .noHead)
        #expect(join([Array(bytes[..<(LiveWebM.head.flatMap { $0 }.count - 2)]), nil, Array(bytes[80...])]).failure == .noHead)
        #expect(join([LiveWebM.head.flatMap { $0 }]).failure == .noMedia)
        #expect(join([(0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }]).failure == .noHead)
    }
    @Test func sizesThatWereWrittenAreUnknownAfterwards() {
        var bytes = LiveWebM.ebml + [0x18, 0x53, 0x80, 0x67, 0x01, 0, 0, 0, 0, 0, 0x7F, 0xFF] + LiveWebM.info + LiveWebM.tracks
        let body = Array(LiveWebM.cluster(0).dropFirst(12)) + LiveWebM.block(30) + LiveWebM.block(30)
        bytes += LiveWebM.element([0x1F, 0x43, 0xB6, 0x75], body)
        bytes += LiveWebM.element([0x1C, 0x53, 0xBB, 0x6B], [1, 2, 3])
        let joined = join([bytes])
        #expect(written(joined, of: bytes) == LiveWebM.head.flatMap { $0 } + LiveWebM.cluster(0) + LiveWebM.block(30) + LiveWebM.block(30))
    }
    /// The four bytes of a Cluster's id inside a picture are no Cluster; neither is one from before the gap.
    @Test func aClusterMustProveItself() {
        var late = LiveWebM(clusters: 3)
        late.elements[4 + 11 + 3] = LiveWebM.element([0xA3], [0x81, 0, 0, 0] + [0x1F, 0x43, 0xB6, 0x75, 0x81, 0x22, 0x1F, 0x43, 0xB6, 0x75, 0xFF, 0xE7, 0x89] + LiveWebM.cluster(0))
        let bytes = late.bytes, from = late.offset(ofCluster: 1) + 40
        let joined = join([Array(bytes[..<from]), nil, Array(bytes[(from + 5)...])])
        #expect(joined.gaps == [.init(after: 1_000_000, resumes: 2_000_000)] && joined.clusters == 3)
    }
    @Test func aSecondFileIsNotAppended() {
        let bytes = file.bytes + LiveWebM(clusters: 1).bytes
        let joined = join([bytes])
        #expect(joined.isCutShort && joined.clusters == 5 && joined.kept == Int64(file.bytes.count))
    }
    @Test func timesHaveTheFilesScale() {
        var slow = file
        slow.elements[2] = LiveWebM.element([0x15, 0x49, 0xA9, 0x66], [0x4D, 0x80, 0x81, 0x61, 0x2A, 0xD7, 0xB1, 0x83, 0x1E, 0x84, 0x80])   // 2 ms
        let bytes = slow.bytes, from = slow.offset(ofCluster: 2) - 10
        #expect(join([Array(bytes[..<from]), nil, Array(bytes[(from + 3)...])]).gaps == [.init(after: 2_000_000, resumes: 4_000_000)])
    }

    /// Whatever is cut, lost or damaged: what comes out is whole, in order, and the same however the bytes were handed over.
    @Test(arguments: 0..<60 as Range<UInt64>) func whatComesOutIsWhole(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func number(_ below: Int) -> Int { Int(random.next() % UInt64(below)) }
        var bytes = LiveWebM(clusters: 12).bytes
        for _ in 0..<number(6) { bytes[number(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
        var pieces: [[UInt8]?] = [], at = 0
        while at < bytes.count {
            let length = min(bytes.count - at, 1 + number(900))
            switch number(10) {
            case 0: pieces.append(nil)
            case 1: pieces += [Array(bytes[at..<(at + length / 2)]), nil]
            default: pieces.append(Array(bytes[at..<(at + length)]))
            }
            at += length
        }
        let input = pieces.compactMap { $0 }.flatMap { $0 }, joined = join(pieces), out = written(joined, of: input)
        let ranges = joined.parts.compactMap { if case .bytes(let range) = $0 { range } else { nil } }
        #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound } && (ranges.last?.upperBound ?? 0) <= joined.input)
        #expect(joined.input == Int64(input.count) && joined.kept == ranges.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
        let split = pieces.flatMap { piece -> [[UInt8]?] in
            guard let piece else { return [nil] }
            return stride(from: 0, to: piece.count, by: 13).map { Array(piece[$0..<min(piece.count, $0 + 13)]) }
        }
        #expect(join(split) == joined)
        guard joined.failure == nil else { return }
        let again = join([out])
        #expect(again.parts == [.bytes(0..<Int64(out.count))] && again.gaps.isEmpty && again.blocks == joined.blocks && again.clusters == joined.clusters)
    }
}
