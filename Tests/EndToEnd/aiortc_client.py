# timeout: 180
# beside: others
"""aiortc on one node and Chromium on the other: a client that is no browser, speaking the WebSocket by hand."""
import asyncio
import concurrent.futures
import json
import ssl

import aioice.ice
import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from _chromium import Person, chromium
from _cluster import Cluster, until

# aioice leaves loopback out of its host addresses; here there is nothing else.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Client:
    """Publishes aiortc's test picture and silence, receives everything, answers offers."""

    def __init__(self, node, room, name, features=()):
        self.node, self.room, self.name, self.features = node, room, name, features
        self.frames = {"audio": 0, "video": 0}
        self.messages = []
        self.tasks = set()

    async def start(self):
        status, joined = await asyncio.to_thread(self.node.post, f"/api/v1/sessions/{self.room}/join", {"display_name": self.name})
        assert status in (200, 201), joined
        self.http = aiohttp.ClientSession()
        context = ssl._create_unverified_context()
        # Only the participant id, as the contract allows for a first connection.
        self.socket = await self.http.ws_connect(f"{self.node.url}/ws/{self.room}?participant_id={joined['participant_id']}", ssl=context)
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.on("track", self.on_track)
        self.pc.addTrack(AudioStreamTrack())
        self.pc.addTrack(VideoStreamTrack())
        self.spawn(self.read())
        if self.features:
            await self.send({"type": "hello", "features": list(self.features)})
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await self.send({"type": "webrtc_offer", "sdp": self.pc.localDescription.sdp})

    def spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)

    async def send(self, message):
        await self.socket.send_str(json.dumps(message))

    def on_track(self, track):
        async def count():
            while True:
                await track.recv()
                self.frames[track.kind] += 1
        self.spawn(count())

    async def read(self):
        async for message in self.socket:
            body = json.loads(message.data)
            self.messages.append(body["type"])
            if body["type"] == "webrtc_answer":
                await self.pc.setRemoteDescription(RTCSessionDescription(body["sdp"], "answer"))
            elif body["type"] == "webrtc_offer":
                if self.pc.signalingState != "stable":
                    continue
                await self.pc.setRemoteDescription(RTCSessionDescription(body["sdp"], "offer"))
                await self.pc.setLocalDescription(await self.pc.createAnswer())
                await self.send({"type": "webrtc_answer", "sdp": self.pc.localDescription.sdp})
            elif body["type"] == "error":
                raise AssertionError(body)

    async def wait_frames(self, more=20, seconds=20):
        goal = {kind: count + more for kind, count in self.frames.items()}
        for _ in range(seconds * 10):
            if all(self.frames[kind] >= goal[kind] for kind in goal):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.name} received {self.frames} of {goal}; ICE {self.pc.iceConnectionState}; messages {self.messages}")

    async def stop(self):
        await self.pc.close()
        await self.socket.close()
        await self.http.close()
        for task in self.tasks:
            task.cancel()


async def talk(cluster, ada, room, run):
    client = Client(cluster["n2"], room, "Robot")
    await client.start()
    try:
        await client.wait_frames()
        # aiortc sends silence: pictures are what Ada can see of it.
        decoded = lambda: sum(entry["decoded"] for entry in ada.stats()["video"])
        before = await asyncio.to_thread(run, decoded)
        await asyncio.to_thread(until, "Chromium decodes aiortc's picture", lambda: run(decoded) > before + 10, 20)
    finally:
        await client.stop()


async def lose_media(cluster, room):
    """The media session ends and the signalling does not: a client that can resume is told to, by the end of its socket."""
    client = Client(cluster["n2"], room, "Returner", features=["resume"])
    await client.start()
    try:
        await client.wait_frames(more=5)
        await client.pc.close()
        for _ in range(80):
            if client.socket.closed:
                break
            await asyncio.sleep(0.1)
        assert client.socket.closed and client.socket.close_code == 4408, (client.socket.closed, client.socket.close_code, client.messages[-5:])
    finally:
        await client.stop()


def main():
    with Cluster({"n1": ["edge", "room"], "n2": ["edge", "room"]}) as cluster, concurrent.futures.ThreadPoolExecutor(1) as pool:
        run = lambda work: pool.submit(work).result(120)
        manager = chromium()
        browser = run(manager.__enter__)
        try:
            ada = run(lambda: Person(browser, "Ada"))
            room = run(lambda: ada.create_room(cluster["n1"], "Robots welcome"))
            asyncio.run(talk(cluster, ada, room, run))
            asyncio.run(lose_media(cluster, room))
        finally:
            run(lambda: manager.__exit__(None, None, None))
    print("aiortc and Chromium met across two nodes")


main()
