# timeout: 120
"""Previews play in Chromium, by Media Source Extensions and natively: a burnt-in luma tells each second, and seeks across all peers meet within 100 ms."""
import contextlib
import functools
import http.server
import json
import pathlib
import subprocess
import tempfile
import threading

import _media
from _chromium import chromium
from _cluster import BUILD

SECONDS = 9
START = {"ann": 0.0, "bob": 1.5, "cat": 0.0}      # when each camera began
SIZE = {"ann": "320x240", "bob": "320x240", "cat": "640x360"}
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"]
# Cat's segments are copied, but for the one from 6 s on: no key frame stands there.
CODEC = {"ann": ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "50"], "bob": [*H264, "-g", "50"],
         "cat": [*H264, "-profile:v", "baseline", "-g", "500", "-force_key_frames", "0,2,4,8"]}


def make_recording(folder):
    """What finishing leaves: tracks whose luma is 40 in the first second of the recording and 10 more in each one after it."""
    tracks = []
    for peer, start in START.items():
        length = SECONDS - start
        home = folder / "tracks" / peer
        home.mkdir(parents=True)
        suffix = "webm" if peer == "ann" else "mkv"
        picture = f"color=black:size={SIZE[peer]}:rate=30,geq=lum=40+10*floor(T+{start}+0.001):cb=128:cr=128"
        for name, source, codec, extension in [
            (f"{peer}-cam", picture, CODEC[peer], suffix), (f"{peer}-mic", "sine=frequency=440:sample_rate=48000", ["-c:a", "libopus", "-ac", "2"], "webm"),
        ]:
            path = home / f"{name}.{extension}"
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-t", str(length), *codec, "-output_ts_offset", str(start), str(path)], check=True)
            kind = "video" if name.endswith("cam") else "audio"
            codec_name = _media.probe(path)["codec"]
            tracks.append({
                "track_id": name, "peer_id": peer, "kind": kind, "source": "camera" if kind == "video" else "microphone", "codec": codec_name,
                "start": start, "duration": length, "key_frame_wait": 0, "clocks": [], "holes": [], "writers": ["a"], "epochs": [1],
                "files": [{"path": f"tracks/{peer}/{name}.{extension}", "codec": codec_name, "container": extension, "start": start, "duration": length,
                           "size": path.stat().st_size, "frames": 1, "key_frames": 1}],
                "integrity": {"complete": True, **{key: 0 for key in (
                    "packets", "lost", "duplicates", "malformed", "unknown_payload_type", "incomplete_frames", "skipped_frames", "filler_frames",
                    "damaged_stretches", "damaged_bytes", "torn_bytes", "segments", "unreadable_segments")}},
            })
    (folder / "metadata.json").write_text(json.dumps({
        "version": 1, "recording_id": "rec", "room_id": "room", "title": "", "time_zero": "2026-01-01T00:00:00.000Z", "time_zero_us": 1767225600000000,
        "started_at": "2026-01-01T00:00:00.000Z", "duration": SECONDS, "size": 1, "complete": True, "warnings": [], "tracks": tracks,
        "participants": [{"peer_id": peer, "name": peer.title()} for peer in START]}))


def pictures(playlist):
    run = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", str(playlist)], check=True, capture_output=True, text=True)
    return int(run.stdout.split()[0].strip(","))


@contextlib.contextmanager
def served(folder):
    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = {".m3u8": "application/vnd.apple.mpegurl", ".mp4": "video/mp4", ".m4s": "video/iso.segment", ".json": "application/json", ".html": "text/html"}

        def log_message(self, *_):
            pass
    (folder / "page.html").write_text("<!doctype html><title>preview</title>")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


