import Primitives
import Testing

@testable import Capture

@Suite struct UploadIndexTests {
    static func upload(_ name: String = "a", _ kind: UploadKind = .camera, first: Int = 0, type: String = "video/webm") -> UploadIndex.Upload {
        .init(kind: kind, upload: name, firstSequence: first, mediaType: type, startedAt: 1_700_000_000_000_000, offsetUncertainty: 500, clock: "n1")
    }
    static func chunk(_ sequence: Int, bytes: Int64 = 10, _ digit: Character = "0") -> UploadIndex.Chunk {
        .init(sequence: sequence, bytes: bytes, sha256: String(repeating: digit, count: 64), at: Int64(sequence) * 2_000_000)
    }
    static func index(_ sequences: [Int], of upload: UploadIndex.Upload = upload()) throws -> UploadIndex {
        var index = UploadIndex()
        for sequence in sequences {
            #expect(try index.judge(chunk(sequence), of: upload) == .new)
            index.add(chunk(sequence), of: upload)
        }
        return index
    }

    @Test(arguments: [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
    func theOrderOfArrivalDoesNotMatter(order: [Int]) throws {
        var index = try Self.index(order)
        #expect(index.uploads[0].chunks.map(\.sequence) == [0, 1, 2, 3, 4] && index.nextSequence(.camera) == 5 && index.nextSequence(.screen) == 0)
        #expect(!index.uploads[0].complete)
        #expect(try index.end("a", .camera, at: 4).complete)
        #expect(try index.end("a", .camera, at: 4).complete, "said again")
    }
    @Test func theLastMissingChunkMakesItWhole() throws {
        var index = try Self.index([0, 1, 4, 7])
        #expect(index.uploads[0].missing == [2...3, 5...6])
        #expect(try !index.end("a", .camera, at: 8).complete)
        #expect(index.uploads[0].missing == [2...3, 5...6, 8...8] && index.nextSequence(.camera) == 9)
        for sequence in [2, 8, 6, 5, 3] {
            #expect(!index.uploads[0].complete)
            index.add(Self.chunk(sequence), of: Self.upload())
        }
        #expect(index.uploads[0].complete && index.uploads[0].missing == [])
    }
    @Test func theSameAgainIsTheSameAndOtherBytesAreRefused() throws {
        let index = try Self.index([0, 1])
        #expect(try index.judge(Self.chunk(1), of: Self.upload()) == .same)
        #expect(throws: UploadRefusal.taken) { try index.judge(Self.chunk(1, bytes: 11), of: Self.upload()) }
        #expect(throws: UploadRefusal.taken) { try index.judge(Self.chunk(1, bytes: 10, "1"), of: Self.upload()) }
        #expect(throws: UploadRefusal.taken, "the number is another upload's") { try index.judge(Self.chunk(1), of: Self.upload("b", first: 1)) }
        #expect(try index.judge(Self.chunk(1), of: Self.upload("b", .screen, first: 1)) == .new, "kinds count apart")
        #expect(try index.judge(Self.chunk(2), of: Self.upload("b", first: 2)) == .new)
    }
    @Test func whatDoesNotFitTheUploadIsRefused() throws {
        var index = try Self.index([3, 4], of: Self.upload(first: 3))
        #expect(throws: UploadRefusal.differs) { try index.judge(Self.chunk(5), of: Self.upload(first: 2)) }
        #expect(throws: UploadRefusal.differs) { try index.judge(Self.chunk(5), of: Self.upload(first: 3, type: "video/webm;codecs=vp9")) }
        #expect(throws: UploadRefusal.differs, "before its first") { try index.judge(Self.chunk(2), of: Self.upload(first: 3)) }
        #expect(throws: UploadRefusal.unknownUpload) { try index.end("b", .camera, at: 4) }
        #expect(throws: UploadRefusal.differs, "chunks after its last") { try index.end("a", .camera, at: 3) }
        #expect(try index.end("a", .camera, at: 4).complete)
        #expect(throws: UploadRefusal.differs, "after its last") { try index.judge(Self.chunk(5), of: Self.upload(first: 3)) }
        #expect(throws: UploadRefusal.differs, "ended otherwise") { try index.end("a", .camera, at: 5) }
        // What the first chunk said of time stands.
        var late = Self.upload(first: 3)
        late.startedAt += 1
        #expect(try index.judge(Self.chunk(4), of: late) == .same)
    }
    @Test func soManyUploadsAreOpenAtOnce() throws {
        var index = UploadIndex()
        for number in 0..<UploadIndex.Limits.open { index.add(Self.chunk(number * 10), of: Self.upload("u\(number)", first: number * 10)) }
        #expect(throws: UploadRefusal.tooManyOpen) { try index.judge(Self.chunk(900), of: Self.upload("more", first: 900)) }
        #expect(try index.judge(Self.chunk(31), of: Self.upload("u3", first: 30)) == .new, "those that are open go on")
        #expect(try index.judge(Self.chunk(30), of: Self.upload("u3", first: 30)) == .same)
        // A last word makes room, whether or not all of it is here.
        _ = try index.end("u3", .camera, at: 35)
        #expect(try index.judge(Self.chunk(900), of: Self.upload("more", first: 900)) == .new)
    }
    @Test func aParticipantsPartIsBounded() throws {
        var index = UploadIndex()
        for number in 0..<UploadIndex.Limits.uploads { index.add(Self.chunk(number), of: Self.upload("u\(number)", first: number)) }
        #expect(throws: UploadRefusal.tooManyUploads) { try index.judge(Self.chunk(900), of: Self.upload("more", first: 900)) }
        #expect(try index.judge(Self.chunk(900), of: Self.upload("u7", first: 7)) == .new)
        #expect(throws: UploadRefusal.tooManyBytes) { try index.judge(Self.chunk(900, bytes: UploadIndex.Limits.bytes), of: Self.upload("u7", first: 7)) }
        for number in index.chunkCount..<UploadIndex.Limits.chunks { index.add(Self.chunk(number), of: Self.upload("u7", first: 7)) }
        #expect(throws: UploadRefusal.tooManyChunks) { try index.judge(Self.chunk(UploadIndex.Limits.chunks), of: Self.upload("u7", first: 7)) }
        #expect(try index.judge(Self.chunk(UploadIndex.Limits.chunks - 1), of: Self.upload("u7", first: 7)) == .same)
    }
    /// The document other programs read.
    @Test func theDocumentIsAsAgreed() throws {
        var index = try Self.index([0])
        _ = try index.end("a", .camera, at: 0)
        let bytes = try CaptureJSON.encode(index)
        #expect(String(decoding: bytes, as: UTF8.self) == """
            {"uploads":[{"chunks":[{"at_us":0,"bytes":10,"sequence":0,"sha256":"\(String(repeating: "0", count: 64))"}],"clock":"n1","complete":true,"first_sequence":0,\
            "handed_over":false,"kind":"camera","last_sequence":0,"media_type":"video/webm","offset_uncertainty_us":500,"started_at_us":1700000000000000,"upload":"a"}],"version":1}
            """)
        #expect(try bytes.withUnsafeBytes { try CaptureJSON.decode(UploadIndex.self, $0) } == index)
        // As an earlier or another program writes it: without what is ours.
        let bare = #"{"version":1,"uploads":[{"kind":"screen","upload":"s","first_sequence":2,"media_type":"video/webm","started_at_us":1,"offset_uncertainty_us":2,"chunks":[],"complete":false}]}"#
        let read = try Array(bare.utf8).withUnsafeBytes { try CaptureJSON.decode(UploadIndex.self, $0) }
        #expect(read.uploads[0].kind == .screen && read.uploads[0].lastSequence == nil && !read.uploads[0].isHandedOver)
    }
    @Test func keysAreAsTheContractSays() {
        let layout = RecordingLayout(room: "R", recording: "C")
        #expect(layout.chunk("p", .camera, 7) == "rooms/R/C/chunks/p/camera-000007.webm" && layout.chunk("p", .audio, 999_999) == "rooms/R/C/chunks/p/audio-999999.webm")
        #expect(layout.uploads("p") == "rooms/R/C/chunks/p/uploads.json")
    }
}
