"""The plans: each breaks one thing in a running cluster with clients, and says what it cost."""
import math, os, signal, subprocess, time

from recording import recording
from room import AFTER_SECONDS, STEADY_SECONDS, Run
from verdict import Verdict
from world import ChaosError

DETECT = {"kill": 0.7, "power": 2.0, "stop": 2.0}
GAP = {"kill": 1.0, "power": 2.0, "stop": 3.0, "partition": 3.0, "drain": 0.1}
DRAIN_SECONDS = 15
OUTAGE_SECONDS = 10     # of the store
CLOCK_SECONDS = 600     # that a clock jumps


def lose(world, arguments, how, which):
    """A node goes: by SIGKILL, by power loss, or stalled by SIGSTOP; it hosts the room, or has clients, or records."""
    verdict = Verdict(f"{how}-{which}")
    run = Run(world, arguments, record=which == "recorder")
    owner = run.owner()
    victim = {"owner": lambda: owner, "recorder": run.recorder, "edge": lambda: run.edge(other_than=[owner])}[which]()
    at = time.time()
    {"kill": victim.kill, "power": victim.lose_power, "stop": lambda: victim.signal(signal.SIGSTOP)}[how]()
    time.sleep(max(0.0, at + AFTER_SECONDS / 2 - time.time()))
    alive = [node for node in world.nodes.values() if node is not victim]
    run.rosters_agree(verdict, alive)
    if run.recording:
        # The standby has what reaches any node: what is missing is what the dead edge's own publishers could not send.
        run.recording_goes_on(verdict, alive[0], longest=GAP[how])
    run.finish()
    verdict.at_most("detected by every other node", run.detected(victim, at), DETECT[how], q=1.0)
    run.media_flows_again(verdict, GAP[how])
    run.clients_agree(verdict)
    run.no_event_lost(verdict)
    if how == "stop":
        victim.signal(signal.SIGCONT)
    comes_back(world, run, verdict, victim)
    return verdict


def comes_back(world, run, verdict, victim):
    """Under a new life, and all see it."""
    victim.restore_power()
    if not victim.is_running:
        victim.start()
    try:
        world.wait_ready([victim])
        run.wait_joined()
        verdict.is_true("the node comes back", True)
    except ChaosError as error:
        verdict.is_true("the node comes back", False, str(error)[:400])


def partition(world, arguments, kind="partition"):
    """Two of the nodes are cut off from the others (and from the store) for eight seconds."""
    verdict = Verdict(kind)
    run = Run(world, arguments, after=24)
    nodes = list(world.nodes.values())
    # The owner is among the few: its side may not go on deciding for long.
    owner = run.owner()
    minority = [owner, next(node for node in nodes if node is not owner)]
    majority = [node for node in nodes if node not in minority]
    addresses = [node.namespace.address for node in majority] + [world.store_address]
    before = run.session(majority[0])[1].get("epoch", 0)
    rounds = 4 if kind == "flapping" else 1
    for _ in range(rounds):
        for node in minority:
            node.cut(addresses, outgoing=kind != "asymmetric")
        time.sleep(8 / rounds)
        if kind == "partition":
            sides = [run.session(side[0]) for side in (majority, minority)]
            deciders = {(session["node"], session["epoch"]) for status, session in sides if status == 200}
            verdict.is_true("the majority decides, and it alone", sides[0][0] == 200 and len(deciders) == 1, [(status, session.get("node"), session.get("epoch")) if status == 200 else (status, str(session)[:120]) for status, session in sides])
        for node in minority:
            node.heal()
        time.sleep(1)
    run.rosters_agree(verdict, nodes)
    run.finish()
    after = run.roster[1] if run.roster else 0
    verdict.is_true("the epoch grew, or stayed", before <= after, f"{before} → {after}")
    run.media_flows_again(verdict, GAP["partition"] if rounds == 1 else GAP["partition"] + 8 / rounds)
    run.clients_agree(verdict)
    run.no_event_lost(verdict)
    return verdict


def lossy(world, arguments):
    """Every node's incoming packets wait 30 ± 10 ms, and one of fifty never arrives."""
    verdict = Verdict("lossy")
    run = Run(world, arguments)
    begun = time.time()
    for node in world.nodes.values():
        node.impair(delay=30, jitter=10, loss=2)
    try:
        time.sleep(AFTER_SECONDS - 4)
        run.rosters_agree(verdict, list(world.nodes.values()))
        run.finish()
    finally:
        for node in world.nodes.values():
            node.repair()
    received = run.report["total"]["received"]
    verdict.at_most("packets lost after repair", 100 * received["lost"] / max(1, received["packets"] + received["lost"]), 0.5, unit="%")
    downs = [entry for node in world.nodes.values() for entry in node.events("member", since=begun) if entry.get("state") == "down"]
    verdict.is_true("nobody is declared down", not downs, [(entry["node"], entry["member"]) for entry in downs[:4]])
    run.media_flows_again(verdict, 0.5)
    run.clients_agree(verdict)
    run.no_event_lost(verdict)
    return verdict


