"""The plans: each breaks one thing in a running cluster with clients, and says what it cost."""
import base64, hashlib, hmac, json, math, re, signal, time

from verdict import Verdict
from world import ChaosError

SETTLE_SECONDS = 6      # from the clients' start until the fault: everybody receives by then
AFTER_SECONDS = 14      # from the fault until the clients stop
DETECT = {"kill": 0.7, "power": 2.0, "stop": 2.0}
GAP = {"kill": 1.0, "power": 2.0, "stop": 3.0, "drain": 0.1}
QUIET_SECONDS = 5       # for rosters to agree once the fault is over


def admin_token(world):
    """A roomAdmin token signed with the cluster's own key."""
    text = (world.folder / "keys.yaml").read_text()
    key, secret = re.search(r"id:\s*\"?([^\s\"]+)", text), re.search(r"secret:\s*\"?([^\s\"]+)", text)
    if not key or not secret:
        raise ChaosError("keys.yaml holds no key")
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    body = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(
        {"iss": key[1], "sub": "chaos", "exp": int(time.time()) + 86_400, "video": {"roomAdmin": True, "roomCreate": True, "roomList": True, "roomJoin": True, "roomRecord": True}})
    return (body + b"." + base64.urlsafe_b64encode(hmac.new(secret[1].encode(), body, hashlib.sha256).digest()).rstrip(b"=")).decode()


class Run:
    """A room with clients on all nodes, and the questions every plan asks about it."""

    def __init__(self, world, arguments, seconds=SETTLE_SECONDS + AFTER_SECONDS, publishers=4, subscribers=None, record=False):
        self.world, self.token, self.seconds = world, admin_token(world), seconds
        first = next(iter(world.nodes.values()))
        status, made = world.request(first, "/api/v1/sessions/create", {"title": "Chaos", "host_name": "Host"}, self.token)
        if status not in (200, 201):
            raise ChaosError(f"no room: {status} {made}")
        self.room, self.host = made["session_id"], made["host"]
        urls = [word for node in world.nodes.values() for word in ("--url", node.url)]
        self.began = time.time()
        self.load = world.load(*urls, "--room", self.room, "--publish", publishers, "--subscribe", subscribers or arguments.clients, "--duration", seconds,
                               "--audio", "50/160", "--video", "25x2x1000")
        time.sleep(SETTLE_SECONDS)
        self.recording = None
        if record:
            status, answer = world.request(first, "/recording/start", {"room_id": self.room}, self.host["token"])
            if status != 200:
                raise ChaosError(f"no recording: {status} {answer}")
            self.recording = answer["recording_id"]

    def session(self, node):
        return self.world.request(node, f"/api/v1/sessions/{self.room}", token=self.token)

    def owner(self):
        """The node that hosts the Room actor."""
        for node in self.world.nodes.values():
            status, session = self.session(node)
            if status == 200:
                return self.world.nodes[session["node"]]
        raise ChaosError("no node knows the room")

    def edge(self, other_than=()):
        """A node with clients that is none of `other_than`."""
        return next(node for node in self.world.nodes.values() if node not in other_than)

    def finish(self):
        self.report = self.world.finish(self.load, self.seconds + 60)
        return self.report

    def gaps(self):
        """Seconds; infinite for a subscriber that never recovered."""
        return [math.inf if one.get("media_gap_ms") is None else one["media_gap_ms"] / 1000 for one in self.report["subscribers"]]

    def detected(self, victim, at):
        """Seconds after `at` until each other node knew `victim` to be down; infinite where it never did."""
        pattern = re.compile(rf"\b{victim.name}\b.* down|down.*\b{victim.name}\b")
        found = []
        for node in self.world.nodes.values():
            if node is victim or not node.is_running:
                continue
            times = [entry for entry in node.events("cluster", since=at - 0.05) if pattern.search(json.dumps(entry))]
            found.append(min((max(0.0, stamp(entry) - at) for entry in times), default=math.inf))
        return found

    def rosters_agree(self, verdict, alive):
        """Every node tells the same roster, under the same epoch, from the same owner."""
        end, seen = time.time() + QUIET_SECONDS, []
        while time.time() < end:
            answers = [self.session(node) for node in alive]
            seen = [json.dumps([session.get("node"), session.get("epoch"), sorted(one["id"] for one in session["participants"])]) if status == 200 else f"{status}" for status, session in answers]
            if len(set(seen)) == 1 and not seen[0].isdigit():
                break
            time.sleep(0.2)
        verdict.is_true("one room, one roster", len(set(seen)) == 1 and not seen[0].isdigit(), "" if len(set(seen)) == 1 else seen)


