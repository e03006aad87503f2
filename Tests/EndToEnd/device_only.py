# timeout: 150
# beside: others
"""A publisher whose media never comes through, but whose own recording does: it is all the recording holds, and enough for an export."""
import asyncio
import hashlib
import json
import ssl
import subprocess
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


def send(node, host, room, recording, webm, began):
    """Uploads it in pieces, and says that it is whole."""
    size = -(-len(webm) // PIECES)
    for number in range(PIECES):
        body = webm[number * size:(number + 1) * size]
        query = urllib.parse.urlencode({
            "roomId": room, "recordingId": recording, "participantId": host["participant_id"], "kind": "camera", "upload": "own", "sequence": number, "mediaType": "video/webm",
            "startedAtUs": began, "offsetUncertaintyUs": 5_000, "clock": "n1", "atUs": number * SECONDS * 1_000_000 // PIECES, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})
        status, leave = node.get(f"/api/recordings/upload-url?{query}", token=host["token"])
        assert status == 200, leave
        status, receipt = node.request("PUT", "/" + leave["url"].split("/", 3)[3], body, headers={"Content-Type": "video/webm"})
        assert status == 200, receipt
    status, ended = node.post(f"/api/recordings/{recording}/uploads/own/complete", {"kind": "camera", "last_sequence": PIECES - 1}, token=host["token"])
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
            await asyncio.sleep(SECONDS + 0.5)
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
    print(f"{metadata['duration']:.1f} s of a publisher whom no node heard")


asyncio.run(main())
