// What a recording's metadata says about missing parts, in plain words.

/** Why something is missing, where it was not the sender's network. Waiting for the first key frame misses nothing, nor does a mute or who was left out. */
const CAUSES = {
  recorder_down: "no recorder was up", recorder_overload: "the recorder was overloaded", disk_full: "the disk was full",
  read_only: "the disk could not be written", io_error: "the disk failed", damaged_journal: "recorded data is damaged", malformed: "the sender sent damaged frames",
};
const KINDS = { microphone: "Sound", camera: "Picture", screen_share: "Screen" };
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** @returns "complete", or what of this track is missing */
function ofTrack({ holes = [], integrity = {} }) {
  const missing = holes.filter((hole) => !["key_frame_wait", "muted", "left_out"].includes(hole.cause));
  if (missing.length) {
    const seconds = missing.reduce((sum, { from, to }) => sum + (to - from), 0);
    const causes = [...new Set(missing.map(({ cause }) => CAUSES[cause]).filter(Boolean))];
    return `${plural(missing.length, "hole")}, ${seconds < 0.05 ? "under 0.1" : seconds.toFixed(1)} s${causes.length ? ` (${causes.join(", ")})` : ""}`;
  }
  if (integrity.damaged_bytes || integrity.unreadable_segments) return "some recorded data is damaged";
  return integrity.incomplete_frames ? plural(integrity.incomplete_frames, "incomplete picture") : "complete";
}

/** What came another way than the straight one, in words; "" for nothing. */
function repairs(tracks) {
  const sum = (name) => tracks.reduce((total, { integrity }) => total + (integrity?.repaired?.[name] ?? 0), 0);
  const [again, standby, seconds] = [sum("retransmission"), sum("standby"), sum("device_seconds")];
  const parts = [again && `${plural(again, "packet")} sent again`, standby && `${plural(standby, "packet")} from the standby recorder`, seconds && `${seconds.toFixed(1)} s from the browser's own recording`];
  const text = parts.filter(Boolean).join(", ");
  return text && ` · repaired: ${text}`;
}

/** Of one person. @returns {isWhole, text} */
export function integrity(tracks, peer) {
  const own = tracks.filter((track) => track.peer_id === peer);
  const found = own.map((track) => ({ name: KINDS[track.source] ?? track.kind, text: ofTrack(track), score: track.integrity?.score }));
  if (!found.length) return { isWhole: false, text: "Nothing is known of these files" };
  if (found.every(({ text }) => text === "complete")) return { isWhole: true, text: `Complete${repairs(own)}` };
  return { isWhole: false, text: found.map(({ name, text, score }) => `${name}: ${text}${score === undefined ? "" : ` (${score} of 100)`}`).join(" · ") + repairs(own) };
}
