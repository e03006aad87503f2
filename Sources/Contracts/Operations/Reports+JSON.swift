// Reports as JSON: what `troupectl --json` prints and `/admin/v1` answers. Field names are part of the contract (docs/operations.md).
import Primitives

/// The members of one report, in order; what is nil is left out.
private struct Members {
    private var object = JSONObject()
    static func json(_ fill: (inout Members) -> Void) -> JSON {
        var members = Members()
        fill(&members)
        return .object(members.object)
    }
    mutating func value(_ name: String, _ value: JSON?) { if let value { object[name] = value } }
    mutating func text(_ name: String, _ value: String?) { self.value(name, value.map { .string($0) }) }
    mutating func id(_ name: String, _ value: (some Identifier)?) { text(name, value?.rawValue) }
    mutating func number(_ name: String, _ value: (some BinaryInteger)?) { self.value(name, value.map { .integer(Int64(clamping: $0)) }) }
    mutating func real(_ name: String, _ value: Double?) { self.value(name, value.map { .number($0) }) }
    mutating func time(_ name: String, _ value: WallTime?) { text(name, value?.rfc3339) }
    mutating func epoch(_ value: Epoch?) { number("epoch", value?.rawValue) }
    mutating func list(_ name: String, _ values: [JSON]) { value(name, .array(values)) }
    mutating func optional(_ name: String, _ value: Bool?) { self.value(name, value.map { .bool($0) }) }
    /// In order; left out where there is none.
    mutating func ids(_ name: String, _ values: Set<some Identifier & Comparable>) { if !values.isEmpty { list(name, values.sorted().map { .string($0.rawValue) }) } }
    mutating func nodes(_ name: String, _ values: [NodeName]) { list(name, values.map { .string($0.rawValue) }) }
}

// MARK: Participants and tracks

extension ParticipantInfo {
    package var json: JSON {
        Members.json {
            $0.id("id", id)
            $0.text("name", name)
            $0.text("role", role.rawValue)
            $0.id("node", node)
            $0.time("joined_at", joinedAt)
            $0.text("metadata", metadata)
            $0.optional("recording_consent", recordingConsent)
        }
    }
}
extension PublicationInfo {
    package var json: JSON {
        Members.json {
            $0.id("track_id", trackID)
            $0.id("participant_id", participantID)
            $0.text("kind", kind.rawValue)
            $0.text("source", source.rawValue)
            $0.text("codec", codec)
            $0.value("muted", .bool(muted))
        }
    }
}
extension RecordingStatus {
    package var json: JSON {
        Members.json {
            $0.id("recording_id", recordingID)
            $0.id("room_id", roomID)
            $0.text("state", state.rawValue)
            $0.text("reason", reason)
            $0.real("duration", duration)
            $0.number("size", size)
            $0.text("output_path", outputPath)
            $0.ids("excluded", leftOut)
            $0.ids("refused", Set(refused ?? []))
            $0.time("start_at", startAt)
        }
    }
}

// MARK: Nodes

extension [NodeReport] {
    package var json: JSON { Members.json { $0.list("nodes", map(\.json)) } }
}
extension [NodeSample] {
    package var json: JSON { Members.json { $0.list("nodes", map(\.json)) } }
}
extension NodeReport {
    package var json: JSON {
        Members.json {
            $0.id("node", name)
            $0.text("state", state)
            $0.text("reason", reason)
            $0.number("incarnation", incarnation?.rawValue)
            $0.text("region", region)
            $0.list("roles", roles.map { .string($0) })
            $0.text("version", version)
            $0.text("address", address)
            $0.text("url", url)
            $0.real("uptime_seconds", uptimeSeconds)
            $0.value("capacity", capacity?.json)
            $0.number("rooms", rooms)
            $0.number("participants", participants)
            $0.number("recordings", recordings)
            $0.list("links", links.map(\.json))
            $0.value("drain", drain?.json)
        }
    }
}
extension NodeReport.Capacity {
    fileprivate var json: JSON {
        Members.json {
            $0.number("units", units)
            $0.number("used", used)
            $0.number("reserved", reserved)
        }
    }
}
extension NodeReport.Link {
    fileprivate var json: JSON {
        Members.json {
            $0.id("peer", peer)
            $0.real("rtt_ms", roundTripMilliseconds)
            $0.number("queue_bytes", queueBytes)
            $0.number("calls_in_flight", callsInFlight)
            $0.real("clock_offset_ms", clockOffsetMilliseconds)
            $0.real("clock_uncertainty_ms", clockUncertaintyMilliseconds)
            $0.number("reconnects", reconnects)
        }
    }
}
extension NodeSample {
    package var json: JSON {
        Members.json {
            $0.id("node", name)
            $0.text("state", state)
            $0.real("cpu", cpu)
            $0.real("loop_lag_ms", loopLagMilliseconds)
            $0.real("packets_in_per_second", packetsInPerSecond)
            $0.real("packets_out_per_second", packetsOutPerSecond)
            $0.real("bytes_in_per_second", bytesInPerSecond)
            $0.real("bytes_out_per_second", bytesOutPerSecond)
            $0.real("loss", loss)
            $0.number("resident_bytes", residentBytes)
            $0.number("rooms", rooms)
            $0.number("participants", participants)
            $0.number("recordings", recordings)
        }
    }
}

