"""troupectl against a cluster of the tests."""
import json
import subprocess

from _cluster import BUILD

OK, FAILED, USAGE, UNREACHABLE, TRY_AGAIN = 0, 1, 64, 69, 75


def troupectl(cluster, *arguments, status=OK, topology=None):
    """Runs it; gives what it printed, read as JSON where JSON was asked for."""
    run = subprocess.run([BUILD / "troupectl", "--topology", str(topology or cluster.topology), *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == status, f"troupectl {' '.join(arguments)}: exit {run.returncode}\n{run.stdout}{run.stderr}"
    if status != OK and not run.stdout:
        assert run.stderr.startswith("troupectl: "), run.stderr
    if "--json" in arguments and run.stdout:
        return [json.loads(line) for line in run.stdout.splitlines()][-1]
    return run.stdout + run.stderr


def create_room_on(cluster, host, edge, person, title="Placed"):
    """A room that lives on `host`, with `person` in it by `edge`, and its owner's token. Placement is by hash, so it is pinned there until it lives."""
    status, created = cluster[edge].post("/api/v1/sessions/create", {"title": title, "host_name": person.name})
    assert status == 201, created
    room = created["session_id"]
    troupectl(cluster, "pin", room, "--to", host)
    person.join_room(cluster[edge], room)
    assert troupectl(cluster, "room", room, "--json")["node"] == host
    troupectl(cluster, "unpin", room)
    return room, created["host"]["token"]
