# timeout: 150
# beside: others
"""A publisher whose media never comes through, but whose own recording does: it is all the recording holds, and enough for an export, which is made again when more comes."""
import asyncio
import contextlib
import hashlib
import json
import socket
import sqlite3
import ssl
import subprocess
import time
import urllib.parse

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

import _media
from _cluster import Cluster, until

SECONDS = 5     # of the browser's recording
PIECES = 4


class Mute:
    """Offers its tracks, and never answers on the network: what a firewall makes of somebody whose signalling it lets through."""

    def __init__(self, node, room, participant):
        self.url = f"{node.url}/ws/{room}?participant_id={participant}"

    async def __aenter__(self):
        self.http = aiohttp.ClientSession()
        self.socket = await self.http.ws_connect(self.url, ssl=ssl._create_unverified_context())
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.addTrack(AudioStreamTrack())
        self.pc.addTrack(VideoStreamTrack())
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await self.socket.send_str(json.dumps({"type": "webrtc_offer", "sdp": self.pc.localDescription.sdp}))
        async for message in self.socket:
            if json.loads(message.data)["type"] == "webrtc_answer":
                return self
        raise AssertionError(f"no answer to the offer: {self.socket.close_code}")

    async def __aexit__(self, *_):
        await self.pc.close()
        await self.socket.close()
        await self.http.close()


def browser_file(path):
    """Live WebM, as MediaRecorder makes it: a moving picture and a tone."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=s=320x240:r=20", "-f", "lavfi", "-i", "sine=f=440", "-t", str(SECONDS), "-c:v", "libvpx",
                    "-deadline", "realtime", "-b:v", "300k", "-g", "20", "-c:a", "libopus", "-f", "webm", "-live", "1", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path.read_bytes()


def leave(node, person, room, recording, number, **more):
    """Asks where to send a piece."""
    query = urllib.parse.urlencode({
        "roomId": room, "recordingId": recording, "participantId": person["participant_id"], "kind": "camera", "upload": "own", "sequence": number, "mediaType": "video/webm", **more})
    return node.get(f"/api/recordings/upload-url?{query}", token=person["token"])


def put(node, leave, body):
    return node.request("PUT", "/" + leave["url"].split("/", 3)[3], body, headers={"Content-Type": "video/webm"})


def left_out_midway(cluster, room, recording, host):
    """Ben is left out while the recording runs: the leave he has is worth nothing from then on, and he gets no other, until he is taken in again."""
    node = cluster["n1"]
    status, ben = node.post(f"/api/v1/sessions/{room}/join", {"display_name": "Ben"})
    assert status == 200, ben

    def ask(number):
        return leave(node, ben, room, recording, number, kind="screen")

    def exclude(people):
        status, answer = node.post("/recording/exclude", {"room_id": room, "exclude": people}, token=host["token"])
        assert status == 200 and answer.get("excluded", []) == people, answer
    leaves = [ask(number)[1] for number in range(2)]
    first = b"\x1a\x45\xdf\xa3before"
    assert put(node, leaves[0], first)[0] == 200
    exclude([ben["participant_id"]])
    status, answer = until("Ben gets no URL", lambda: (found := ask(2))[0] != 200 and found, 5)
    assert status == 403 and answer["error"]["code"] == "left_out", answer
    status, answer = put(node, leaves[1], b"after")
    folder = cluster.storage / "rooms" / room / recording / "chunks" / ben["participant_id"]
    assert status == 403 and answer["error"]["code"] == "left_out" and not (folder / "screen-000001.webm").exists(), answer
    assert put(node, leaves[0], first)[0] == 403, "not even what is here already is confirmed"
    assert leave(node, host, room, recording, 0)[0] == 200, "the others go on"
    exclude([])
    until("Ben is taken in again", lambda: ask(2)[0] == 200, 5)
    assert put(node, leaves[1], b"after")[0] == 200
    turns_end(cluster, leaves[0], first, leave(node, host, room, recording, 0, upload="other", kind="screen")[1])


def turns_end(cluster, own, body, others):
    """Four chunks that come slowly take all turns of their participant, and none of anybody else's; each gives its turn back, however it ends."""
    node = cluster["n1"]
    head = f"PUT /{own['url'].split('/', 3)[3]} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: video/webm\r\nContent-Length: {len(body)}\r\n\r\n"
    with contextlib.ExitStack() as slow:
        for _ in range(4):
            connection = slow.enter_context(cluster.tls.wrap_socket(socket.create_connection(("127.0.0.1", node.http_port), 5), server_hostname="127.0.0.1"))
            connection.sendall(head.encode() + body[:5])
        status, answer = until("one more is too many", lambda: (found := put(node, own, body))[0] != 200 and found, 5)
        assert status == 429 and answer["error"]["code"] == "too_many_under_way", answer
        assert put(node, others, b"no WebM")[1]["error"]["code"] == "not_webm", "judged, not refused for somebody else's"
    until("they gave their turns back", lambda: put(node, own, body)[0] == 200, 5)
    assert node.metrics()['troupe_uploads_refused_total{why="under_way"}'] >= 1


