# timeout: 240
# beside: others
"""troupectl on three real nodes: it looks, moves a room under its callers, drains, and goes on when a node is gone."""
import json
import os
import shutil
import signal
import subprocess
import time

from _cluster import BUILD, ROOT, Cluster, until
from _troupectl import FAILED, OK, TRY_AGAIN, UNREACHABLE, USAGE, troupectl

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def problems(value, schema, path="$"):
    """As much of JSON Schema as the admin schemas use."""
    kind = schema.get("type")
    if kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            return [f"{path}: not an integer: {value!r}"]
    elif kind == "number":
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return [f"{path}: not a number: {value!r}"]
    elif kind and not isinstance(value, TYPES[kind]):
        return [f"{path}: not of type {kind}: {value!r}"]
    found = [] if "enum" not in schema or value in schema["enum"] else [f"{path}: {value!r} is not one of {schema['enum']}"]
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += problems(item, schema.get("items", {}), f"{path}[{index}]")
    if isinstance(value, dict):
        found += [f"{path}: {name} is missing" for name in schema.get("required", []) if name not in value]
        known = schema.get("properties")
        for name, item in value.items():
            if known is not None and name not in known:
                found.append(f"{path}: {name} is not described")
            found += problems(item, (known or {}).get(name, {}), f"{path}.{name}")
    return found


class Described:
    """The schemas of /openapi.json: what troupectl prints is what /admin/v1 answers."""

    def __init__(self, node):
        self.paths = node.get("/openapi.json")[1]["paths"]

    def check(self, value, path, method="get"):
        schema = self.paths[path][method]["responses"]["200"]["content"]["application/json"]["schema"]
        assert not problems(value, schema), problems(value, schema)[:5]
        return value


def admin_token(cluster, **grant):
    import base64
    import hashlib
    import hmac
    key, secret = next(line.split(": ") for line in (cluster.folder / "keys.yaml").read_text().splitlines() if ": " in line and not line.startswith("#"))

    def part(value):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    text = part({"alg": "HS256", "typ": "JWT"}) + "." + part({"iss": key, "sub": "ops", "exp": int(time.time()) + 600, "video": grant})
    return text + "." + part(hmac.new(secret.strip().encode(), text.encode(), hashlib.sha256).digest())


