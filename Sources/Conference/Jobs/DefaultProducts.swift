// What is made anew for each revision of a recording's manifest: thumbnail.jpg and processed/output.webm, which every recording gets, and previews.
// Decision: docs/decisions/0035-job-runner.md
import Capture
import Contracts
import ObjectStorage
import Primitives

/// A dedupe key that names a revision. The first one's is that of releases without revisions.
enum RevisionKey {
    static func text(_ name: String, _ revision: Int) -> String { revision <= 1 ? name : "\(name)-\(revision)" }
    /// - Returns: nil where the key is none of this name.
    static func revision(in key: String, _ name: String) -> Int? {
        if key == name { return 1 }
        guard key.hasPrefix("\(name)-"), let revision = Int(key.dropFirst(name.utf8.count + 1)), revision > 1 else { return nil }
        return revision
    }
}

/// A job makes one of them for one revision; its key says which. The file stands under its attempt's name until it is whole, and takes the
/// product's place then, unless that of a later revision is there already.
enum DefaultProducts {
    enum Limits {
        /// For another node that puts a product in its place.
        static let patience = Duration.seconds(5)
        /// Bytes of the note of revisions.
        static let note: Int64 = 4_096
    }
    static let kinds: [JobKind] = [.thumbnail, .export]
    private static let name = "default"

    /// The dedupe key: a revision's products are made once.
    static func key(_ revision: Int) -> String { RevisionKey.text(name, revision) }
    /// - Returns: nil for an export that somebody asked for.
    static func revision(of job: JobRecord) -> Int? {
        guard kinds.contains(job.kind) else { return PreviewOrder.revision(of: job) }
        return job.dedupeKey.flatMap { RevisionKey.revision(in: $0, name) }
    }
    /// The jobs whose products those of `revision` take the place of; all previews of a recording stand in one place.
    static func earlier(than revision: Int, _ kind: JobKind, among jobs: [JobRecord]) -> [JobRecord] {
        jobs.filter { $0.kind == kind && Self.revision(of: $0).map { $0 < revision } ?? false }
    }

    /// Which revision's products stand there: beside them, since they say nothing of it themselves.
    private static func note(_ layout: RecordingLayout) throws(ObjectStorageError) -> ObjectKey {
        try ObjectKey("\(layout.folder)/\(RecordingLayout.Names.processed)/revisions.json")
    }
    /// Gives a finished file the product's name, on the disk all nodes share. Blocking.
    ///
    /// The note is written first: who dies in between has the same job done again, and no earlier revision comes after a later one.
    /// - Parameter product: below the recording's folder.
    /// - Returns: false where a later revision's product stands there; the attempt's file is left alone.
    static func place(_ attempt: ObjectKey, as product: String, revision: Int, in layout: RecordingLayout, _ objects: LocalFolder) throws -> Bool {
        let note = try note(layout)
        return try objects.exclusively(note, below: ObjectKey(layout.folder), patience: Limits.patience) {
            var standing = try revisions(note, objects)
            guard standing[product, default: 0] <= revision else { return false }
            standing[product] = revision
            try objects.put(note, bytes: CaptureJSON.encode(standing))
            try objects.move(attempt, to: ObjectKey("\(layout.folder)/\(product)"))
            return true
        }
    }
    private static func revisions(_ note: ObjectKey, _ objects: LocalFolder) throws -> [String: Int] {
        do { return try objects.read(note, range: 0..<min(Limits.note, objects.info(note).size)).withUnsafeBytes { try CaptureJSON.decode([String: Int].self, $0) } } catch ObjectStorageError.notFound {
            return [:]
        }
    }
}
