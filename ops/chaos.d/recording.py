"""A recording of four people while nodes and the database go, at times and in ways a seed decides.

The judge is not the recorder: a tap in each node's namespace counts what reached it, and the journals are read here by their format."""
import pathlib, random, subprocess, sys, time

import tap
from room import Run
from verdict import Verdict
from world import POSTGRES, ChaosError

SECONDS = 60            # of the recording
FAULTS = (12, 42)       # seconds into it
OUTAGE_SECONDS = 8      # of the database
RETURN_SECONDS = 6      # until a node that went is started again
MEDIA_PORT = 40101
MARGIN_SECONDS = 0.5    # after the answer to `start`, and before `stop` is sent
VICTIMS = ("recorder", "standby", "edge", "owner", "database")


def journal_packets(path):
    """(SSRC, sequence number) of every RTP record whose place and length fit; docs/decisions/0016-packet-journals.md describes the file."""
    data = pathlib.Path(path).read_bytes()
    if data[:4] != b"TRPJ" or len(data) < 12:
        return
    offset = 12 + int.from_bytes(data[8:12], "big") + 4
    while offset + 20 <= len(data) and data[offset:offset + 2] == b"TR":
        kind, length = data[offset + 2], int.from_bytes(data[offset + 4:offset + 8], "big")
        packet = data[offset + 20:offset + 20 + length]
        if len(packet) < length:
            return
        if kind == 1:
            yield int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[2:4], "big")
        offset += 20 + length


def writers(world):
    """Names of the nodes that have journals."""
    return {path.name.split("-")[0] for path in world.disk.rglob("*.trj")}


def recording(world, arguments):
    chance = random.Random(world.seed)
    verdict = Verdict(f"recording, seed {world.seed}")
    taps = {}
    for node in world.nodes.values():
        file = world.folder / f"{node.name}.tap"
        process = subprocess.Popen(node.namespace.command(sys.executable, pathlib.Path(tap.__file__), MEDIA_PORT, file), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        world.started.append(process)
        taps[node.name] = file
    run = Run(world, arguments, after=SECONDS + 4, record=True)
    begun = time.time()
    events = plan(world, run, chance, begun)
    time.sleep(max(0.0, begun + SECONDS - time.time()))
    stopped = time.time()
    run.rosters_agree(verdict, [node for node in world.nodes.values() if node.answers])
    run.recording_goes_on(verdict, run.any_node(), longest=None)
    run.finish()
    dead = {name: (at, back) for name, at, back in events if name != "database"}
    judge(world, run, verdict, taps, dead, begun + MARGIN_SECONDS, stopped - MARGIN_SECONDS)
    run.clients_agree(verdict)
    run.no_event_lost(verdict)
    exactly_once(world, verdict)
    verdict.plan += ": " + ", ".join(f"{what} at {at - begun:.0f} s" for what, at in world.told)
    return verdict


def plan(world, run, chance, begun):
    """Carries the faults out. - Returns: (name, when it went, when it was there again or infinity)."""
    world.told, done = [], []
    moments = sorted(chance.uniform(*FAULTS) for _ in range(chance.choice((1, 1, 2))))
    if len(moments) == 2 and moments[1] - moments[0] < OUTAGE_SECONDS + 6:
        moments[1] = moments[0] + OUTAGE_SECONDS + 6
    for moment in moments:
        which, how, returns = chance.choice(VICTIMS), chance.choice(("kill", "power")), chance.random() < 0.5
        time.sleep(max(0.0, begun + moment - time.time()))
        at = time.time()
        if which == "database":
            world.told.append(("the database", at))
            world.database.stop()
            time.sleep(OUTAGE_SECONDS)
            world.database.start()
            done.append(("database", at, time.time()))
            continue
        victim = find(world, run, which)
        world.told.append((f"{how} {which} ({victim.name})", at))
        {"kill": victim.kill, "power": victim.lose_power}[how]()
        back = float("inf")
        # Two dead of five would leave no majority of what a second fault takes.
        if returns or len(moments) == 2:
            time.sleep(RETURN_SECONDS)
            victim.restore_power()
            victim.start()
            back = time.time()
            world.wait_ready([victim])
        done.append((victim.name, at, back))
    return done


def find(world, run, which):
    if which == "owner":
        return run.owner()
    if which == "recorder":
        return run.recorder()
    if which == "standby":
        others = [world.nodes[name] for name in sorted(writers(world)) if world.nodes[name] is not run.recorder() and world.nodes[name].answers]
        if not others:
            raise ChaosError("there is no standby")
        return others[-1]
    return run.edge(other_than=[run.recorder()])


def judge(world, run, verdict, taps, dead, begin, end):
    """Every packet that came to a node which lived on is in a journal; what is in none is told in the manifest."""
    kept = set()
    for path in world.disk.rglob("*.trj"):
        kept.update(journal_packets(path))
    streams = {ssrc for ssrc, _ in kept}
    missing, reached = [], 0
    for name, file in taps.items():
        gone, back = dead.get(name, (float("inf"), float("inf")))
        for at, ssrc, sequence in tap.read(file):
            # What reached a node that then died died with it; a node that came back counts from then.
            if not begin <= at <= end or gone - 1 <= at <= back:
                continue
            reached += 1
            if (ssrc, sequence) not in kept:
                missing.append((round(at - begin, 2), name, ssrc, sequence))
    detail = f"{reached} packets reached nodes that lived, {len(missing)} of them in no journal" + (f": {sorted(missing)[:6]}" if missing else "")
    verdict.is_true("all that reached a node that lived is recorded", reached > 0 and not missing, detail)
    status, found = world.request(run.any_node(), f"/recording/{run.recording}", token=run.token)
    tracks = found.get("metadata", {}).get("tracks", []) if status == 200 else []
    told = sum(track["integrity"]["lost"] for track in tracks)
    absent = sum(holes({sequence for one, sequence in kept if one == ssrc}) for ssrc in streams)
    verdict.is_true("nothing is missing silently", bool(tracks) and told >= absent, f"{absent} numbers are in no journal, the manifest tells {told}")


def holes(numbers):
    """Sequence numbers missing between the first and the last, across 65535 → 0 (RFC 3550, appendix A.1)."""
    ordered = sorted(numbers)
    if len(ordered) < 2:
        return 0
    # The largest step on the circle is where the stream does not go.
    steps = [(after - before) % 65536 for before, after in zip(ordered, ordered[1:] + ordered[:1])]
    steps.remove(max(steps))
    return sum(step - 1 for step in steps)


def exactly_once(world, verdict):
    """No two results of one piece of work."""
    words = ["ip", "netns", "exec", world.hub, str(POSTGRES[-1] / "psql"), world.database.url, "-At", "-c",
             "SELECT kind, count(*) FROM jobs WHERE state = 'ready' GROUP BY recording_id, kind, dedupe_key HAVING count(*) > 1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    verdict.is_true("no result of a job is there twice", done.returncode == 0 and not done.stdout.strip(), done.stdout + done.stderr)
