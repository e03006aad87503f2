"""A room with clients on all nodes, and the questions every plan asks about it."""
import base64, hashlib, hmac, json, math, time

from world import ChaosError, parse_time

JOIN_SECONDS = 25       # until every client of the load is in the room with its tracks
STEADY_SECONDS = 2      # from then until the fault
AFTER_SECONDS = 14      # from the fault until the clients stop
AGREE_SECONDS = 5       # for every node to tell the same of the room
LEAVE_SECONDS = 60      # for troupe-load to end after its time
FINISH_SECONDS = 60     # for a stopped recording to be finished


def admin_token(world):
    """A token with `roomAdmin` of every room, signed with the cluster's own key."""
    lines = (line.split(": ", 1) for line in (world.folder / "keys.yaml").read_text().splitlines() if ": " in line and not line.startswith("#"))
    key, secret = next(lines, (None, None))
    if key is None:
        raise ChaosError("keys.yaml holds no key")

    def part(value):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    grant = {"roomAdmin": True, "roomCreate": True, "roomList": True, "roomJoin": True, "roomRecord": True}
    body = part({"alg": "HS256", "typ": "JWT"}) + "." + part({"iss": key, "sub": "chaos", "exp": int(time.time()) + 86_400, "video": grant})
    return body + "." + part(hmac.new(secret.strip().encode(), body.encode(), hashlib.sha256).digest())