def stamp(entry):
    from world import parse_time
    return parse_time(entry)


def lose(world, arguments, how, which):
    """A node goes: by SIGKILL, by power loss, or stalled by SIGSTOP; it hosts the room, or has clients, or records."""
    verdict = Verdict(f"{how} {which}")
    run = Run(world, arguments, record=which == "recorder")
    owner = run.owner()
    if which == "owner":
        victim = owner
    elif which == "recorder":
        _, recording = world.request(owner, f"/recording/{run.recording}", token=run.token)
        victim = world.nodes[recording.get("node") or recording.get("recorder") or owner.name]
    else:
        victim = run.edge(other_than=[owner])
    at = time.time()
    if how == "kill":
        victim.kill()
    elif how == "power":
        victim.lose_power()
    else:
        victim.signal(signal.SIGSTOP)
    time.sleep(max(0.0, run.began + SETTLE_SECONDS + AFTER_SECONDS - 6 - time.time()))
    alive = [node for node in world.nodes.values() if node is not victim]
    run.rosters_agree(verdict, alive)
    run.finish()
    verdict.at_most("detected by every other node", run.detected(victim, at), DETECT[how], q=1.0)
    verdict.at_most("media gap of subscribers", run.gaps(), GAP[how])
    if run.recording:
        status, recording = world.request(alive[0], f"/recording/{run.recording}", token=run.token)
        verdict.is_true("the recording goes on under its id", status == 200 and recording.get("status") in ("recording", "stopping", "processing", "ready"), recording)
    if how == "stop":
        victim.signal(signal.SIGCONT)
        time.sleep(2)
    restore(world, victim)
    return verdict


def restore(world, victim):
    victim.restore_power()
    if not victim.is_running:
        victim.start()
    world.wait_ready([victim])


def partition(world, arguments, kind="symmetric"):
    """Two of the nodes are cut off from the others (and from the store) for eight seconds."""
    verdict = Verdict(f"partition {kind}")
    run = Run(world, arguments, seconds=SETTLE_SECONDS + 24)
    nodes = list(world.nodes.values())
    minority, majority = nodes[-2:], nodes[:-2]
    addresses = [node.namespace.address for node in majority] + [world.store_address]
    epochs = [run.session(majority[0])[1].get("epoch", 0)]
    rounds = 4 if kind == "flapping" else 1
    for _ in range(rounds):
        for node in minority:
            node.cut(addresses, outgoing=kind != "asymmetric")
        time.sleep(8 / rounds)
        deciders = []
        for side in (majority[0], minority[0]):
            status, session = run.session(side)
            if status == 200:
                deciders.append((session["node"], session["epoch"]))
        if kind == "symmetric":
            verdict.is_true("one side decides", len(set(deciders)) <= 1, deciders)
        for node in minority:
            node.heal()
        time.sleep(1)
    epochs.append(run.session(majority[0])[1].get("epoch", 0))
    run.rosters_agree(verdict, nodes)
    run.finish()
    verdict.is_true("epochs only grow", epochs[0] <= epochs[1], epochs)
    verdict.is_true("every client receives again", all(math.isfinite(gap) for gap in run.gaps()), run.gaps())
    ids = [one["participant_id"] for one in run.report["subscribers"]]
    verdict.is_true("no participant twice", len(ids) == len(set(ids)))
    return verdict


def lossy(world, arguments):
    """Every node's incoming packets wait 30 ± 10 ms, and one of fifty never arrives."""
    verdict = Verdict("lossy")
    for node in world.nodes.values():
        node.impair(delay=30, jitter=10, loss=2)
    try:
        run = Run(world, arguments)
        time.sleep(AFTER_SECONDS - 5)
        run.rosters_agree(verdict, list(world.nodes.values()))
        run.finish()
    finally:
        for node in world.nodes.values():
            node.repair()
    received = run.report["total"]["received"]
    lost = received["lost"] / max(1, received["packets"] + received["lost"])
    verdict.at_most("packets lost after repair", lost * 100, 0.5, unit="%")
    verdict.at_most("media gap of subscribers", run.gaps(), 0.5)
    return verdict