def begin_load(cluster, room, seconds, urls, *options):
    return subprocess.Popen(
        [BUILD / "troupe-load", "--ca", str(cluster.folder / "ca/ca.pem"), "--bind", "127.0.0.1", "--json", "--quiet", "--room", room, *[word for url in urls for word in ("--url", url)],
         "--publish", "1", "--subscribe", "2", "--duration", str(seconds), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def it_looks(cluster, described):
    nodes = described.check(troupectl(cluster, "nodes", "--json"), "/admin/v1/nodes")["nodes"]
    assert [node["node"] for node in nodes] == ["n1", "n2", "n3"] and all(node["state"] == "up" for node in nodes), nodes
    for node in nodes:
        assert sorted(link["peer"] for link in node["links"]) == [name for name in ("n1", "n2", "n3") if name != node["node"]], node
    status, created = cluster["n1"].post("/api/v1/sessions/create", {"title": "Über 日本 \u202eevil", "host_name": "Ada", "mode": "sfu"})
    assert status == 201, created
    room = created["session_id"]
    idle = described.check(troupectl(cluster, "room", room, "--json"), "/admin/v1/rooms/{id}")
    assert idle["state"] == "idle" and "node" not in idle, f"looking woke the room: {idle}"
    assert not troupectl(cluster, "rooms", "--json")["rooms"], "looking woke the room"
    troupectl(cluster, "room", "no-such-room", status=FAILED)
    for words, path in ((["recordings"], "/admin/v1/recordings"), (["jobs"], "/admin/v1/jobs"), (["top", "--once"], "/admin/v1/top"), (["events"], "/admin/v1/events")):
        described.check(troupectl(cluster, *words, "--json"), path)
    table = troupectl(cluster, "nodes")
    assert table.splitlines()[0].startswith("NODE") and len(table.splitlines()) == 4, table
    assert troupectl(cluster, "names", "nodes").split() == ["n1", "n2", "n3"]
    return room


def it_moves_a_room_under_its_callers(cluster, described, room):
    load = begin_load(cluster, room, 8, [cluster["n1"].url, cluster["n2"].url])
    page = until("the room is held", lambda: [r for r in troupectl(cluster, "rooms", "--json")["rooms"] if r["participants"] == 3 and r["publications"] >= 2], 20)
    before = page[0]
    assert before["room_id"] == room, page
    shown = troupectl(cluster, "rooms")
    assert "\u202e" not in shown and "日本" in shown, shown
    target = next(name for name in ("n1", "n2", "n3") if name != before["node"])
    moved = described.check(troupectl(cluster, "move", room, "--to", target, "--json"), "/admin/v1/rooms/{id}/move", "post")
    assert moved["from"] == before["node"] and moved["to"] == target and moved["epoch"] > before["epoch"], (moved, before)
    after = described.check(troupectl(cluster, "room", room, "--json"), "/admin/v1/rooms/{id}")
    assert after["node"] == target and after["epoch"] == moved["epoch"] and len(after["participants"]) == 3, after
    assert troupectl(cluster, "move", room, "--to", target, "--json")["milliseconds"] == 0, "a second move does nothing"
    troupectl(cluster, "move", room, "--to", "n9", status=FAILED)
    assert troupectl(cluster, "pin", room, "--to", target, "--json") == {"room_id": room, "pinned": target}
    assert troupectl(cluster, "room", room, "--json")["pinned"] == target
    assert troupectl(cluster, "unpin", room, "--json") == {"room_id": room}
    out, errors = load.communicate(timeout=60)
    report = json.loads(out)
    assert load.returncode == 0, (report["failures"], errors)
    total = report["total"]["received"]
    assert total["lost"] == 0 and total["duplicates"] == 0, total
    feed = described.check(troupectl(cluster, "events", "--room", room, "--json"), "/admin/v1/events")
    numbers = [event["sequence"] for event in feed["events"]]
    assert numbers == list(range(1, len(numbers) + 1)) and not any(event["type"] == "events_lost" for event in feed["events"]), feed
    assert {event["epoch"] for event in feed["events"]} >= {before["epoch"], moved["epoch"]}, "the events go on in the next epoch"
    return moved["milliseconds"]


def it_drains_and_undrains(cluster, described):
    status, created = cluster["n2"].post("/api/v1/sessions/create", {"title": "Drained", "host_name": "Ada", "mode": "sfu"})
    room = created["session_id"]
    troupectl(cluster, "pin", room, "--to", "n2")
    load = begin_load(cluster, room, 10, [cluster["n2"].url])
    until("the room is on n2 with its clients", lambda: troupectl(cluster, "room", room, "--json").get("node") == "n2" and troupectl(cluster, "top", "--once", "--json")["nodes"][1]["participants"] == 3, 20)
    time.sleep(1)
    drained = described.check(troupectl(cluster, "drain", "n2", "--deadline", "20s", "--wait", "--json"), "/admin/v1/nodes/{name}/drain", "post")
    assert drained["state"] == "drained" and drained["actors_left"] == 0 and drained["clients_left"] == 0 and drained["moved"] == 3 and drained["cut"] == drained["cut_unaware"] == 0, drained
    assert troupectl(cluster, "room", room, "--json")["node"] != "n2"
    [node] = [node for node in troupectl(cluster, "nodes", "--json")["nodes"] if node["node"] == "n2"]
    assert node["state"] == "draining" and node["rooms"] == 0 and node["participants"] == 0, node
    assert cluster["n2"].get("/readyz", raw=True)[0] == 503
    out, errors = load.communicate(timeout=60)
    assert load.returncode == 0 and json.loads(out)["total"]["moves"] == 3, out + errors
    described.check(troupectl(cluster, "undrain", "n2", "--json"), "/admin/v1/nodes/{name}/undrain", "post")
    until("n2 takes work again", lambda: cluster["n2"].get("/readyz", raw=True)[0] == 200, 5)
    plan = described.check(troupectl(cluster, "rebalance", "--dry-run", "--json"), "/admin/v1/rebalance", "post")
    assert plan["state"] == "planned" and plan["planned"] == len(plan["moves"]), plan
    assert troupectl(cluster, "rebalance", "--status", "--json")["state"] == "none"
    troupectl(cluster, "rebalance", "--stop", status=FAILED)
    return drained


def it_cuts_off_who_cannot_move(cluster, described):
    status, created = cluster["n3"].post("/api/v1/sessions/create", {"title": "Stubborn", "host_name": "Ada", "mode": "sfu"})
    room = created["session_id"]
    troupectl(cluster, "pin", room, "--to", "n3")
    able = begin_load(cluster, room, 12, [cluster["n3"].url])
    unable = begin_load(cluster, room, 12, [cluster["n3"].url], "--no-resume")
    until("all are on n3", lambda: troupectl(cluster, "top", "--once", "--json")["nodes"][2]["participants"] == 6, 20)
    time.sleep(1)
    began = time.monotonic()
    begun = described.check(troupectl(cluster, "drain", "n3", "--deadline", "4s", "--json"), "/admin/v1/nodes/{name}/drain", "post")
    assert begun["state"] == "draining" and 0 < begun["seconds_left"] <= 4, begun
    shown = troupectl(cluster, "nodes")
    assert "n3 drains: " in shown and "to the deadline" in shown, shown
    # Watching one that goes on changes nothing of it.
    left = troupectl(cluster, "drain", "n3", "--deadline", "60s", "--wait", "--json", status=FAILED)
    took = time.monotonic() - began
    assert 3.5 < took < 8, took
    assert left["state"] == "incomplete" and left["moved"] == 3 and left["cut"] == 0 and left["cut_unaware"] == 3 and left["clients_left"] == left["actors_left"] == 0, left
    assert "3 of 6 clients were cut off, 3 of them unable to move" in troupectl(cluster, "nodes"), troupectl(cluster, "nodes")
    for load, codes in ((able, {0}), (unable, {1})):
        out, errors = load.communicate(timeout=60)
        assert load.returncode in codes, (out, errors)
        if load is unable:
            assert json.loads(out)["failures"] and all("draining" in failure for failure in json.loads(out)["failures"]), out
    # Nothing is left now: an order that is given again ends well.
    again = troupectl(cluster, "drain", "n3", "--deadline", "5s", "--wait", "--json")
    assert again["state"] == "drained" and again["clients"] == 0, again
    assert troupectl(cluster, "undrain", "n3", "--json")["state"] == "none"
    troupectl(cluster, "unpin", room)
    return left


def it_breaks_what_may_be_broken(cluster):
    """Where the topology allows it, a node is cut off under clients; the verdict is theirs."""
    assert "chaos: true" in troupectl(cluster, "chaos", "stall", "--on", "n1", "--clients", "1", status=FAILED)
    with Cluster({name: ["edge", "room"] for name in ("m1", "m2", "m3")}, chaos=True) as other:
        until("all see each other", lambda: all(node["state"] == "up" and len(node["links"]) == 2 for node in troupectl(other, "nodes", "--json")["nodes"]), 10)
        verdict = troupectl(other, "chaos", "sever", "--for", "2s", "--clients", "3", "--json")
        assert verdict["plan"] == "sever" and verdict["passed"] and len(verdict["objectives"]) >= 6, verdict
        assert all(row["met"] for row in verdict["objectives"]) and any(0 < row.get("seconds", 0) < row["bar"] for row in verdict["objectives"] if "bar" in row), verdict
        said = troupectl(other, "chaos", "kill", "--on", "m3", "--clients", "3")
        assert said.count("ok  ") >= 5 and "kill of m3: passed" in said, said
        assert other["m3"].process.wait(5) == -signal.SIGKILL
        assert "m3 not up" in troupectl(other, "chaos", "kill", status=FAILED)
    return verdict


def http_wants_an_administrator(cluster, described):
    n3 = cluster["n3"]
    status, created = n3.post("/api/v1/sessions/create", {"title": "Guarded", "host_name": "Ada", "mode": "sfu"})
    room, host = created["session_id"], created["host"]["token"]
    guest = n3.post(f"/api/v1/sessions/{room}/join", {"display_name": "Ben"})[1]["token"]
    admin = admin_token(cluster, roomAdmin=True)
    routes = [(method, path) for path, item in described.paths.items() if path.startswith("/admin/") or path == "/api/v1/events" for method in item]
    assert len(routes) >= 14, routes
    for method, path in routes:
        real = path.replace("{id}", room).replace("{name}", "n1")
        body = {} if method == "post" else None
        assert n3.request(method.upper(), real, body)[0] == 401, (method, real)
        for token in (guest, host, admin_token(cluster, roomAdmin=True, room=room), admin_token(cluster, roomJoin=True, roomList=True)):
            status, answer = n3.request(method.upper(), real, body, token=token)
            assert status == 403 and answer["error"]["code"] == "admin_only", (method, real, status, answer)
    for path in ("nodes", "top", "rooms", "recordings", "jobs", "events", "rebalance"):
        status, answer = n3.get(f"/admin/v1/{path}", token=admin)
        assert status == 200, answer
        described.check(answer, f"/admin/v1/{path}")
    assert n3.get("/admin/v1/rooms/none", token=admin)[0] == 404
    assert n3.get("/admin/v1/rooms?limit=0", token=admin)[0] == 400
    assert n3.post("/admin/v1/nodes/n9/drain", {}, token=admin)[0] == 404
    return admin


def events_are_followed(cluster, admin):
    import urllib.request
    n1 = cluster["n1"]
    since = n1.get("/admin/v1/events?limit=500", token=admin)[1]["cursor"]
    follow = subprocess.Popen([BUILD / "troupectl", "--topology", str(cluster.topology), "events", "--since", str(since), "--follow", "--json"], stdout=subprocess.PIPE, text=True)
    request = urllib.request.Request(f"{n1.url}/admin/v1/events?follow=1&since={since}", headers={"Authorization": f"Bearer {admin}"})
    with urllib.request.urlopen(request, timeout=30, context=cluster.tls) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        load = begin_load(cluster, cluster["n1"].post("/api/v1/sessions/create", {"title": "Followed", "host_name": "A", "mode": "sfu"})[1]["session_id"], 2, [n1.url])
        lines = []
        while not any(line.startswith("event: participant_joined") for line in lines):
            lines.append(stream.readline().decode())
        data = json.loads(next(line for line in iter(lambda: stream.readline().decode(), "") if line.startswith("data: "))[6:])
    first = json.loads(follow.stdout.readline())
    assert first["position"] > since and data["position"] > since and first["type"], (first, data)
    follow.send_signal(signal.SIGINT)
    assert follow.wait(5) == 0, "Ctrl-C is how following ends"
    load.communicate(timeout=60)


def a_wrong_certificate_is_refused(cluster):
    with Cluster({"m1": ["edge", "room"]}, start=False) as other:
        # The nodes of this cluster, the certificates of another.
        topology = cluster.folder / "foreign.yaml"
        topology.write_text(cluster.topology.read_text().replace(f"ca_dir: {cluster.folder}/ca", f"ca_dir: {other.folder}/ca"))
        said = troupectl(cluster, "nodes", "--timeout", "2s", status=UNREACHABLE, topology=topology)
        assert "certificate" in said, said
        # A node's certificate makes no operator.
        impostor = cluster.folder / "impostor"
        shutil.copytree(cluster.folder / "ca", impostor)
        for kind in ("pem", "key"):
            shutil.copy(impostor / f"nodes/n1.{kind}", impostor / f"operator.{kind}")
        topology.write_text(cluster.topology.read_text().replace(f"ca_dir: {cluster.folder}/ca", f"ca_dir: {impostor}"))
        troupectl(cluster, "nodes", "--timeout", "2s", status=UNREACHABLE, topology=topology)
        os.remove(impostor / "operator.pem")
        assert "troupe keys" in troupectl(cluster, "nodes", status=FAILED, topology=topology)


def it_goes_on_without_a_node(cluster, described):
    cluster["n1"].kill()
    began = time.monotonic()
    said = troupectl(cluster, "nodes", "--node", "n1")
    assert "n1 is away" in said and "asking the others" in said, said
    nodes = described.check(troupectl(cluster, "nodes", "--json"), "/admin/v1/nodes")["nodes"]
    assert {node["node"]: node["state"] for node in nodes} == {"n1": "away", "n2": "up", "n3": "up"}, nodes
    assert nodes[0]["reason"], nodes[0]
    described.check(troupectl(cluster, "rooms", "--json"), "/admin/v1/rooms")
    top = described.check(troupectl(cluster, "top", "--once", "--json"), "/admin/v1/top")["nodes"]
    assert top[0]["state"] == "away" and "cpu" not in top[0], top
    troupectl(cluster, "drain", "n1", status=TRY_AGAIN)
    took = time.monotonic() - began
    return took


def it_does_not_wait_where_nobody_is_left(cluster):
    """Told to stop at the same time, the nodes do not wait for each other to take their rooms."""
    status, created = cluster["n2"].post("/api/v1/sessions/create", {"title": "Last", "host_name": "Ada", "mode": "sfu"})
    assert cluster["n2"].get(f"/api/v1/sessions/{created['session_id']}")[0] == 200
    began = time.monotonic()
    for name in ("n2", "n3"):
        cluster[name].process.send_signal(signal.SIGTERM)
    for name in ("n2", "n3"):
        assert cluster[name].process.wait(20) == 0, cluster[name].tail()
    took = time.monotonic() - began
    assert took < 8, f"{took:.1f} s: the usual drain's deadline is 10 s"
    troupectl(cluster, "nodes", "--timeout", "1s", status=UNREACHABLE)


def the_command_line_says_what_it_wants(cluster):
    for words in (["nods"], ["move", "R"], ["drain", "n1", "--deadline", "soon"], ["nodes", "--node", "n9"]):
        troupectl(cluster, *words, status=USAGE)
    bare = subprocess.run([BUILD / "troupectl", "nodes"], cwd=cluster.folder, capture_output=True, text=True)
    assert bare.returncode == USAGE and "--topology" in bare.stderr, bare
    assert subprocess.run([BUILD / "troupectl", "help"], capture_output=True, text=True).stdout.startswith("troupectl: ")


def main():
    with Cluster({name: ["edge", "room", "recorder"] for name in ("n1", "n2", "n3")}) as cluster:
        described = Described(cluster["n1"])
        until("all see each other", lambda: all(node["state"] == "up" and len(node["links"]) == 2 for node in troupectl(cluster, "nodes", "--json")["nodes"]), 10)
        room = it_looks(cluster, described)
        moved = it_moves_a_room_under_its_callers(cluster, described, room)
        drained = it_drains_and_undrains(cluster, described)
        it_cuts_off_who_cannot_move(cluster, described)
        it_breaks_what_may_be_broken(cluster)
        admin = http_wants_an_administrator(cluster, described)
        events_are_followed(cluster, admin)
        a_wrong_certificate_is_refused(cluster)
        the_command_line_says_what_it_wants(cluster)
        took = it_goes_on_without_a_node(cluster, described)
        it_does_not_wait_where_nobody_is_left(cluster)
    print(f"a room moved in {moved:.0f} ms under its callers, no packet lost; {drained['moved']} clients drained; six commands beside a dead node in {took:.1f} s")


main()