def nobody_loses_a_frame(run, verdict):
    run.media_flows_again(verdict, GAP["drain"])
    verdict.at_most("frames lost", [one["missing"] for one in run.report["subscribers"]], 0, q=0.5, unit="packets")
    run.clients_agree(verdict)
    run.no_event_lost(verdict)


def drain(world, arguments):
    """The node that hosts the room, with clients, is emptied: nobody loses a frame."""
    verdict = Verdict("drain")
    run = Run(world, arguments, after=DRAIN_SECONDS + 6)
    victim = run.owner()
    begun = time.time()
    status, answer = run.admin(f"nodes/{victim.name}/drain", {"deadline_seconds": DRAIN_SECONDS})
    verdict.is_true("the drain begins", status == 200, "" if status == 200 else f"{status} {answer}")
    end, found = time.time() + DRAIN_SECONDS + 2, {}
    while time.time() < end and found.get("state") in (None, "draining"):
        time.sleep(0.2)
        _, nodes = run.admin("nodes")
        found = next((node.get("drain", {}) for node in nodes["nodes"] if node["node"] == victim.name), {})
    verdict.is_true("nothing is left on it and nobody was cut off", found.get("state") == "drained" and found.get("cut") == found.get("cut_unaware") == 0, f"after {time.time() - begun:.1f} s: {found}")
    run.rosters_agree(verdict, list(world.nodes.values()))
    run.finish()
    nobody_loses_a_frame(run, verdict)
    status, answer = run.admin(f"nodes/{victim.name}/undrain", {})
    verdict.is_true("it takes work again", status == 200 and world.request(victim, "/readyz")[0] == 200, "" if status == 200 else f"{status} {answer}")
    return verdict


def move(world, arguments):
    """The room's actor goes round all nodes while its clients talk: they notice nothing."""
    verdict = Verdict("move")
    run = Run(world, arguments)
    took, refused = [], []
    for node in list(world.nodes.values()):
        if node is run.owner():
            continue
        status, report = run.admin(f"rooms/{run.room}/move", {"node": node.name})
        (took.append(report["milliseconds"] / 1000) if status == 200 else refused.append((node.name, status, report)))
        time.sleep(0.5)
    verdict.is_true("every move is made", not refused and len(took) >= world.count - 1, refused[:2])
    verdict.at_most("a move takes", took, 1.0)
    run.rosters_agree(verdict, list(world.nodes.values()))
    run.finish()
    nobody_loses_a_frame(run, verdict)
    return verdict


def store_down(world, arguments):
    """The database stops for ten seconds: what runs goes on, new rooms are refused with a word, all heals."""
    verdict = Verdict("store-down")
    run = Run(world, arguments, after=OUTAGE_SECONDS + 14, record=True)
    nodes = list(world.nodes.values())
    begun = time.time()
    world.database.stop()
    time.sleep(3)
    status, answer = world.request(nodes[0], "/api/v1/sessions/create", {"title": "x", "host_name": "y"}, run.token)
    verdict.is_true("a new room is refused for now", status == 503, f"{status} {answer}")
    verdict.is_true("health stays good", all(world.request(node, path)[0] == 200 for node in nodes for path in ("/healthz", "/readyz")))
    known = [world.request(node, f"/admin/v1/rooms/{run.room}", token=run.token)[1] for node in nodes]
    verdict.is_true("the room is told with all its people", all(len(room.get("participants", [])) == run.expected for room in known), "" if known[0].get("participants") else known[0])
    sessions = [world.request(node, f"/api/v1/sessions/{run.room}", token=run.host["token"]) for node in nodes]
    verdict.is_true("its clients are told too", all(status == 200 and len(room["participants"]) == run.expected for status, room in sessions), sessions[0][0])
    time.sleep(max(0.0, begun + OUTAGE_SECONDS - time.time()))
    world.database.start()
    end, status = time.time() + 10, 0
    while status != 201 and time.time() < end:
        status, _ = world.request(nodes[0], "/api/v1/sessions/create", {"title": "x", "host_name": "y"}, run.token)
        time.sleep(0.2)
    verdict.is_true("new rooms again after it returned", status == 201, status)
    run.rosters_agree(verdict, nodes)
    run.recording_goes_on(verdict, nodes[0], longest=1.0)
    run.finish()
    verdict.at_most("media gap of subscribers", run.gaps(), 0.1, detail=run.worst())
    run.clients_agree(verdict)
    run.no_event_lost(verdict)
    return verdict


def disk_full(world, arguments):
    """The disk of recordings is full for four seconds: the room goes on, and so does the recording; what is missing is listed."""
    verdict = Verdict("disk-full")
    run = Run(world, arguments, after=20, record=True)
    filler = world.fill_disk()
    time.sleep(4)
    verdict.is_true("health stays good", all(world.request(node, "/healthz")[0] == 200 for node in world.nodes.values()))
    run.rosters_agree(verdict, list(world.nodes.values()))
    filler.unlink()
    time.sleep(3)
    run.recording_goes_on(verdict, run.any_node(), longest=None)
    run.finish()
    verdict.at_most("media gap of subscribers", run.gaps(), 0.1, detail=run.worst())
    run.clients_agree(verdict)
    run.no_event_lost(verdict)
    return verdict


