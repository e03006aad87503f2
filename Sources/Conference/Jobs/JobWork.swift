// What a job's row means for `troupe-media`: arguments and outputs. Pure.
import Capture
import Contracts
import Primitives

/// What is asked of a preview.
package struct PreviewOrder: Codable, Sendable, Hashable {
    /// Pixels.
    package var height: Int
    /// 2 or 4.
    package var segmentSeconds: Int
    package init(height: Int = 360, segmentSeconds: Int = 4) { self.height = height; self.segmentSeconds = segmentSeconds }
    /// The same preview of one revision of the manifest, asked for twice, is one job.
    func key(_ revision: Int) -> String { RevisionKey.text(name, revision) }
    fileprivate var name: String { "\(height)/\(segmentSeconds)" }
    /// - Returns: nil for a job of another kind.
    static func revision(of job: JobRecord) -> Int? {
        guard job.kind == .preview, let key = job.dedupeKey, let order = try? JobWork.parameters(PreviewOrder.self, job) else { return nil }
        return RevisionKey.revision(in: key, order.name)
    }
}

package enum ExportFormat: String, Codable, Sendable, Hashable, CaseIterable { case mp4, webm, m4a }

/// What is asked of an export.
package struct ExportOrder: Codable, Sendable, Hashable {
    package var format: ExportFormat
    /// The Composition State as it was when the export was asked for, JSON; nil for a grid of everyone.
    package var composition: String?
    /// `processed/output.webm` of every recording.
    package var isDefault: Bool
    package init(format: ExportFormat, composition: String?, isDefault: Bool = false) { self.format = format; self.composition = composition; self.isDefault = isDefault }
}

/// One attempt at a job.
struct JobWork: Sendable, Equatable {
    /// How much of a node's processors it takes while it runs, in processors, as measured: an export keeps the encoder's threads busy.
    static func cost(_ kind: JobKind) -> Int { kind == .export ? 2 : 1 }
    /// Finalising belongs to the Recording, which knows when its writers are done.
    static let kinds: [JobKind] = [.preview, .export, .thumbnail]

    let arguments: [String]
    /// Storage key and content of what the process must find.
    var input: (key: String, content: String)?
    /// Key of the one file that is removed where the attempt does not count; nil where the result replaces itself.
    var output: String?
    /// What `output` becomes once it is whole, below the recording's folder, and the manifest's revision it was asked for.
    var product: (name: String, revision: Int)?

    static func == (a: JobWork, b: JobWork) -> Bool {
        a.arguments == b.arguments && a.output == b.output && a.product?.name == b.product?.name && a.product?.revision == b.product?.revision && a.input?.key == b.input?.key && a.input?.content == b.input?.content
    }

    /// - Parameters:
    ///   - root: of the object storage.
    ///   - isRunning: the recording goes on: a preview follows it.
    /// - Throws: `JobFailure` for parameters no release wrote.
    init(_ job: JobRecord, root: String, isRunning: Bool) throws(JobFailure) {
        let layout = RecordingLayout(room: job.room, recording: job.recording)
        var arguments = [job.kind.rawValue, "--dir", "\(root)/\(layout.folder)"]
        switch job.kind {
        case .preview:
            let order = try Self.parameters(PreviewOrder.self, job)
            arguments += ["--height", "\(order.height)", "--segment-seconds", "\(order.segmentSeconds)"]
            if isRunning { arguments.append("--follow") }
        case .thumbnail:
            let name = "processed/exports/\(job.id)-\(job.epoch.rawValue).jpg"
            arguments += ["--out", name]
            output = "\(layout.folder)/\(name)"
            product = (RecordingLayout.Names.thumbnail, DefaultProducts.revision(of: job) ?? 1)
        case .export:
            let order = try Self.parameters(ExportOrder.self, job)
            let name = "processed/exports/\(job.id)-\(job.epoch.rawValue)"
            arguments += ["--out", "\(name).\(order.format.rawValue)", "--format", order.format.rawValue]
            if let composition = order.composition {
                input = ("\(layout.folder)/\(name).json", composition)
                arguments += ["--composition", "\(root)/\(layout.folder)/\(name).json"]
            }
            output = "\(layout.folder)/\(name).\(order.format.rawValue)"
            if order.isDefault { product = ("\(RecordingLayout.Names.processed)/output.\(order.format.rawValue)", DefaultProducts.revision(of: job) ?? 1) }
        case .finalise: throw JobFailure(code: "unknown_kind", message: "recordings are finished by their recorder, not by a job")
        }
        self.arguments = arguments
    }
    static func parameters<Order: Decodable>(_: Order.Type, _ job: JobRecord) throws(JobFailure) -> Order {
        do {
            var text = job.parameters
            return try text.withUTF8 { try CaptureJSON.decode(Order.self, UnsafeRawBufferPointer($0)) }
        } catch {
            throw JobFailure(code: "bad_parameters", message: "the job's parameters cannot be read by this release; ask for it again")
        }
    }
    /// As it is kept in the row.
    static func parameters(_ order: some Encodable) throws -> String { String(decoding: try CaptureJSON.encode(order), as: UTF8.self) }
}
