// Chunks and their index on the disk that all nodes share. Every call blocks: make it on the uploads' own thread.
import Capture
import ObjectStorage
import Primitives

/// Confined to one `DiskThread`. Other nodes write the same folders: each change is made alone (`LocalFolder.exclusively`).
///
/// Order: the chunk's file, then the index, then the answer. A file the index does not name was never confirmed and is written over.
final class UploadShelf: @unchecked Sendable {
    enum Limits {
        /// For another node's change of the same index.
        static let patience = Duration.seconds(2)
        /// Indexes kept in memory: those of the participants that upload here now.
        static let kept = 64
    }
    private let objects: LocalFolder
    /// The newest last, each as of its file's size and time.
    private var kept: [(key: ObjectKey, info: ObjectInfo, index: UploadIndex)] = []
    init(_ objects: LocalFolder) { self.objects = objects }

    /// - Returns: the upload as it stands with the chunk.
    /// - Throws: `UploadRefusal`, `ObjectStorageError` (`notFound`: the recording's folder is gone).
    func store(_ bytes: [UInt8], _ chunk: UploadIndex.Chunk, of upload: UploadIndex.Upload, peer: ParticipantID, in layout: RecordingLayout) throws -> UploadIndex.Upload {
        let index = try changing(peer, in: layout) { index in
            guard try index.judge(chunk, of: upload) == .new else { return false }
            try objects.put(ObjectKey(layout.chunk(peer, upload.kind, chunk.sequence)), bytes: bytes)
            index.add(chunk, of: upload)
            return true
        }
        return index.upload(upload.upload, upload.kind) ?? upload
    }
    func end(_ upload: String, _ kind: UploadKind, at last: Int, peer: ParticipantID, in layout: RecordingLayout) throws -> UploadIndex.Upload {
        let index = try changing(peer, in: layout) { index in
            let before = index.upload(upload, kind)
            _ = try index.end(upload, kind, at: last)
            return index.upload(upload, kind) != before
        }
        guard let ended = index.upload(upload, kind) else { throw UploadRefusal.unknownUpload }
        return ended
    }
    func handOver(_ upload: String, _ kind: UploadKind, peer: ParticipantID, in layout: RecordingLayout) throws {
        _ = try changing(peer, in: layout) { index in
            index.handOver(upload, kind)
            return true
        }
    }
    /// Empty where nothing was uploaded.
    func index(_ peer: ParticipantID, in layout: RecordingLayout) throws -> UploadIndex { try read(ObjectKey(layout.uploads(peer))) }
    func erase(_ peer: ParticipantID, in layout: RecordingLayout) throws { try objects.deleteAll(under: ObjectKey(layout.chunks(peer))) }

    /// - Parameter change: says whether it changed anything.
    private func changing(_ peer: ParticipantID, in layout: RecordingLayout, _ change: (inout UploadIndex) throws -> Bool) throws -> UploadIndex {
        let key = try ObjectKey(layout.uploads(peer))
        return try objects.exclusively(key, below: ObjectKey(layout.folder), patience: Limits.patience) {
            var index = try read(key)
            guard try change(&index) else { return index }
            try objects.put(key, bytes: CaptureJSON.encode(index))
            keep(index, key, try objects.info(key))
            return index
        }
    }
    private func read(_ key: ObjectKey) throws -> UploadIndex {
        guard let info = try info(key) else { return UploadIndex() }
        if let known = kept.last(where: { $0.key == key }), known.info == info { return known.index }
        let bytes = try objects.read(key, range: 0..<info.size)
        let index = try bytes.withUnsafeBytes { try CaptureJSON.decode(UploadIndex.self, $0, limit: UploadIndex.Limits.fileBytes) }
        keep(index, key, info)
        return index
    }
    private func info(_ key: ObjectKey) throws(ObjectStorageError) -> ObjectInfo? {
        do throws(ObjectStorageError) { return try objects.info(key) } catch {
            guard error == .notFound else { throw error }
            return nil
        }
    }
    private func keep(_ index: UploadIndex, _ key: ObjectKey, _ info: ObjectInfo) {
        kept.removeAll { $0.key == key }
        if kept.count == Limits.kept { kept.removeFirst() }
        kept.append((key, info, index))
    }
}
