"""A recording of four people while nodes, the database and the object store go, at times and in ways a seed decides.

The judge is not the recorder: a tap in each node's namespace counts what reached it, and the journals are read here by their format,
wherever they stand."""
import pathlib, random, subprocess, sys, time

import tap
from evidence import Segments, files, gaps, journal_packets, unstored
from room import Run
from servers import POSTGRES
from verdict import Verdict
from world import ChaosError

SECONDS = 60            # of the recording
FAULTS = (12, 42)       # seconds into it
OUTAGE_SECONDS = 8      # of the database and the object store
RETURN_SECONDS = 6      # until a node that went is started again
MEDIA_PORT = 40101
MARGIN_SECONDS = 0.5    # after the answer to `start`, and before `stop` is sent
STORED_SECONDS = 60     # after the end, until everything is stored; with what is rendered of it:
RENDERED_SECONDS = 240
RENDERED = ("/processed/", "/preview/", "/thumbnail.jpg")
VICTIMS = ("recorder", "standby", "edge", "owner", "database", "object_store")


def recording(world, arguments):
    verdict = Verdict(f"recording, seed {world.seed}")
    taps = {}
    for node in world.nodes.values():
        file = world.folder / f"{node.name}.tap"
        process = subprocess.Popen(node.namespace.command(sys.executable, pathlib.Path(tap.__file__), MEDIA_PORT, file), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        world.started.append(process)
        taps[node.name] = file
    with Segments(world) as segments:
        run = Run(world, arguments, after=SECONDS + 4, record=True)
        begun = time.time()
        faults = carry_out(plan(world.seed), world, run, segments, begun)
        time.sleep(max(0.0, begun + SECONDS - time.time()))
        stopped = time.time()
        run.rosters_agree(verdict, [node for node in world.nodes.values() if node.answers])
        run.recording_goes_on(verdict, run.any_node(), longest=None)
        run.finish()
        everything_is_stored(world, verdict, arguments.quick)
        judge(world, run, verdict, segments, taps, faults, begun + MARGIN_SECONDS, stopped - MARGIN_SECONDS)
    segments.judge(verdict)
    run.clients_agree(verdict)
    run.no_event_lost(verdict)
    exactly_once(world, verdict)
    verdict.plan += ": " + ", ".join(f"{fault['told']} at {fault['from'] - begun:.0f} s" for fault in faults)
    return verdict


def plan(seed):
    """What a seed stands for: (seconds into the recording, victim, "kill" or "power", whether a node comes back) each."""
    chance = random.Random(seed)
    moments = sorted(chance.uniform(*FAULTS) for _ in range(chance.choice((1, 1, 2))))
    if len(moments) == 2 and moments[1] - moments[0] < OUTAGE_SECONDS + 6:
        moments[1] = moments[0] + OUTAGE_SECONDS + 6
    drawn = [(moment, chance.choice(VICTIMS), chance.choice(("kill", "power")), chance.random() < 0.5) for moment in moments]
    # Two dead of five would leave no majority of what a second fault takes.
    return [(moment, which, how, returns or len(moments) == 2) for moment, which, how, returns in drawn]


def carry_out(plan, world, run, segments, begun):
    """- Returns: of each fault the victim and its name, what is told of it, when it went and when it was there again, or infinity."""
    done = []
    for moment, which, how, returns in plan:
        time.sleep(max(0.0, begun + moment - time.time()))
        victim, told = find(world, run, segments, which)
        fault = {"which": which, "name": victim.name, "told": f"{how} {told}", "from": time.time(), "to": float("inf")}
        done.append(fault)
        {"kill": victim.kill, "power": victim.lose_power}[how]()
        is_server = which in ("database", "object_store")
        if returns or is_server:
            time.sleep(OUTAGE_SECONDS if is_server else RETURN_SECONDS)
            victim.restore_power()
            victim.start()
            fault["to"] = time.time()
            if not is_server:
                world.wait_ready([victim])
    return done


def find(world, run, segments, which):
    """The victim, and what is told of it."""
    if which in ("database", "object_store"):
        server = getattr(world, which)
        return server, server.name
    if which == "owner":
        victim = run.owner()
    elif which == "recorder":
        victim = run.recorder()
    elif which == "edge":
        victim = run.edge(other_than=[run.recorder()])
    else:
        recorder = run.recorder()
        others = [world.nodes[name] for name in sorted(segments.writers()) if world.nodes[name] is not recorder and world.nodes[name].answers]
        if not others:
            raise ChaosError("there is no standby")
        victim = others[-1]
    return victim, f"{which} ({victim.name})"


def everything_is_stored(world, verdict, is_quick):
    """The living have nothing on disks of their own any more, and the bucket has what the storage folder has, also what is rendered of the recording.

    - Parameter is_quick: nobody waits for that."""
    end = time.monotonic() + (STORED_SECONDS if is_quick else RENDERED_SECONDS)
    while True:
        left = [] if is_quick else query(world, "SELECT kind, state FROM jobs WHERE state NOT IN ('ready', 'failed', 'cancelled')")
        if not is_quick and not any(key.endswith("/processed/output.webm") for key in files(world.object_store.files)):
            left.append("processed/output.webm")
        left = left or [file for file in unstored(world) if not is_quick or not any(name in file for name in RENDERED)]
        if not left or time.monotonic() > end:
            break
        time.sleep(0.5)
    verdict.is_true("everything is stored in the end", not left, f"{len(left)} not: {left[:4]}" if left else "")
    # The load's pictures show nothing that could stand on a thumbnail.
    failed = query(world, "SELECT kind, failure_code, failure_message FROM jobs WHERE state IN ('failed', 'cancelled') AND failure_code <> 'nothing_captured'")
    verdict.is_true("no work on it fails", not failed, failed[:4] if failed else "")


def judge(world, run, verdict, segments, taps, faults, begin, end):
    """Every packet that came to a node which lived on is in a journal; what is in none is told in the manifest."""
    kept = set()
    for path in segments.journals():
        kept.update(journal_packets(path))
    streams = {ssrc for ssrc, _ in kept}
    missing, reached = [], 0
    for name, file in taps.items():
        absences = [(fault["from"] - 1, fault["to"]) for fault in faults if fault["name"] == name]
        for at, ssrc, sequence in tap.read(file):
            # What reached a node that then died died with it; a node that came back counts from then.
            if not begin <= at <= end or any(gone <= at <= back for gone, back in absences):
                continue
            reached += 1
            if (ssrc, sequence) not in kept:
                missing.append((round(at - begin, 2), name, ssrc, sequence))
    detail = f"{reached} packets reached nodes that lived, {len(missing)} of them in no journal" + (f": {sorted(missing)[:6]}" if missing else "")
    verdict.is_true("all that reached a node that lived is recorded", reached > 0 and not missing, detail)
    status, found = world.request(run.any_node(), f"/recording/{run.recording}", token=run.token)
    tracks = found.get("metadata", {}).get("tracks", []) if status == 200 else []
    told = sum(track["integrity"]["lost"] for track in tracks)
    absent = sum(gaps({sequence for one, sequence in kept if one == ssrc}) for ssrc in streams)
    verdict.is_true("nothing is missing silently", bool(tracks) and told >= absent, f"{absent} numbers are in no journal, the manifest tells {told}")
    if all(fault["which"] in ("database", "object_store") for fault in faults):
        # Before a track's beginning nothing is missing: it waited for a picture to begin with.
        holes = [(track["track_id"], hole) for track in tracks for hole in track["holes"] if hole["cause"] != "key_frame_wait" or hole["to"] > track["start"]]
        verdict.is_true("no hole: only what keeps it was away", bool(tracks) and not holes, holes[:4] if holes else "")


def query(world, statement):
    """Rows of the database, as lines."""
    done = subprocess.run(world.database.command(POSTGRES[-1] / "psql", world.database.url, "-At", "-c", statement), capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise ChaosError(f"the database does not answer the judge: {done.stderr[-500:]}")
    return done.stdout.splitlines()


def exactly_once(world, verdict):
    """No two results of one piece of work."""
    twice = query(world, "SELECT kind, count(*) FROM jobs WHERE state = 'ready' GROUP BY recording_id, kind, dedupe_key HAVING count(*) > 1")
    verdict.is_true("no result of a job is there twice", not twice, twice)
