"""`ops/bench preview`: what a preview costs, beside the ffmpeg command that decodes, scales and encodes the same tracks alike.

One core each, taking turns. Speed is seconds of one peer (720p VP8 at 30 fps, Opus) per second of CPU."""
import json, os, pathlib, resource, shutil, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEERS = 2
SECONDS = 20
FPS = 15


def cpu_of(command, **options):
    """CPU seconds of a child and everything it started, pinned to one core."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]}), **options)
    if done.returncode != 0:
        sys.exit(f"bench: `{command[0]}` ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss >> 10


def make_recording(folder, repeat=1):
    """`repeat` times the same seconds, so that memory can be looked at over length."""
    clips = folder / "clips"
    clips.mkdir(exist_ok=True)
    if not (clips / "cam.webm").exists():
        # A moving card over a moving scene: harder than a face before a wall.
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-t", str(SECONDS), "-c:v", "libvpx", "-deadline", "realtime",
                        "-cpu-used", "8", "-b:v", "1500k", "-g", "300", str(clips / "cam.webm")], check=True)
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000", "-t", str(SECONDS), "-c:a", "libopus", "-b:a", "40k", str(clips / "mic.webm")], check=True)
    tracks = []
    for number in range(PEERS):
        peer = f"peer{number}"
        home = folder / "tracks" / peer
        home.mkdir(parents=True, exist_ok=True)
        for kind, name in (("video", "cam"), ("audio", "mic")):
            target = home / f"{name}.webm"
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", str(repeat - 1), "-i", str(clips / f"{name}.webm"), "-c", "copy", str(target)], check=True)
            codec, length = "vp8" if kind == "video" else "opus", SECONDS * repeat
            integrity = {key: 0 for key in ("packets", "lost", "duplicates", "malformed", "unknown_payload_type", "incomplete_frames", "skipped_frames", "filler_frames",
                                            "damaged_stretches", "damaged_bytes", "torn_bytes", "segments", "unreadable_segments")} | {"complete": True}
            tracks.append({"track_id": f"{peer}-{name}", "peer_id": peer, "kind": kind, "source": "camera" if kind == "video" else "microphone", "codec": codec, "start": 0,
                           "duration": length, "key_frame_wait": 0, "clocks": [], "holes": [], "writers": [], "epochs": [], "integrity": integrity,
                           "files": [{"path": f"tracks/{peer}/{name}.webm", "codec": codec, "container": "webm", "start": 0, "duration": length, "size": 1, "frames": 1, "key_frames": 1}]})
    (folder / "metadata.json").write_text(json.dumps({
        "version": 1, "recording_id": "rec", "room_id": "room", "title": "", "time_zero": "", "time_zero_us": 1767225600000000, "started_at": "",
        "duration": SECONDS * repeat, "size": 1, "complete": True, "warnings": [], "participants": [], "tracks": tracks}))


def pairs(folder):
    """Everybody's camera and microphone."""
    return [(folder / "tracks" / f"peer{number}" / "cam.webm", folder / "tracks" / f"peer{number}" / "mic.webm") for number in range(PEERS)]


def reference(pairs, folder):
    """The same work by ffmpeg: one process a peer, one thread, the same encoder settings, HLS of fragmented MP4."""
    cpu, out = 0, folder / "reference"
    out.mkdir(exist_ok=True)
    for camera, microphone in pairs:
        cpu += cpu_of(["ffmpeg", "-v", "error", "-y", "-threads", "1", "-i", camera, "-i", microphone, "-filter_threads", "1",
                       "-vf", f"fps={FPS},scale=640:360:flags=fast_bilinear", "-c:v", "libx264", "-threads", "1", "-preset", "superfast", "-crf", "27", "-maxrate", "800k", "-bufsize", "800k",
                       "-x264-params", f"force-cfr=1:weightp=0:scenecut=0:bframes=0:rc-lookahead=0:sync-lookahead=0:mbtree=0:subme=0:keyint={2 * FPS}:min-keyint={2 * FPS}", "-c:a", "aac", "-aac_coder", "fast", "-ac", "1", "-b:a", "64k",
                       "-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4", "-hls_playlist_type", "vod", out / "av.m3u8"])[0]
    return cpu


def bench(arguments):
    if not arguments.no_build:
        subprocess.run(["swift", "build", "-c", "release", "--product", "troupe-media"], cwd=ROOT, check=True, capture_output=True)
    binaries = os.environ.get("TROUPE_BUILD") or subprocess.run(["swift", "build", "-c", "release", "--show-bin-path"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    worker = pathlib.Path(binaries) / "troupe-media"
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as name:
        folder = pathlib.Path(name)
        make_recording(folder)
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            theirs.append(reference(pairs(folder), folder))
            ours.append(cpu_of([worker, "preview", "--dir", folder])[0])
        speed = PEERS * SECONDS / statistics.median(ours)
        ratios = [mine / other for mine, other in zip(ours, theirs)]
        memory = []
        for repeat in (1, 6):
            make_recording(folder, repeat)
            memory.append(peak_memory([worker, "preview", "--dir", folder]))
        row = {"case": "preview", "peers": PEERS, "speed": speed, "cpu_seconds": statistics.median(ours), "ffmpeg_cpu_seconds": statistics.median(theirs),
               "ratio": statistics.median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios), "peak_mib": memory[0], "peak_mib_six_times_longer": memory[1]}
        shutil.rmtree(folder / "preview")
    if arguments.json:
        print(json.dumps(row))
    else:
        print(f"preview: {speed:.1f} × real time per peer and core; CPU {row['ratio']:.2f} × the ffmpeg command's ({min(ratios):.2f} to {max(ratios):.2f}); "
              f"peak memory {memory[0]} MiB, {memory[1]} MiB for six times the length")


def peak_memory(command):
    """MiB, of a child alone."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)"
    return int(subprocess.run([sys.executable, "-c", code, *map(str, command)], check=True, capture_output=True, text=True).stdout)


def decoding_speed(camera, seconds):
    """Pictures of the camera a second of CPU that this core decodes now: alone on the machine it is twice what it is beside a busy one."""
    return 30 * seconds / cpu_of(["ffmpeg", "-v", "error", "-threads", "1", "-i", camera, "-f", "null", "-"])[0]
