"""`ops/bench export`: what an export costs, beside one ffmpeg command that makes the same grid with the same encoder settings.

Four people in 720p at 30 fps, VP8 and Opus, into one 720p H.264 and AAC; one core, one encoder thread, taking turns. The command is
spared what ours does besides: it measures no loudness, limits nothing and knows the names and the arrangement beforehand."""
import json, os, pathlib, statistics, subprocess, tempfile

import preview

PEERS = 4
GAP, WIDTH, HEIGHT = 8, 618, 346     # Composition's grid of four at 1280x720


def reference(pairs, folder):
    """One ffmpeg command over everybody's camera and microphone, four of them."""
    inputs, chains = [], []
    for number, (camera, microphone) in enumerate(pairs):
        inputs += ["-threads", "1", "-i", camera, "-i", microphone]
        chains.append(f"[{2 * number}:v]fps=30,scale={WIDTH}:{HEIGHT},drawtext=text=peer{number}:x=17:y=h-30:fontsize=16:fontcolor=white:box=1:boxborderw=8:boxcolor=black[v{number}]")
    pictures = "".join(f"[v{number}]" for number in range(PEERS))
    places = f"0_0|{WIDTH + GAP}_0|0_{HEIGHT + GAP}|{WIDTH + GAP}_{HEIGHT + GAP}"
    chains.append(f"{pictures}xstack=inputs={PEERS}:layout={places}:fill=0x181818,pad=1280:720:18:10:0x181818[v]")
    chains.append("".join(f"[{2 * number + 1}:a]" for number in range(PEERS)) + f"amix=inputs={PEERS}:normalize=0,volume=0.5,aformat=channel_layouts=stereo[a]")
    return preview.cpu_of(["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex_threads", "1", "-filter_complex", ";".join(chains), "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-threads", "1",
                           "-preset", "veryfast", "-crf", "23", "-g", "60", "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", folder / "reference.mp4"])[0]


def bench(arguments):
    if not arguments.no_build:
        subprocess.run(["swift", "build", "-c", "release", "--product", "troupe-media"], cwd=preview.ROOT, check=True, capture_output=True)
    binaries = os.environ.get("TROUPE_BUILD") or subprocess.run(["swift", "build", "-c", "release", "--show-bin-path"], cwd=preview.ROOT, check=True, capture_output=True, text=True).stdout.strip()
    worker = pathlib.Path(binaries) / "troupe-media"
    preview.PEERS = PEERS
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as name:
        folder = pathlib.Path(name)
        preview.make_recording(folder)
        command = [worker, "export", "--dir", folder, "--format", "mp4", "--threads", "1"]
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            theirs.append(reference(preview.pairs(folder), folder))
            ours.append(preview.cpu_of(command)[0])
        ratios = [mine / other for mine, other in zip(ours, theirs)]
        memory = []
        for repeat in (1, 6):
            preview.make_recording(folder, repeat)
            memory.append(preview.peak_memory([worker, "export", "--dir", folder, "--format", "mp4", "--preset", "fast"]))
    row = {"case": "export", "peers": PEERS, "speed": preview.SECONDS / statistics.median(ours), "cpu_seconds": statistics.median(ours), "ffmpeg_cpu_seconds": statistics.median(theirs),
           "ratio": statistics.median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios), "peak_mib": memory[0], "peak_mib_six_times_longer": memory[1]}
    if arguments.json:
        print(json.dumps(row))
    else:
        print(f"export: {row['speed']:.1f} × real time per core; CPU {row['ratio']:.2f} × the ffmpeg command's ({min(ratios):.2f} to {max(ratios):.2f}); "
              f"peak memory {memory[0]} MiB, {memory[1]} MiB for six times the length")
