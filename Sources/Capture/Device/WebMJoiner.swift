// From the chunks of one browser recording to one WebM file: docs/decisions/0038-browser-track-alignment.md.
//
// A live WebM file (RFC 9559 §24.2) is a head, Info, Tracks, and Clusters of unknown size, each with its own time:
//
//     EBML │ Segment(unknown) │ Info │ Tracks │ Cluster(unknown) │ Timestamp │ SimpleBlock … │ Cluster …
//
// It may be cut anywhere. Where bytes are missing, the element that was cut is left out, and reading goes on at the next Cluster.
import Primitives

/// What a joined file is made of: parts of the input in their order, and where something is missing.
package struct JoinedWebM: Equatable, Sendable {
    package enum Part: Equatable, Sendable {
        /// Bytes of the input, counted over everything `add` was given.
        case bytes(Range<Int64>)
        /// The head of a Segment or Cluster whose size was written and no longer holds.
        case head([UInt8])
    }
    /// Bytes were missing or damaged here. Times in µs of the file; nil where nothing stood before, or came after.
    package struct Gap: Equatable, Sendable {
        package var after: Int64?
        package var resumes: Int64?
    }
    package enum Failure: String, Equatable, Sendable {
        /// The first chunk is missing, or does not begin as WebM does.
        case noHead = "no_header"
        /// A head, and no block behind it.
        case noMedia = "no_media"
    }
    package var parts: [Part] = []
    package var gaps: [Gap] = []
    package var clusters = 0
    package var blocks = 0
    /// Bytes of the input.
    package var input: Int64 = 0
    /// Bytes that were kept.
    package var kept: Int64 = 0
    /// Bytes were left because a second file begins in the input, or because there are more parts than `Limits` allow.
    package var isCutShort = false
    package var failure: Failure?
}

