// The packet journal `.trj`: what was captured of one track by one writer, append-only. All numbers in network byte order.
//
// Header
//  0      4         6       8               12                        12 + length
//  | TRPJ | version | flags | body length   | fields …                | CRC-32C of all before |
//  field: id (8 bits), length (16 bits), value. Fields a reader does not know are skipped.
//
// Record, repeated until the end of the file
//  0        2      3       4         8                16        20
//  | 0x5452 | type | marks | length  | received, µs   | CRC-32C | bytes …
//  Marks: bit 0, the packet reached its ingress node by a retransmission (RTX, RFC 4588). The others are zero, and passed over when read.
//  Before there were marks the byte was zero: nothing is known of retransmissions then.
//  The checksum covers type to received and the bytes. The mark lets a reader find the next good record behind damage;
//  a record that is cut off at the end of the file is the torn tail of a writer that died, which is normal.

import Primitives
import RTP

package enum Journal {
    package static let magic: UInt32 = 0x5452_504A          // "TRPJ"
    package static let version: UInt16 = 1
    package static let recordMark: UInt16 = 0x5452          // "TR"
    package static let recordHead = 20                      // bytes
    package static let headerHead = 12                      // bytes
    package static let fileExtension = "trj"

    package enum Limits {
        package static let recordBytes = 65_535              // the largest datagram
        package static let headerBytes = 16 << 10            // body of the header
        package static let payloadTypes = 128                // 7 bits
        package static let extensions = 16                   // as many as `ExtensionMap` holds
        package static let nameBytes = 128                   // ids, as `Identifier.maxBytes`
        package static let segmentBytes = 64 << 20           // a writer begins the next segment there
        package static let segmentSeconds: Int64 = 300       // and there, or
        package static let storedSegmentSeconds: Int64 = 10  // there, where segments are stored elsewhere as they end
    }

    /// Bits of a record's marks.
    enum Marks { static let recovered: UInt8 = 1 << 0 }

    package enum RecordType: UInt8, Sendable {
        case rtp = 1
        /// A compound RTCP packet as it arrived, with the publisher's sender report.
        case rtcp = 2
        case event = 3
    }

    /// Why a journal cannot be read at all. Damage behind a good header is not an error: `JournalReader.damage` counts it.
    package enum HeaderError: Error, Equatable, Sendable {
        /// Shorter than its own header: a writer that died in its first milliseconds.
        case truncated
        case notAJournal
        /// From a newer release: read it with that.
        case unknownVersion(UInt16)
        case badChecksum
        case badField(UInt8)
        case missingField(UInt8)
    }
}

/// What a writer itself has to say, between the packets.
package enum JournalEvent: Equatable, Sendable {
    /// Packets of this or another track did not get into the journal, between these receive times (µs).
    case lost(JournalLossCause, packets: UInt64, from: Int64, to: Int64)
    /// The writer ended this segment as it should; without it, it died.
    case closed
}

/// Why a writer could not keep packets. Raw values are in the file.
package enum JournalLossCause: UInt8, Sendable, CaseIterable {
    /// The ring from the media loop was full: the journal thread or its disk did not keep up.
    case ringFull = 1
    case diskFull = 2
    case readOnly = 3
    case ioError = 4
}

/// Who and what a journal holds: enough to read it without anything beside it.
package struct JournalHeader: Equatable, Sendable {
    /// One payload type of the publisher, as negotiated.
    package struct PayloadType: Hashable, Sendable {
        package var number: UInt8
        package var codec: Codec
        package init(_ number: UInt8, _ codec: Codec) { self.number = number; self.codec = codec }
    }
    package var recording: RecordingID
    package var room: RoomID
    package var track: TrackID
    package var participant: ParticipantID
    package var kind: Codec.Kind
    /// "camera", "microphone", "screen_share", …: shown in the manifest.
    package var source: String
    /// What the publisher sends at first.
    package var codec: Codec
    package var clockRate: UInt32
    package var payloadTypes: [PayloadType]
    /// The publisher's header extension ids; packets are journalled as it sent them.
    package var extensions: ExtensionMap
    /// Who wrote this, under which claim of the recording, and the number of the segment.
    package var writer: NodeName
    package var epoch: Epoch
    package var segment: UInt32
    /// The writer's wall clock when it opened the segment.
    package var wallStart: WallTime
    /// The node whose clock stamped the packets; nil: the writer's.
    package var ingress: NodeName?

    package init(
        recording: RecordingID, room: RoomID, track: TrackID, participant: ParticipantID, kind: Codec.Kind, source: String, codec: Codec,
        payloadTypes: [PayloadType], extensions: ExtensionMap = ExtensionMap(), writer: NodeName, epoch: Epoch, segment: UInt32 = 0,
        wallStart: WallTime, ingress: NodeName? = nil
    ) {
        self.recording = recording; self.room = room; self.track = track; self.participant = participant
        self.kind = kind; self.source = source; self.codec = codec; clockRate = codec.clockRate
        self.payloadTypes = payloadTypes; self.extensions = extensions
        self.writer = writer; self.epoch = epoch; self.segment = segment; self.wallStart = wallStart; self.ingress = ingress
    }

    package func codec(of payloadType: UInt8) -> Codec? { payloadTypes.first { $0.number == payloadType }?.codec }

    /// Every name fits its field and is safe in a path.
    package var isValid: Bool {
        recording.isSafe && room.isSafe && track.isSafe && participant.isSafe && writer.isSafe && (ingress?.isSafe ?? true)
            && source.utf8.count <= Journal.Limits.nameBytes && payloadTypes.count <= Journal.Limits.payloadTypes
            && payloadTypes.allSatisfy { $0.number < 128 && $0.codec.kind == kind } && codec.kind == kind && clockRate == codec.clockRate
    }
}

/// Numbers of the header fields.
enum HeaderField: UInt8 {
    case recording = 1, room, track, participant, kind, source, codec, clockRate, payloadTypes, extensions, writer, epoch, segment, wallStart, ingress
}