PLAYER = """
window.players = [];
window.add = async (base, peer, index, native) => {
  const video = document.createElement("video");
  video.muted = true;
  document.body.append(video);
  if (native) {
    video.src = base + peer.av.playlist;
  } else {
    const source = new MediaSource();
    video.src = URL.createObjectURL(source);
    await new Promise((done) => source.addEventListener("sourceopen", done, { once: true }));
    const buffer = source.addSourceBuffer(`video/mp4; codecs="${peer.av.codecs}"`);
    const append = async (name) => {
      const bytes = await (await fetch(base + name)).arrayBuffer();
      await new Promise((done, failed) => { buffer.onupdateend = done; buffer.onerror = () => failed(new Error(name)); buffer.appendBuffer(bytes); });
    };
    await append(peer.av.head);
    // Out of order on purpose: what stands where is told by the segments themselves.
    const numbers = [...Array(index.segments).keys()];
    for (const n of numbers.reverse()) await append(peer.av.segment_prefix + String(n).padStart(4, "0") + ".m4s");
    source.endOfStream();
    if (video.buffered.length !== 1) throw new Error(`${peer.peer_id} has ${video.buffered.length} ranges`);
  }
  await new Promise((done, failed) => {
    if (video.readyState >= 1) return done();
    video.onloadedmetadata = done;
    video.onerror = () => failed(new Error(`${peer.peer_id}: ${video.error.message}`));
  });
  window.players.push(video);
  return { duration: video.duration, width: video.videoWidth, height: video.videoHeight, buffered: video.buffered.length ? [video.buffered.start(0), video.buffered.end(0)] : [] };
};
// Seeks everyone at once; answers with the second each picture shows (by its luma) and the time it says it is of.
window.seekAll = async (time) => Promise.all(window.players.map(async (video) => {
  const seeked = new Promise((done) => video.addEventListener("seeked", done, { once: true }));
  // A picture from before the seek may still be on its way: the last one within a second counts.
  let mediaTime = -1;
  const shown = new Promise((done) => {
    const watch = (_, frame) => { mediaTime = frame.mediaTime; if (Math.abs(mediaTime - time) <= 0.1) done(); else video.requestVideoFrameCallback(watch); };
    video.requestVideoFrameCallback(watch);
  });
  video.currentTime = time;
  await seeked;
  await Promise.race([shown, new Promise((done) => setTimeout(done, 1000))]);
  const canvas = new OffscreenCanvas(16, 16).getContext("2d");
  canvas.drawImage(video, video.videoWidth / 2 - 40, video.videoHeight / 2 - 40, 80, 80, 0, 0, 16, 16);
  const grey = canvas.getImageData(8, 8, 1, 1).data[0];
  return { mediaTime, luma: 16 + grey * 219 / 255 };
}));
// Until each has shown that much: a busy machine takes its time to begin.
window.playAll = async (seconds) => {
  await Promise.all(window.players.map((video) => { video.currentTime = 0; return video.play(); }));
  const end = performance.now() + 15000;
  while (performance.now() < end && window.players.some((video) => video.currentTime < seconds)) await new Promise((done) => setTimeout(done, 50));
  return window.players.map((video) => { video.pause(); const quality = video.getVideoPlaybackQuality(); return { at: video.currentTime, frames: quality.totalVideoFrames, dropped: quality.droppedVideoFrames }; });
};
"""


def expected_second(peer, time):
    return None if time < START[peer] else int(time)


def check_seeks(page, peers):
    for time in [0.5, 7.3, 2.5, 4.5, 3.98, 8.5, 6.02]:
        answers = page.evaluate("(time) => window.seekAll(time)", time)
        times = [answer["mediaTime"] for answer in answers]
        assert max(times) - min(times) <= 0.1, (time, times)
        assert all(abs(at - time) <= 0.1 for at in times), (time, times)
        for peer, answer in zip(peers, answers):
            second = expected_second(peer["peer_id"], answer["mediaTime"] + 0.034)
            shown = None if answer["luma"] < 25 else round((answer["luma"] - 40) / 10)
            allowed = {second, expected_second(peer["peer_id"], answer["mediaTime"] - 0.034)}
            assert shown in allowed, f"{peer['peer_id']} shows second {shown} at {answer['mediaTime']:.3f}, not {allowed}"


def main():
    with tempfile.TemporaryDirectory(prefix="troupe-preview-") as name:
        folder = pathlib.Path(name)
        make_recording(folder)
        done = subprocess.run([BUILD / "troupe-media", "preview", "--dir", str(folder)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        verdict = json.loads(done.stdout.splitlines()[-1])
        assert verdict["ok"] and verdict["complete"] and verdict["segments"] == 5, verdict
        index = json.loads((folder / "preview" / "index.json").read_text())
        assert [peer["name"] for peer in index["peers"]] == ["Ann", "Bob", "Cat"], index
        counts = [pictures(folder / "preview" / peer["av"]["playlist"]) for peer in index["peers"]]
        assert counts == [15 * SECONDS, 15 * SECONDS, 30 * SECONDS - 30] and index["peers"][2]["av"]["codecs"].startswith("avc3."), (counts, index["peers"][2])
        with served(folder) as url, chromium() as browser:
            for native in (False, True):
                page = browser.new_page()
                page.goto(f"{url}/page.html")
                page.evaluate(PLAYER)
                for peer in index["peers"]:
                    answer = page.evaluate("([base, peer, index, native]) => window.add(base, peer, index, native)", [f"{url}/preview/", peer, index, native])
                    assert abs(answer["duration"] - SECONDS) < 0.1 and (answer["width"], answer["height"]) == (640, 360), answer
                check_seeks(page, index["peers"])
                played = page.evaluate("() => window.playAll(1.5)")
                assert all(player["at"] >= 1.5 and player["frames"] > 15 for player in played), played
                page.close()
                print(f"preview plays {'natively' if native else 'by Media Source Extensions'}: {played}")


main()