class Run:
    def __init__(self, world, arguments, after=AFTER_SECONDS, publishers=4, record=False):
        self.world, self.token, self.recording, self.roster = world, admin_token(world), None, None
        self.wait_joined()
        first = self.any_node()
        self.expected, self.tracks = publishers + arguments.clients, publishers * 2
        status, made = world.request(first, "/api/v1/sessions/create", {"title": "Chaos", "host_name": "Host", "max_participants": self.expected + 50}, self.token)
        if status != 201:
            raise ChaosError(f"no room: {status} {made}")
        self.room, self.host = made["session_id"], made["host"]
        urls = [word for node in world.nodes.values() for word in ("--url", node.url)]
        # The load counts its time from when everybody receives.
        self.load = world.load(*urls, "--room", self.room, "--publish", publishers, "--subscribe", arguments.clients,
                               "--duration", STEADY_SECONDS + after + 1, "--audio", "50/160", "--video", "25x2x1000")
        self.seconds = JOIN_SECONDS + STEADY_SECONDS + after
        self.wait_attached(first)
        if record:
            status, answer = world.request(first, "/recording/start", {"room_id": self.room}, self.host["token"])
            if status != 200:
                raise ChaosError(f"no recording: {status} {answer}")
            self.recording = answer["recording_id"]
        time.sleep(STEADY_SECONDS)

    def any_node(self, other_than=()):
        return next(node for node in self.world.nodes.values() if node not in other_than and node.answers)

    def wait_joined(self):
        """Until every node sees every other."""
        end, seen = time.monotonic() + JOIN_SECONDS, None
        while time.monotonic() < end:
            status, seen = self.world.request(self.any_node(), "/admin/v1/nodes", token=self.token)
            if status == 200 and all(node["state"] == "up" and len(node["links"]) == self.world.count - 1 for node in seen["nodes"]):
                return
            time.sleep(0.1)
        raise ChaosError(f"the nodes do not all see each other within {JOIN_SECONDS} s: {seen}")

    def wait_attached(self, node):
        end, seen = time.monotonic() + JOIN_SECONDS, None
        while time.monotonic() < end:
            status, seen = self.session(node)
            if status == 200 and len(seen["participants"]) == self.expected and len(seen["publications"]) == self.tracks:
                return
            if self.load.poll() is not None:
                break
            time.sleep(0.1)
        raise ChaosError(f"the clients are not all there within {JOIN_SECONDS} s: {str(seen)[:600]}")

    def admin(self, path, body=None):
        """As asked of any node that runs."""
        return self.world.request(self.any_node(), "/admin/v1/" + path, body, self.token)

    def session(self, node):
        return self.world.request(node, f"/api/v1/sessions/{self.room}", token=self.token)

    def owner(self):
        """The node that hosts the Room actor."""
        for node in self.world.nodes.values():
            status, session = self.session(node) if node.answers else (0, None)
            if status == 200:
                return self.world.nodes[session["node"]]
        raise ChaosError("no node knows the room")

    def recorder(self):
        status, recording = self.world.request(self.any_node(), f"/recording/{self.recording}", token=self.token)
        if status != 200:
            raise ChaosError(f"nobody knows the recording: {status} {recording}")
        return self.world.nodes[recording["recorder"]]

    def edge(self, other_than=()):
        """A node with clients that is none of `other_than`."""
        status, session = self.session(self.any_node())
        if status != 200:
            raise ChaosError(f"no roster: {status} {session}")
        taken = [node.name for node in other_than]
        return self.world.nodes[next(one["node"] for one in session["participants"] if one["node"] not in taken)]

    def finish(self):
        self.report = self.world.finish(self.load, self.seconds + LEAVE_SECONDS)
        return self.report

    def events(self):
        """Status and all of the room's durable log."""
        since, events = 0, []
        while True:
            status, page = self.admin(f"events?room={self.room}&since={since}&limit=500")
            if status != 200 or not page["events"]:
                return status, events if status == 200 else page
            events += page["events"]
            since = page["cursor"]

    # MARK: Objectives

    def gaps(self):
        """Seconds; infinite for a subscriber that never got a frame."""
        return [math.inf if one.get("media_gap_ms") is None else one["media_gap_ms"] / 1000 for one in self.report["subscribers"]]

    def media_flows_again(self, verdict, bar):
        verdict.at_most("media gap of subscribers", self.gaps(), bar, detail=self.worst())
        verdict.is_true("every client is there to the end", not self.report["failures"], self.report["failures"][:4])

    def worst(self):
        """The subscriber with the longest gap, for whoever looks further."""
        found = max(self.report["subscribers"], key=lambda one: math.inf if one.get("media_gap_ms") is None else one["media_gap_ms"], default=None)
        return "" if found is None else f"{found['name']} now on {found['node']}, resumes {found['resumes']}, moves {found['moves']}, longest away {found['longest_away_ms']} ms"

    def detected(self, victim, at):
        """Seconds after `at` until each other node declared `victim` down, by their logs; infinite where one never did."""
        found = []
        for node in self.world.nodes.values():
            if node is victim or not node.answers:
                continue
            times = [parse_time(entry) - at for entry in node.events("member", since=at) if entry.get("member") == victim.name and entry.get("state") == "down"]
            found.append(min(times, default=math.inf))
        return found

    def rosters_agree(self, verdict, alive):
        """Every node tells the same roster, under the same epoch, from the same owner, with every client in it."""
        end, seen = time.time() + AGREE_SECONDS, []
        while time.time() < end:
            answers = [self.session(node) for node in alive]
            seen = [(session.get("node"), session.get("epoch"), tuple(sorted(one["id"] for one in session["participants"]))) if status == 200 else (node.name, status, str(session)[:200])
                    for node, (status, session) in zip(alive, answers)]
            if len(set(seen)) == 1 and len(seen[0]) == 3 and len(seen[0][2]) == self.expected and seen[0][0] in self.world.nodes:
                self.roster = seen[0]
                break
            time.sleep(0.2)
        detail = "" if self.roster else sorted({(owner, epoch, len(ids) if isinstance(ids, tuple) else ids) for owner, epoch, ids in seen}, key=str)
        verdict.is_true("one room, one roster on every node", self.roster is not None, detail)
        # While all are there: at the end they do leave.
        status, events = self.events()
        left = [event["payload"] for event in events if event["type"] == "participant_left"] if status == 200 else []
        verdict.is_true("nobody was seen to leave", not left, left[:3])

    def clients_agree(self, verdict):
        """After `finish`: whom the clients took themselves for is whom the room knew: nobody joined anew."""
        ids = {one["participant_id"] for kind in ("publishers", "subscribers") for one in self.report[kind]}
        known = set(self.roster[2]) if self.roster else set()
        verdict.is_true("the roster is the clients' truth", bool(ids) and ids == known, f"{len(ids - known)} clients unknown, {len(known - ids)} ghosts" if ids != known else "")

    def no_event_lost(self, verdict):
        """The durable log of the room: numbers without a hole, nothing lost."""
        status, events = self.events()
        if status != 200:
            return verdict.is_true("no event lost", False, f"{status} {events}")
        holes = sum(1 for before, after in zip(events, events[1:]) if after.get("first", after["sequence"]) != before["sequence"] + 1)
        lost = [event for event in events if event["type"] == "events_lost"]
        verdict.is_true("no event lost", bool(events) and not holes and not lost, f"{len(events)} events, {holes} holes, `events_lost`: {[(event.get('first', event['sequence']), event['sequence'], event['epoch'], event['payload']) for event in lost][:3]}")

    def recording_goes_on(self, verdict, alive, longest):
        """The same recording is being captured; stopped, it becomes ready. `longest`: seconds a hole may have; None asks for the tracks alone."""
        end, recording = time.time() + AGREE_SECONDS, None
        while time.time() < end:
            status, recording = self.world.request(alive, f"/recording/{self.recording}", token=self.token)
            goes_on = status == 200 and recording["state"] == "recording" and self.world.nodes[recording["recorder"]].answers
            if goes_on:
                break
            time.sleep(0.2)
        verdict.is_true("the recording goes on under its id", goes_on, "" if goes_on else f"{status} {str(recording)[:400]}")
        self.world.request(alive, "/recording/stop", {"room_id": self.room}, self.host["token"])
        end = time.time() + FINISH_SECONDS
        while time.time() < end:
            status, recording = self.world.request(alive, f"/recording/{self.recording}", token=self.token)
            if status == 200 and recording["state"] in ("ready", "failed"):
                break
            time.sleep(0.3)
        is_ready = status == 200 and recording["state"] == "ready"
        verdict.is_true("the recording becomes ready", is_ready, "" if is_ready else f"{status} {str(recording)[:400]}")
        tracks = recording.get("metadata", {}).get("tracks", []) if is_ready else []
        holes = sorted(max((one["to"] - one["from"] for one in track.get("holes", [])), default=0) for track in tracks)
        told = f"{len(tracks)} tracks, longest holes {[round(length, 2) for length in holes]} s"
        verdict.is_true("it has every track", len(tracks) == self.tracks, told)
        if longest is not None:
            verdict.is_true(f"it has no hole over {longest:g} s", bool(holes) and holes[-1] <= longest, told)
