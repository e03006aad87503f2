"""What is in a media file, told by ffprobe and by decoding it."""
import array
import json
import subprocess


def probe(path):
    """The first stream of a file: codec, seconds of its last packet's end, and its first timestamp."""
    run = subprocess.run(["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)], check=True, capture_output=True, text=True)
    answer = json.loads(run.stdout)
    stream = answer["streams"][0]
    return {"codec": stream["codec_name"], "kind": stream["codec_type"], "start": float(answer["format"].get("start_time", 0)),
            "duration": float(answer["format"]["duration"]), "width": stream.get("width"), "height": stream.get("height")}


def decode_errors(path):
    """What a decoder complains of from the first to the last byte."""
    run = subprocess.run(["ffmpeg", "-v", "warning", "-xerror", "-i", str(path), "-fps_mode", "passthrough", "-enc_time_base", "1:1000000", "-f", "null", "-"], capture_output=True, text=True)
    return (run.stderr.strip() or f"exit {run.returncode}") if run.returncode or run.stderr.strip() else ""


def beeps(path, threshold=2500, quiet=0.3):
    """Seconds at which sound starts after at least `quiet` seconds of silence, by the file's own timestamps."""
    rate = 48000
    start = probe(path)["start"]
    run = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-af", "aresample=async=1", "-ac", "1", "-ar", str(rate), "-f", "s16le", "-"], check=True, capture_output=True)
    samples = array.array("h", run.stdout)
    found, last_loud = [], -10.0
    for index in range(0, len(samples), 48):
        if max(map(abs, samples[index:index + 48]), default=0) > threshold:
            at = index / rate
            if at - last_loud > quiet:
                found.append(start + at)
            last_loud = at
    return found


def flashes(path, threshold=128):
    """Seconds at which the picture turns bright, by each frame's own timestamp."""
    run = subprocess.run(["ffprobe", "-v", "error", "-f", "lavfi", "-i", f"movie={path},signalstats", "-show_entries", "frame=pts_time:frame_tags=lavfi.signalstats.YAVG", "-of", "csv=p=0"],
                         check=True, capture_output=True, text=True)
    found, bright = [], False
    for line in run.stdout.splitlines():
        at, luma = (float(part) for part in line.split(",")[:2])
        if luma > threshold and not bright:
            found.append(at)
        bright = luma > threshold
    return found