/// Reads the chunks' bytes in order, in pieces of any size, and keeps no more of them than an element's head.
///
/// In: `add` for bytes, `gap` where a chunk is missing or was cut off. Out: `finish`. Pure. Trusts nothing it reads.
package struct WebMJoiner {
    package enum Limits {
        /// Bytes of one block: a picture of the best quality browsers record.
        package static let block: UInt64 = 32 << 20
        /// Bytes of the EBML head, Info and Tracks, each.
        package static let head: UInt64 = 1 << 20
        package static let parts = 200_000
        package static let gaps = 10_000
        /// Bytes from a Cluster's id to behind its Timestamp, with a CRC-32 between: what must be seen to believe in it.
        static let proof = EBMLHead.longest + 6 + 2 + 8
    }
    private enum Mode: Equatable {
        case elements
        /// To the end of an element's body; kept from `from` on.
        case skipping(to: Int64, from: Int64?, id: UInt32)
        case searching
        case over
    }
    private var out = JoinedWebM()
    private var mode = Mode.elements
    /// Input that is not decided yet, and where it begins.
    private var buffer: [UInt8] = []
    private var start: Int64 = 0
    private var cursor: Int64 = 0
    private var hasEBML = false, hasSegment = false, hasTracks = false
    /// ns of a tick of the file's times (RFC 9559 §5.1.2.9).
    private var scale: UInt64 = 1_000_000
    /// A Cluster's head that waits for its Timestamp.
    private var cluster: (range: Range<Int64>, isKnown: Bool)?
    private var isInCluster = false
    private var isLossy = false
    private var lastTicks: UInt64?

    package init() {}

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        out.input += Int64(bytes.count)
        if case .skipping(let end, _, _) = mode, end > out.input { (start, cursor) = (out.input, out.input); return }
        buffer.append(contentsOf: bytes)
        read(isEnd: false)
        let done = Int(min(Int64(buffer.count), cursor - start))
        buffer.removeFirst(done)
        start += Int64(done)
    }
    /// Bytes are missing between what was added and what will be.
    package mutating func gap() {
        guard mode != .over else { return }
        // Without its head the rest means nothing.
        guard hasTracks else { mode = .over; return }
        lose()
        buffer.removeAll()
        (start, cursor) = (out.input, out.input)
    }
    package mutating func finish() -> JoinedWebM {
        if mode != .over { read(isEnd: true) }
        if isLossy, out.clusters > 0 { note(resumes: nil) }
        if !hasTracks { out.failure = .noHead } else if out.blocks == 0 { out.failure = .noMedia }
        return out
    }

    // MARK: - Reading

    private var end: Int64 { start + Int64(buffer.count) }
    private var rest: ArraySlice<UInt8> { buffer[Int(cursor - start)...] }

    private mutating func read(isEnd: Bool) {
        while true {
            switch mode {
            case .over:
                cursor = end
                return
            case .skipping(let until, let from, let id):
                guard until <= end else { buffer.removeAll(); (start, cursor) = (out.input, out.input); return }
                cursor = until
                mode = .elements
                if id == EBMLID.tracks { hasTracks = true }
                if let from { keep(from..<until); out.blocks += isInCluster ? 1 : 0 }
            case .elements:
                guard cursor < end else { return }
                switch EBMLHead.parse(rest) {
                case .incomplete: return
                case .invalid: damage()
                case .head(let head): guard take(head) else { return }
                }
            case .searching:
                guard search(isEnd: isEnd) else { return }
            }
        }
    }
    /// - Returns: false when more bytes are needed.
    private mutating func take(_ head: EBMLHead) -> Bool {
        let body = cursor + Int64(head.length)
        switch head.id {
        case EBMLID.ebml where !hasEBML:
            guard let size = head.size, size <= Limits.head else { return giveUp() }
            hasEBML = true
            skip(head, size, keeping: true)
        case EBMLID.ebml where hasTracks, EBMLID.segment where hasSegment:
            // Another file begins: its times begin anew, and cannot be told from these.
            out.isCutShort = true
            return giveUp()
        case _ where !hasEBML: return giveUp()
        case EBMLID.segment:
            hasSegment = true
            keep(head, cursor..<body)
            cursor = body
        case _ where !hasSegment: return giveUp()
        case EBMLID.info where !hasTracks, EBMLID.tracks where !hasTracks:
            guard let size = head.size, size <= Limits.head else { return giveUp() }
            if head.id == EBMLID.info {
                guard end >= body + Int64(size) else { return false }
                readScale(buffer[Int(body - start)..<Int(body - start) + Int(size)])
            }
            skip(head, size, keeping: true)
        case _ where !hasTracks && !EBMLID.left.contains(head.id): return giveUp()
        case EBMLID.cluster:
            cluster = (cursor..<body, head.size != nil)
            isInCluster = false
            cursor = body
        case EBMLID.timestamp:
            guard cluster != nil || isInCluster, let size = head.size, (1...8).contains(size) else { damage(); return true }
            guard end >= body + Int64(size) else { return false }
            let ticks = buffer[Int(body - start)..<Int(body - start) + Int(size)].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
            begin(at: ticks, cursor..<(body + Int64(size)))
        case EBMLID.simpleBlock where isInCluster, EBMLID.blockGroup where isInCluster:
            guard let size = head.size, size <= Limits.block else { damage(); return true }
            skip(head, size, keeping: true)
        case EBMLID.info, EBMLID.tracks:
            guard let size = head.size, size <= Limits.head else { damage(); return true }
            skip(head, size, keeping: false)
        case let id where EBMLID.left.contains(id):
            guard let size = head.size, size <= Limits.block else { damage(); return true }
            skip(head, size, keeping: false)
        default: damage()
        }
        return true
    }
    private mutating func begin(at ticks: UInt64, _ range: Range<Int64>) {
        if let cluster {
            if cluster.isKnown { append(.head(EBMLHead.unknownSize(EBMLID.cluster))) } else { keep(cluster.range) }
            out.clusters += 1
            if isLossy { note(resumes: time(ticks)) }
            keep(range)
            lastTicks = ticks
        }
        (cluster, isInCluster) = (nil, true)
        cursor = range.upperBound
    }
    private mutating func skip(_ head: EBMLHead, _ size: UInt64, keeping: Bool) {
        mode = .skipping(to: cursor + Int64(head.length) + Int64(size), from: keeping ? cursor : nil, id: head.id)
    }
    private mutating func readScale(_ info: ArraySlice<UInt8>) {
        var left = info
        while case .head(let head) = EBMLHead.parse(left), let size = head.size, size <= UInt64(left.count - head.length) {
            let body = left.dropFirst(head.length)
            if head.id == EBMLID.timestampScale, (1...8).contains(size) {
                let value = body.prefix(Int(size)).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
                if (1...1_000_000_000).contains(value) { scale = value }
            }
            left = body.dropFirst(Int(size))
        }
    }

    // MARK: - Damage

    /// What begins at `cursor` is no element of a WebM file.
    private mutating func damage() {
        lose()
        cursor += 1
    }
    private mutating func lose() {
        (cluster, isInCluster, isLossy) = (nil, false, true)
        mode = .searching
        if out.gaps.count >= Limits.gaps { out.isCutShort = true; mode = .over }
    }
    /// Nothing more is taken.
    private mutating func giveUp() -> Bool {
        mode = .over
        return true
    }
    /// The next Cluster that has a Timestamp no earlier than the last.
    /// - Returns: false when more bytes are needed.
    private mutating func search(isEnd: Bool) -> Bool {
        while cursor < end {
            guard let found = rest.firstIndex(of: 0x1F) else { cursor = end; return false }
            cursor = start + Int64(found)
            guard isEnd || end - cursor >= Int64(Limits.proof) else { return false }
            if isCluster(rest.prefix(Limits.proof)) {
                mode = .elements
                return true
            }
            cursor += 1
        }
        return false
    }
    private func isCluster(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard bytes.starts(with: [0x1F, 0x43, 0xB6, 0x75]), case .head(let head) = EBMLHead.parse(bytes), head.id == EBMLID.cluster else { return false }
        var body = bytes.dropFirst(head.length)
        if case .head(let sum) = EBMLHead.parse(body), sum.id == EBMLID.crc, sum.size == 4 { body = body.dropFirst(sum.length + 4) }
        guard case .head(let first) = EBMLHead.parse(body), first.id == EBMLID.timestamp, let size = first.size, (1...8).contains(size), body.count >= first.length + Int(size) else { return false }
        let ticks = body.dropFirst(first.length).prefix(Int(size)).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        return ticks >= lastTicks ?? 0
    }

    // MARK: - Keeping

    private mutating func keep(_ head: EBMLHead, _ range: Range<Int64>) {
        if head.size == nil { keep(range) } else { append(.head(EBMLHead.unknownSize(head.id))) }
    }
    private mutating func keep(_ range: Range<Int64>) {
        if case .bytes(let last)? = out.parts.last, last.upperBound == range.lowerBound {
            out.parts[out.parts.count - 1] = .bytes(last.lowerBound..<range.upperBound)
            out.kept += range.upperBound - range.lowerBound
        } else {
            append(.bytes(range))
        }
    }
    private mutating func append(_ part: JoinedWebM.Part) {
        guard out.parts.count < Limits.parts else { out.isCutShort = true; mode = .over; return }
        if case .bytes(let range) = part { out.kept += range.upperBound - range.lowerBound }
        out.parts.append(part)
    }
    private mutating func note(resumes: Int64?) {
        isLossy = false
        out.gaps.append(JoinedWebM.Gap(after: lastTicks.map(time), resumes: resumes))
    }
    /// µs; what no recording can have is .max.
    private func time(_ ticks: UInt64) -> Int64 {
        let product = ticks.multipliedReportingOverflow(by: scale)
        return product.overflow ? .max : Int64(clamping: product.partialValue / 1_000)
    }
}
