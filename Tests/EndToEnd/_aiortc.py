"""A client that is no browser: aiortc, speaking the WebSocket by hand."""
import asyncio
import json
import ssl

import aioice.ice
import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

# aioice leaves loopback out of its host addresses; here there is nothing else.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Client:
    """Publishes aiortc's test picture and silence, or the tracks it is given, receives everything, answers offers."""

    def __init__(self, node, room, name, features=(), tracks=None):
        self.node, self.room, self.name, self.features = node, room, name, features
        self.tracks = tracks or [AudioStreamTrack(), VideoStreamTrack()]
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
        for track in self.tracks:
            self.pc.addTrack(track)
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
