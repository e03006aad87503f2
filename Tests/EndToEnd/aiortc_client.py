# timeout: 180
# beside: others
"""aiortc on one node and Chromium on the other: a client that is no browser, speaking the WebSocket by hand."""
import asyncio
import concurrent.futures

from _aiortc import Client
from _chromium import Person, chromium
from _cluster import Cluster, until


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