def made_again(cluster, room, recording, host, send_more):
    """More of the browser's arrives: what every recording gets is made once of the next manifest, and the one before is served until then. The preview too."""
    node = cluster["n1"]
    status, asked = node.post(f"/recordings/{recording}/preview", {"segment_seconds": 2}, token=host["token"])
    assert status in (200, 202), asked
    until("the preview is made", lambda: node.get(f"/jobs/{asked['job_id']}", token=host["token"])[1]["status"] == "ready", 40)
    folder = cluster.storage / "rooms" / room / recording
    products = {name: (folder / name).stat() for name in ("processed/output.webm", "thumbnail.jpg")}
    before = json.loads((folder / "metadata.json").read_text())["revision"]
    preview = folder / "preview/index.json"
    assert not json.loads(preview.read_text())["screenshares"]
    send_more()

    def made():
        for name in products:
            assert (folder / name).stat().st_size > 0
        assert "thumbnail_url" in cluster["n1"].get(f"/recordings/{recording}", token=host["token"])[1]
        with contextlib.closing(sqlite3.connect(cluster.folder / "troupe.db", timeout=10)) as rows:
            jobs = rows.execute("SELECT kind, dedupe_key, state FROM jobs WHERE recording_id = ?", (recording,)).fetchall()
        key = f"default-{before + 1}"
        return sorted(jobs) == [("export", key, "ready"), ("preview", f"360/2-{before + 1}", "ready"), ("thumbnail", key, "ready")]
    until("both are made of the next manifest, and nothing else is to be made", made, 90, pause=0.3)
    assert json.loads((folder / "metadata.json").read_text())["revision"] == before + 1
    assert json.loads((folder / "processed/revisions.json").read_text()) == {name: before + 1 for name in products}
    for name, old in products.items():
        assert (folder / name).stat().st_ino != old.st_ino, f"{name} was made anew"
    assert [screen["peer_id"] for screen in json.loads(preview.read_text())["screenshares"]] == [host["participant_id"]], "the preview shows what came"
    assert not list((folder / "processed/exports").glob("*")), "no attempt's file is left"
    assert not _media.decode_errors(folder / "processed/output.webm")


def send(node, host, room, recording, webm, began, **upload):
    """Uploads it in pieces, and says that it is whole."""
    upload = {"upload": "own", "kind": "camera", **upload}
    size = -(-len(webm) // PIECES)
    for number in range(PIECES):
        body = webm[number * size:(number + 1) * size]
        status, where = leave(
            node, host, room, recording, number, startedAtUs=began, offsetUncertaintyUs=5_000, clock="n1", atUs=number * SECONDS * 1_000_000 // PIECES, bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(), **upload)
        assert status == 200, where
        status, receipt = put(node, where, body)
        assert status == 200, receipt
    status, ended = node.post(
        f"/api/recordings/{recording}/uploads/{upload['upload']}/complete", {"kind": upload["kind"], "last_sequence": PIECES - 1}, token=host["token"])
    assert status == 200 and ended["complete"], ended


async def main():
    with Cluster({"n1": ["edge", "room", "recorder", "compositor"]}) as cluster:
        node = cluster["n1"]
        webm = browser_file(cluster.folder / "own.webm")
        status, made = node.post("/api/v1/sessions/create", {"title": "Behind a wall", "host_name": "Ada"})
        assert status == 201, made
        room, host = made["session_id"], made["host"]
        async with Mute(node, room, host["participant_id"]):
            status, started = await asyncio.to_thread(node.post, "/recording/start", {"room_id": room}, token=host["token"])
            assert status == 200, started
            recording = started["recording_id"]
            began = node.get("/api/v1/time")[1]["time_us"]
            running = time.monotonic()
            await asyncio.to_thread(left_out_midway, cluster, room, recording, host)
            await asyncio.sleep(max(0, SECONDS + 0.5 - (time.monotonic() - running)))
            status, stopped = await asyncio.to_thread(node.post, "/recording/stop", {"room_id": room}, token=host["token"])
            assert status == 200, stopped

        def state():
            return node.get(f"/recording/{recording}", token=host["token"])[1]
        failed = until("nobody captured anything", lambda: state() if state()["state"] in ("failed", "ready") else None, 20)
        assert failed["state"] == "failed" and "no journal" in failed["reason"], failed
        send(node, host, room, recording, webm, began)
        ready = until("the recording is finished of what the browser sent", lambda: state() if state()["state"] == "ready" else None, 20)
        assert not ready.get("reason"), ready

        assert sorted(track["source"] for track in ready["tracks"]) == ["camera", "microphone"], ready["tracks"]
        for track in ready["tracks"]:
            assert node.get(track["url"], raw=True)[0] == 200, track

        folder = cluster.storage / "rooms" / room / recording
        metadata = json.loads((folder / "metadata.json").read_text())
        assert metadata["tracks"] == [] and not metadata["complete"], metadata["tracks"]
        edits = {edit["source"]: edit["pieces"] for edit in metadata["edits"]}
        start = (began - metadata["time_zero_us"]) / 1e6
        for source in ("camera", "microphone"):
            [piece] = edits[source]
            assert piece["origin"] == "device" and abs(piece["from"] - start) < 0.1 and abs(piece["to"] - start - SECONDS) < 0.2, (piece, start)
        timeline = json.loads((folder / "timeline.json").read_text())["events"]
        published = {event["source"]: event["track_id"] for event in timeline if event["type"] == "track_published"}
        assert {source: pieces[0]["track_id"] for source, pieces in edits.items()} == published, (edits, published)
        output = folder / "processed" / "output.webm"
        until("the export is made", output.exists, 60)
        errors = _media.decode_errors(output)
        assert not errors and abs(_media.probe(output)["duration"] - metadata["duration"]) < 0.3, (errors, _media.probe(output), metadata["duration"])
        until("the thumbnail is made", (folder / "thumbnail.jpg").exists, 20)
        await asyncio.to_thread(made_again, cluster, room, recording, host, lambda: send(node, host, room, recording, webm, began, upload="shared", kind="screen"))
    print(f"{metadata['duration']:.1f} s of a publisher whom no node heard, rendered again with what came later")


asyncio.run(main())