def drain(world, arguments):
    """A node with clients and the room is drained: nobody loses a frame."""
    verdict = Verdict("drain")
    run = Run(world, arguments, seconds=SETTLE_SECONDS + 20)
    victim = run.owner()
    begun = time.time()
    status, answer = world.request(victim, f"/admin/v1/nodes/{victim.name}/drain", {"deadline_seconds": 15}, run.token)
    verdict.is_true("the drain begins", status in (200, 202), answer)
    end, left = time.time() + 16, None
    while time.time() < end:
        status, session = run.session(next(node for node in world.nodes.values() if node is not victim))
        left = [one["id"] for one in session["participants"] if one.get("node") == victim.name] if status == 200 else None
        if left == [] and session["node"] != victim.name:
            break
        time.sleep(0.2)
    verdict.is_true("nothing is left on it", left == [], f"after {time.time() - begun:.1f} s: {left}")
    run.finish()
    verdict.at_most("media gap of subscribers", run.gaps(), GAP["drain"])
    missing = [one.get("missing", 0) for one in run.report["subscribers"]]
    verdict.at_most("frames lost", missing, 0, q=0.5, unit="frames")
    world.request(victim, f"/admin/v1/nodes/{victim.name}/undrain", {}, run.token)
    return verdict


def store_down(world, arguments):
    """The database stops for ten seconds: what runs goes on, new rooms are refused with a word, all heals."""
    verdict = Verdict("store-down")
    run = Run(world, arguments, seconds=SETTLE_SECONDS + 24, record=True)
    nodes = list(world.nodes.values())
    world.database.stop()
    time.sleep(3)
    status, answer = world.request(nodes[0], "/api/v1/sessions/create", {"title": "x", "host_name": "y"}, run.token)
    verdict.is_true("a new room is refused for now", status == 503, f"{status} {answer}")
    verdict.is_true("health stays good", all(world.request(node, "/healthz")[0] == 200 for node in nodes))
    time.sleep(7)
    world.database.start()
    end, status = time.time() + 10, 0
    while status not in (200, 201) and time.time() < end:
        status, _ = world.request(nodes[0], "/api/v1/sessions/create", {"title": "x", "host_name": "y"}, run.token)
        time.sleep(0.2)
    verdict.is_true("new rooms again after it returned", status in (200, 201))
    run.rosters_agree(verdict, nodes)
    run.finish()
    verdict.at_most("media gap of subscribers", run.gaps(), 0.1)
    status, recording = world.request(nodes[0], f"/recording/{run.recording}", token=run.token)
    verdict.is_true("the recording went on", status == 200 and recording.get("status") == "recording", recording)
    return verdict


def quiet(world, arguments):
    """Nothing is broken, but the processors are kept busy: nobody may be declared down."""
    import os, subprocess
    verdict = Verdict(f"quiet {arguments.minutes:g} min at {arguments.load} % load")
    begun = time.time()
    burners = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(max(1, (os.cpu_count() or 1) * arguments.load // 100))] if arguments.load else []
    try:
        run = Run(world, arguments, seconds=arguments.minutes * 60)
        run.finish()
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    downs = [(node.name, entry) for node in world.nodes.values() for entry in node.events("cluster", since=begun) if " down" in json.dumps(entry)]
    verdict.is_true("nobody is declared down", not downs, downs[:3])
    verdict.is_true("every client receives to the end", all(math.isfinite(gap) for gap in run.gaps()))
    return verdict


PLANS = {
    **{f"{how}-{which}": (lambda world, arguments, how=how, which=which: lose(world, arguments, how, which))
       for how in ("kill", "power", "stop") for which in ("owner", "edge", "recorder") if (how, which) != ("stop", "recorder")},
    "partition": partition,
    "asymmetric": lambda world, arguments: partition(world, arguments, "asymmetric"),
    "flapping": lambda world, arguments: partition(world, arguments, "flapping"),
    "lossy": lossy, "drain": drain, "store-down": store_down, "quiet": quiet,
}
