# timeout: 240
"""Two Chromium windows on two nodes: pictures cross by the pipe, and by nothing else; the room survives its host's death."""
import _namespace
from _chromium import Person, chromium
from _cluster import Cluster, until
from _troupectl import create_room_on


def pipe_packets(node):
    metrics = node.metrics()
    return metrics.get("troupe_pipe_packets_received_total", 0), metrics.get("troupe_pipe_packets_sent_total", 0)


def pictures_cross(cluster, ada, ben, edge_a, edge_b):
    for person, node in ((ada, edge_a), (ben, edge_b)):
        pair = person.stats()["pair"]
        assert (pair["address"], pair["port"]) == ("127.0.0.1", node.media_port), f"{person.name} is not on {node.name}: {pair}"
    before = {node.name: pipe_packets(node) for node in (edge_a, edge_b)}
    ada.page.wait_for_timeout(1500)
    for node in (edge_a, edge_b):
        received, sent = pipe_packets(node)
        assert received > before[node.name][0] and sent > before[node.name][1], f"{node.name}: {before[node.name]} → {(received, sent)}"


def blocking_the_pipe_stops_the_picture(ada, ben, edge_a, edge_b):
    _namespace.drop_udp(edge_b.pipe_port)
    until("Ben's picture of Ada stops", lambda: not ben.receiving(), 10)
    assert ada.receiving(), "the other way is not blocked"
    _namespace.heal()
    ben.wait_receiving()


def the_room_outlives_its_host(cluster, ada, ben, room, token):
    survivors = {ada.page.evaluate("document.body.dataset.node"), ben.page.evaluate("document.body.dataset.node")}
    status, session = cluster[sorted(survivors)[0]].get(f"/api/v1/sessions/{room}", token=token)
    assert status == 200, session
    host = session["node"]
    assert host not in survivors, f"the room lives on {host}, an edge of this test"
    cluster[host].kill()
    for _ in range(5):
        ada.page.wait_for_timeout(1000)
        assert ada.receiving() and ben.receiving(), "pictures stopped after the room's host died"
    ada.page.wait_for_timeout(5000)
    ada.say("still here")
    until("a chat sent 10 s after the death arrives", lambda: ben.heard("still here"), 8)
    ben.say("me too")
    until("and one the other way", lambda: ada.heard("me too"), 8)
    status, session = cluster[sorted(survivors)[0]].get(f"/api/v1/sessions/{room}", token=token)
    assert status == 200 and session["node"] in survivors, session
    assert sorted(p["name"] for p in session["participants"]) == ["Ada", "Ben"], session


def main():
    _namespace.enter()
    with Cluster({name: ["edge", "room", "recorder"] for name in ("n1", "n2", "n3")}) as cluster, chromium() as browser:
        edge_a, edge_b = cluster["n1"], cluster["n2"]
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        room, token = create_room_on(cluster, "n3", "n1", ada)
        ben.join_room(edge_b, room)
        ada.wait_receiving()
        ben.wait_receiving()
        pictures_cross(cluster, ada, ben, edge_a, edge_b)
        blocking_the_pipe_stops_the_picture(ada, ben, edge_a, edge_b)
        the_room_outlives_its_host(cluster, ada, ben, room, token)
    print("two nodes, one room; its host's death went unseen")


main()
