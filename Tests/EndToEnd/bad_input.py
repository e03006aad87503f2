# timeout: 120
# beside: others
"""What strangers send: each gets a clear answer or is dropped and counted, and the room next door does not notice."""
import os
import random
import socket

from _chromium import Person, chromium
from _cluster import Cluster


def expect(answer, status, code=None):
    assert answer[0] == status, answer
    assert set(answer[1]["error"]) >= {"code", "message", "request_id"}, answer
    assert code is None or answer[1]["error"]["code"] == code, answer


def http(node):
    expect(node.post("/api/v1/sessions/create", b"{not json"), 400)
    expect(node.post("/api/v1/sessions/create", {"title": 7}), 400)
    expect(node.post("/api/v1/sessions/create", b"x" * 400_000), 413)
    expect(node.get("/api/v1/sessions/R_nothing"), 404, "unknown_room")
    expect(node.post("/api/v1/sessions/R_nothing/join", {"display_name": "Eve"}), 404, "unknown_room")
    expect(node.get("/api/recordings", token="not.a.token"), 401)
    expect(node.post("/recording/start", {"room_id": "R_nothing"}), 401)
    expect(node.get("/nowhere"), 404)
    status, created = node.post("/api/v1/sessions/create", {"title": "Small", "host_name": "Ada", "mode": "sfu", "max_participants": 1})
    assert status in (200, 201), created
    return created


def datagrams(node, count=3000):
    source = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            first = source.choice([0, 1, 20, 22, 63, 64, 128, 144, 200, 0xC1, 255])
            payload = bytes([first]) + source.randbytes(source.randrange(0, 1400))
            sender.sendto(payload, ("127.0.0.1", source.choice([node.media_port, node.pipe_port])))


def raw_tcp(node):
    for port in (node.cluster_port, node.http_port):
        for payload in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\x16\x03\x01\xff\xff" + bytes(70000)):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
                try:
                    stream.sendall(payload)
                    stream.settimeout(0.2)
                    stream.recv(1024)
                except OSError:
                    pass


def main():
    with Cluster({"n1": ["edge", "room", "recorder"]}) as cluster, chromium() as browser:
        node = cluster["n1"]
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        room = ada.create_room(node, "Next door")
        ben.join_room(node, room)
        ada.wait_receiving()
        before = node.metrics()
        http(node)
        datagrams(node)
        raw_tcp(node)
        after = node.metrics()
        dropped = sum(value - before.get(name, 0) for name, value in after.items() if "dropped" in name and "{" in name)
        assert dropped > 1000, f"dropped datagrams are counted with their reason: {dropped}"
        ada.wait_receiving()
        ben.wait_receiving()
        assert node.stop() == 0
    print("nothing fell over, everything was counted")


main()