def clock_jump(world, arguments):
    """The wall clock of the room's node jumps ten minutes ahead, then back: nothing depends on it."""
    verdict = Verdict("clock-jump")
    run = Run(world, arguments)
    victim, begun = run.owner(), time.time()
    victim.set_clock(CLOCK_SECONDS)
    time.sleep(5)
    run.rosters_agree(verdict, list(world.nodes.values()))
    victim.set_clock(0)
    time.sleep(2)
    run.finish()
    # The victim's own log is ten minutes ahead meanwhile, so its lines are no older than `begun` either.
    downs = [entry for node in world.nodes.values() for entry in node.events("member", since=begun) if entry.get("state") == "down"]
    verdict.is_true("nobody is declared down", not downs, [(entry["node"], entry["member"]) for entry in downs[:4]])
    said = [entry for node in world.nodes.values() if node is not victim for entry in node.events("cluster", since=begun) if f"the clock of {victim.name}" in entry.get("notice", "")]
    verdict.is_true("the others say that its clock is off", bool(said))
    verdict.at_most("media gap of subscribers", run.gaps(), 0.1, detail=run.worst())
    run.clients_agree(verdict)
    run.no_event_lost(verdict)
    return verdict


def mixed(world, arguments):
    """Nodes of an earlier release and of this one in one room, which moves between them; then the earlier ones are replaced, one by one."""
    verdict = Verdict("mixed")
    new = world.binaries / "troupe"
    earlier = [node for node in world.nodes.values() if node.program != new]
    run = Run(world, arguments, after=20 + 12 * len(earlier), record=True)
    refused = []
    for node in (earlier[0], list(world.nodes.values())[-1]):
        if node is not run.owner():
            status, answer = run.admin(f"rooms/{run.room}/move", {"node": node.name})
            refused += [] if status == 200 else [(node.name, status, answer)]
        time.sleep(1)
    verdict.is_true("the room moves to the earlier release and back", not refused, refused[:2])
    run.rosters_agree(verdict, list(world.nodes.values()))
    for node in earlier:
        begun = time.time()
        node.signal(signal.SIGTERM)
        status = node.process.wait(DRAIN_SECONDS + 10)
        node.program = new
        node.start()
        world.wait_ready([node])
        run.wait_joined()
        verdict.is_true(f"{node.name} is replaced", status == 0, f"exit {status}, after {time.time() - begun:.1f} s")
    run.rosters_agree(verdict, list(world.nodes.values()))
    run.recording_goes_on(verdict, run.any_node(), longest=1.0)
    run.finish()
    nobody_loses_a_frame(run, verdict)
    return verdict


def processor_seconds():
    """Seconds that all processors together have worked, and have been there, since the machine started."""
    with open("/proc/stat") as file:
        user, nice, system, idle, waiting, *rest = (int(field) for field in file.readline().split()[1:9])
    worked = user + nice + system + sum(rest)
    return worked, worked + idle + waiting


def quiet(world, arguments):
    """Nothing is broken, but the processors are kept busy: nobody may be declared down."""
    verdict = Verdict("quiet")
    begun, before = time.time(), processor_seconds()
    # A session of its own: the kernel weighs sessions first, and processes within them.
    burn = f"echo {arguments.load_nice} > /proc/self/autogroup || true; exec nice -n {arguments.load_nice} sh -c 'while :; do :; done'"
    burners = [subprocess.Popen(["sh", "-c", burn], start_new_session=True, stderr=subprocess.DEVNULL) for _ in range(max(1, (os.cpu_count() or 1) * arguments.load // 100))] if arguments.load else []
    try:
        run = Run(world, arguments, after=arguments.minutes * 60 - STEADY_SECONDS)
        run.finish()
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    worked, there = (after - earlier for after, earlier in zip(processor_seconds(), before))
    downs = [entry for node in world.nodes.values() for entry in node.events("member", since=begun) if entry.get("state") == "down"]
    verdict.is_true(f"nobody is declared down in {arguments.minutes:g} minutes", not downs, [(entry["node"], entry["member"]) for entry in downs[:4]])
    busy = 100 * worked / max(1, there)
    verdict.is_true(f"the processors were busy for at least {arguments.load} % of it", busy >= arguments.load - 1, f"{busy:.1f} %")
    verdict.is_true("every client receives to the end", all(math.isfinite(gap) for gap in run.gaps()) and not run.report["failures"], run.report["failures"][:4])
    return verdict


PLANS = {
    **{f"{how}-{which}": (lambda world, arguments, how=how, which=which: lose(world, arguments, how, which))
       for how in ("kill", "power", "stop") for which in ("owner", "edge", "recorder") if (how, which) != ("stop", "recorder")},
    "partition": partition,
    "asymmetric": lambda world, arguments: partition(world, arguments, "asymmetric"),
    "flapping": lambda world, arguments: partition(world, arguments, "flapping"),
    "lossy": lossy, "drain": drain, "move": move, "store-down": store_down, "disk-full": disk_full, "clock-jump": clock_jump, "mixed": mixed, "quiet": quiet, "recording": recording,
}
