"""`ops/bench recording`: what a recording costs from its first packet to its last file, all of it on one real recording.

Four people (troupe-load: 720p VP8 at 30 fps and 1.5 Mbit/s, Opus) meet on one node and are recorded by another, for SHORT and for LONG
seconds. CPU seconds, not wall, so that a busy machine spoils little; ffmpeg's turn is beside ours in each round."""
import json, os, pathlib, shutil, signal, socket, ssl, statistics, subprocess, sys, tempfile, time, urllib.request

import export, preview

PEOPLE = 4
SHORT, LONG = 8, 32
READY_SECONDS = 30
TICKS = os.sysconf("SC_CLK_TCK")
COMPOSITION = {"layout": "grid", "export": {"resolution": "360p", "fps": 24}}     # of the export whose memory is looked at


def fail(text):
    sys.exit(f"bench: {text}")


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def cpu_seconds(process):
    """Of a running process alone, its children left out (proc(5), stat, fields 14 and 15)."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Nodes:
    """A node with the room and one that records it."""

    def __init__(self, binaries, folder):
        self.binaries, self.folder, self.processes = binaries, folder, {}
        self.storage, self.topology = folder / "recordings", folder / "topology.yaml"

    def __enter__(self):
        lines, ports = ["nodes:"], {}
        for name, roles in (("room", "edge, room"), ("recorder", "recorder")):
            ports[name] = free_port()
            lines += [f"  - name: {name}", "    host: 127.0.0.1", f"    cluster_port: {free_port()}", f"    http_port: {ports[name]}", f"    media_ports: [{free_port(socket.SOCK_DGRAM)}]",
                      f"    pipe_ports: [{free_port(socket.SOCK_DGRAM)}]", f"    roles: [{roles}]"]
        lines += ["store:", f"  sqlite: {self.folder}/troupe.db", "storage:", f"  folder: {self.storage}", f"ca_dir: {self.folder}/ca", f"keys_file: {self.folder}/keys.yaml"]
        self.topology.write_text("\n".join(lines) + "\n")
        subprocess.run([self.binaries / "troupe", "keys", "--topology", self.topology], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url, self.authority = f"https://127.0.0.1:{ports['room']}", self.folder / "ca" / "ca.pem"
        self.tls = ssl.create_default_context(cafile=str(self.authority))
        try:
            for name in ports:
                with open(self.folder / f"{name}.log", "w") as log:
                    self.processes[name] = subprocess.Popen([self.binaries / "troupe", "node", "--topology", self.topology, "--name", name], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            for name, port in ports.items():
                self.wait_ready(name, port)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_ready(self, name, port):
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and self.processes[name].poll() is None:
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", timeout=2, context=self.tls) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        fail(f"{name} was not ready within {READY_SECONDS} s:\n{(self.folder / f'{name}.log').read_text()[-2000:]}")

    def meet(self, seconds, *options):
        """The four for so long. Gives CPU seconds of both nodes, and troupe-load's report."""
        before = {name: cpu_seconds(process) for name, process in self.processes.items()}
        host = self.folder / "host.json"
        run = subprocess.run(
            [self.binaries / "troupe-load", "--url", self.url, "--ca", self.authority, "--create", "Bench", "--publish", str(PEOPLE), "--subscribe", "0", "--ivf", self.folder / "cam.ivf",
             "--ogg", self.folder / "mic.ogg", "--duration", str(seconds), "--bind", "127.0.0.1", "--json", "--quiet", "--host-file", host, *options],
            capture_output=True, text=True, timeout=seconds + 120)
        if run.returncode != 0:
            fail(f"troupe-load ended with {run.returncode}: {run.stdout[-1500:]}{run.stderr[-1500:]}")
        return {name: cpu_seconds(process) - before[name] for name, process in self.processes.items()}, json.loads(run.stdout)

    def record(self, seconds):
        """Gives the recording's folder, its length, and what its four pairs cost: cores of the recorder, and of both nodes."""
        cpu, report = self.meet(seconds, "--record")
        token = json.loads((self.folder / "host.json").read_text())["token"]
        request = urllib.request.Request(f"{self.url}/api/recordings?roomId={report['room_id']}", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10, context=self.tls) as answer:
            [recording] = json.loads(answer.read())["recordings"]
        if recording["state"] != "ready":
            fail(f"the recording is {recording['state']}: {recording}")
        return self.storage / "rooms" / report["room_id"] / recording["recording_id"], recording["duration"], cpu


def make_media(folder, seconds=10):
    """A moving card over a moving scene, harder than a face before a wall; a tone that is never silent."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-t", str(seconds), "-c:v", "libvpx", "-deadline", "realtime",
                    "-cpu-used", "8", "-b:v", "1500k", "-g", "300", "-f", "ivf", folder / "cam.ivf"], check=True, timeout=120)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000", "-t", str(seconds), "-c:a", "libopus", "-b:a", "40k", folder / "mic.ogg"], check=True, timeout=60)


def pairs(folder):
    """Everybody's camera and microphone, as finishing named them."""
    manifest = json.loads((folder / "metadata.json").read_text())
    found = {}
    for track in manifest["tracks"]:
        if len(track["files"]) != 1 or track["integrity"]["lost"]:
            fail(f"a track is not whole, nothing here is worth comparing: {track}")
        found.setdefault(track["peer_id"], {})[track["kind"]] = folder / track["files"][0]["path"]
    if len(found) != PEOPLE:
        fail(f"{len(found)} people were recorded, not {PEOPLE}")
    return [(kinds["video"], kinds["audio"]) for kinds in found.values()]