// MARK: Rooms

extension RoomPage {
    package var json: JSON {
        Members.json {
            $0.list("rooms", rooms.map(\.json))
            $0.id("next", hasMore ? rooms.last?.id : nil)
            $0.nodes("away", away)
        }
    }
}
extension RoomSummary {
    fileprivate var json: JSON {
        Members.json {
            $0.id("room_id", id)
            $0.text("meeting_code", meetingCode)
            $0.text("title", title)
            $0.id("node", node)
            $0.epoch(epoch)
            $0.number("participants", participants)
            $0.number("publications", publications)
            $0.id("recording_id", recording)
            $0.time("created_at", createdAt)
        }
    }
}
extension RoomReport {
    package var json: JSON {
        Members.json {
            $0.id("room_id", room.id)
            $0.text("meeting_code", room.meetingCode)
            $0.text("title", room.title)
            $0.text("state", state.rawValue)
            $0.text("mode", room.mode.rawValue)
            $0.number("max_participants", room.maxParticipants)
            $0.text("region", room.region)
            $0.time("created_at", room.createdAt)
            $0.time("ended_at", room.endedAt)
            $0.id("node", node)
            $0.epoch(epoch)
            $0.number("sequence", sequence)
            $0.id("pinned", pinned)
            $0.list("participants", participants.map(\.json))
            $0.list("publications", publications.map(\.json))
            $0.value("recording", recording?.json)
            $0.nodes("away", away)
        }
    }
}

// MARK: Recordings, jobs, events

extension [RecordingReport] {
    package var json: JSON { Members.json { $0.list("recordings", map(\.json)) } }
}
extension RecordingReport {
    fileprivate var json: JSON {
        Members.json {
            $0.id("recording_id", status.recordingID)
            $0.id("room_id", status.roomID)
            $0.text("title", title)
            $0.text("state", status.state.rawValue)
            $0.text("reason", status.reason)
            $0.id("recorder", recorder)
            $0.epoch(epoch)
            $0.time("started_at", startedAt)
            $0.time("stopped_at", stoppedAt)
            $0.real("duration", status.duration)
            $0.number("size", status.size)
            $0.text("output_path", status.outputPath)
            $0.number("tracks", tracks)
        }
    }
}
extension [JobReport] {
    package var json: JSON { Members.json { $0.list("jobs", map(\.json)) } }
}
extension JobReport {
    fileprivate var json: JSON {
        Members.json {
            $0.text("job_id", id)
            $0.text("kind", kind)
            $0.text("state", state)
            $0.id("recording_id", recording)
            $0.id("room_id", room)
            $0.id("node", node)
            $0.time("since", since)
        }
    }
}
extension EventEntry {
    package var json: JSON {
        Members.json {
            $0.number("position", position)
            $0.id("room_id", room)
            $0.number("first", first < sequence ? first : nil)
            $0.number("sequence", sequence)
            $0.epoch(epoch)
            $0.time("at", at)
            $0.text("type", type)
            $0.value("payload", (try? JSONParser.parse(payload)) ?? .null)
        }
    }
}
extension EventFeed {
    package var json: JSON {
        Members.json {
            $0.list("events", events.map(\.json))
            $0.number("cursor", cursor)
            $0.value("cut", .bool(isCut))
        }
    }
}

// MARK: Orders

extension MoveReport {
    package var json: JSON {
        Members.json {
            $0.id("room_id", room)
            $0.id("from", from)
            $0.id("to", to)
            $0.epoch(epoch)
            $0.real("milliseconds", milliseconds)
        }
    }
}
extension PinReport {
    package var json: JSON {
        Members.json {
            $0.id("room_id", room)
            $0.id("pinned", node)
        }
    }
}
extension DrainReport {
    package var json: JSON {
        Members.json {
            $0.id("node", node)
            $0.text("state", state.rawValue)
            $0.real("seconds_left", secondsLeft)
            $0.number("actors", actors)
            $0.number("actors_left", actorsLeft)
            $0.number("clients", clients)
            $0.number("told", told)
            $0.number("moved", moved)
            $0.number("left", left)
            $0.number("cut", cut)
            $0.number("cut_unaware", cutUnaware)
            $0.number("clients_left", clientsLeft)
            $0.list("failures", failures.map { .string($0) })
        }
    }
}
extension RebalanceReport {
    package var json: JSON {
        Members.json {
            $0.text("state", state.rawValue)
            $0.id("node", node)
            $0.number("planned", planned)
            $0.number("made", made)
            $0.number("failed", failed)
            $0.number("waiting", waiting)
            $0.list("moves", moves.map(\.json))
        }
    }
}
extension RebalanceReport.Move {
    fileprivate var json: JSON {
        Members.json {
            $0.text("kind", kind)
            $0.text("key", key)
            $0.id("from", from)
            $0.id("to", to)
            $0.number("cost", cost)
            $0.text("reason", reason)
            $0.text("failure", failure)
        }
    }
}
