// What browsers record and upload: live WebM, cut, lost and damaged.
internal import Capture

extension FuzzTarget {
    /// The first byte says where chunks end and which are missing. What is kept lies in the input in order; joined again it is whole.
    static let webm = FuzzTarget("webm", longest: 8_192) {
        let head = hex("1a45dfa3 84 42868101 18538067 01ffffffffffffff 1549a966 87 2ad7b1 83 0f4240 1654ae6b 85 ae 83 d78101")
        func cluster(_ second: UInt8) -> [UInt8] {
            hex("1f43b675 01ffffffffffffff e7 82") + [second << 2, 0] + (0..<6 as Range<UInt8>).flatMap { hex("a3 8a 81 0000 80 010203040506") + [0xEC, 0x81, $0] }
        }
        let known = hex("1f43b675 94 bf8400000000 e78110 a3 89 81 0000 80 0102030405")
        return [[0] + head + cluster(0) + cluster(1) + cluster(2), [7] + head + cluster(0) + cluster(1) + cluster(2) + cluster(3), [0x93] + head + known + cluster(9)]
    } run: { bytes in
        guard let rule = bytes.first else { return }
        let input = Array(bytes.dropFirst()), length = 1 + Int(rule & 0x7F) * 3, isLossy = rule & 1 == 1
        var pieces: [ArraySlice<UInt8>?] = []
        for (number, from) in stride(from: 0, to: input.count, by: length).enumerated() {
            pieces.append(isLossy && number % 5 == 3 ? nil : input[from..<min(input.count, from + length)])
        }
        let joined = join(pieces)
        let added = pieces.compactMap { $0 }.flatMap { $0 }
        var out: [UInt8] = [], last: Int64 = 0
        for part in joined.parts {
            switch part {
            case .bytes(let range):
                check(range.lowerBound >= last && range.upperBound <= Int64(added.count) && !range.isEmpty, "parts are in order, each byte once")
                last = range.upperBound
                out += added[Int(range.lowerBound)..<Int(range.upperBound)]
            case .head(let bytes): out += bytes
            }
        }
        check(joined.kept <= joined.input && joined.input == Int64(added.count), "no more is kept than came")
        guard joined.failure == nil else { return }
        let again = join([out[...]])
        check(again.gaps.isEmpty && again.kept == Int64(out.count) && again.blocks == joined.blocks, "what was joined is whole")
    }
    private static func join(_ pieces: [ArraySlice<UInt8>?]) -> JoinedWebM {
        var joiner = WebMJoiner()
        for piece in pieces { if let piece { piece.withUnsafeBytes { joiner.add($0) } } else { joiner.gap() } }
        return joiner.finish()
    }
}