def journals_alone(folder, target):
    """A copy as it was before it was finished."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("tracks", "metadata.json", "timeline.json", "preview", "processed", "thumbnail.jpg"))
    return target


def finishing(worker, folder, scratch):
    """CPU seconds and peak MiB of finishing; the faster of two, the first one warms the disk's cache."""
    runs = []
    for number in range(2):
        copy = journals_alone(folder, scratch / f"finish-{folder.name}-{number}")
        runs.append(preview.cpu_of([worker, "finalise", "--dir", copy, "--recording", folder.name])[0])
        if number:
            shutil.rmtree(copy / "tracks")
            (copy / "metadata.json").unlink()
            memory = preview.peak_memory([worker, "finalise", "--dir", copy, "--recording", folder.name])
        shutil.rmtree(copy)
    return min(runs), memory


def measure(arguments, binaries, scratch):
    worker = binaries / "troupe-media"
    make_media(scratch)
    with Nodes(binaries, scratch) as nodes:
        unrecorded, _ = nodes.meet(SHORT)
        short, short_seconds, _ = nodes.record(SHORT)
        long, long_seconds, cost = nodes.record(LONG)
    rows, share = [], PEOPLE * long_seconds
    extra = cost["room"] - unrecorded["room"] * long_seconds / SHORT
    rows.append(("capture: cores of the recorder per audio and video pair", cost["recorder"] / share, "≤", 0.03, ".4f"))
    rows.append(("capture: with what the room's node has to do besides", (cost["recorder"] + extra) / share, "≤", 0.03, ".4f"))
    finish_long, memory_long = finishing(worker, long, scratch)
    _, memory_short = finishing(worker, short, scratch)
    rows.append((f"finishing {PEOPLE} people: × real time per core", long_seconds / finish_long, "≥", 100, ".0f"))
    memory = {"finishing": (memory_short, memory_long)}

    people, ours, theirs = pairs(short), {"preview": [], "export": []}, {"preview": [], "export": []}
    decoding = preview.decoding_speed(people[0][0], short_seconds)
    for _ in range(arguments.rounds):
        theirs["preview"].append(preview.reference(people, scratch))
        ours["preview"].append(preview.cpu_of([worker, "preview", "--dir", short])[0])
        theirs["export"].append(export.reference(people, scratch))
        ours["export"].append(preview.cpu_of([worker, "export", "--dir", short, "--format", "mp4", "--threads", "1"])[0])
    rows.append(("preview: × real time per person and core", PEOPLE * short_seconds / statistics.median(ours["preview"]), "≥", 10, ".1f"))
    for kind in ("preview", "export"):
        rows.append((f"{kind}: CPU seconds beside the ffmpeg command's", statistics.median(mine / other for mine, other in zip(ours[kind], theirs[kind])), "≤", 1.1, ".2f"))
    composition = scratch / "composition.json"
    composition.write_text(json.dumps(COMPOSITION))
    commands = {"preview": ["preview"], "export": ["export", "--format", "mp4", "--preset", "fast", "--composition", composition]}
    for kind, (name, *options) in commands.items():
        memory[kind] = tuple(preview.peak_memory([worker, name, "--dir", folder, *options]) for folder in (short, long))
    for kind, (small, large) in memory.items():
        rows.append((f"{kind}: peak memory, {long_seconds:.0f} s over {short_seconds:.0f} s ({large} MiB, {small} MiB)", large / small, "≤", 1.1, ".2f"))
    return rows, decoding, {kind: (statistics.median(ours[kind]), statistics.median(theirs[kind])) for kind in ours}


def bench(arguments):
    if not arguments.no_build and "TROUPE_BUILD" not in os.environ:
        for product in ("troupe", "troupe-media", "troupe-load"):
            subprocess.run(["swift", "build", "-c", "release", "--product", product], cwd=preview.ROOT, check=True, capture_output=True)
    binaries = pathlib.Path(os.environ.get("TROUPE_BUILD") or subprocess.run(["swift", "build", "-c", "release", "--show-bin-path"], cwd=preview.ROOT, check=True, capture_output=True, text=True).stdout.strip()).resolve()
    for name in ("troupe", "troupe-media", "troupe-load"):
        if not os.access(binaries / name, os.X_OK):
            fail(f"{binaries / name} is not built; leave out --no-build")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as name:
        rows, decoding, cpu = measure(arguments, binaries, pathlib.Path(name))
    if arguments.json:
        print(json.dumps({"case": "recording", "decoding": decoding, "cpu_seconds": cpu, "seconds": time.monotonic() - began,
                          "figures": [{"what": what, "figure": figure, "reach": reach, "is_reached": figure <= reach if side == "≤" else figure >= reach} for what, figure, side, reach, _ in rows]}))
        return
    for what, figure, side, reach, form in rows:
        missed = "" if (figure <= reach if side == "≤" else figure >= reach) else "   missed"
        print(f"{what:75} {figure:>8{form}}   reach {side} {reach:g}{missed}")
    print(f"CPU seconds, ours and ffmpeg's: " + ", ".join(f"{kind} {mine:.1f} and {other:.1f}" for kind, (mine, other) in cpu.items()) +
          f"; this core decodes {decoding:.0f} pictures of 720p VP8 a second of CPU; took {time.monotonic() - began:.0f} s")
