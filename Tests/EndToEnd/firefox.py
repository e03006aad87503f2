# timeout: 240
"""Firefox on one node and Chromium on the other, both in the real page: they see and hear each other."""
import asyncio
import concurrent.futures

import _namespace
from _chromium import STATS, WATCH, Person, chromium
from _cluster import Cluster, free_port, until
from _firefox import Firefox

FILL = """([name]) => { document.getElementById('name').value = name; document.getElementById('join-button').click(); }"""
STATE = """() => ({...document.body.dataset, error: document.getElementById('error')?.textContent})"""


class FoxPerson:
    """Firefox in the studio; asynchronous underneath, used like `Person`."""

    def __init__(self, loop, firefox, name):
        self.loop, self.firefox, self.name = loop, firefox, name

    def wait(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 60))

    def join_room(self, node, room):
        self.context = self.wait(self.firefox.tab(f"{node.url}/session/{room}", before=WATCH))
        until("the form is there", lambda: self.wait(self.firefox.run(self.context, "() => !document.getElementById('prejoin').hidden")))
        self.wait(self.firefox.run(self.context, FILL, [self.name]))
        try:
            until(f"{self.name} is connected", lambda: self.state().get("media") == "connected", 30)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.state()}")

    def state(self):
        return self.wait(self.firefox.run(self.context, STATE))

    def stats(self):
        return self.wait(self.firefox.run(self.context, STATS))

    def receiving(self):
        before = self.stats()
        self.wait(asyncio.sleep(1))
        after = self.stats()
        video = sum(e["decoded"] for e in after["video"]) > sum(e["decoded"] for e in before["video"])
        audio = sum(e["energy"] for e in after["audio"]) > sum(e["energy"] for e in before["audio"])
        return video and audio


def main():
    _namespace.enter()
    loop = asyncio.new_event_loop()
    firefox = Firefox(free_port())
    with Cluster({"n1": ["edge", "room"], "n2": ["edge", "room"]}) as cluster:
        loop.run_until_complete(firefox.__aenter__())
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                # Playwright's own event loop must not share this thread's.
                run = lambda work: pool.submit(work).result(120)
                manager = chromium()
                browser = run(manager.__enter__)
                try:
                    ada = run(lambda: Person(browser, "Ada"))
                    room = run(lambda: ada.create_room(cluster["n1"], "Firefox meets Chromium"))
                    fox = FoxPerson(loop, firefox, "Fox")
                    fox.join_room(cluster["n2"], room)
                    run(lambda: ada.wait_receiving(seconds=30))
                    until("Firefox sees and hears Chromium", fox.receiving, 30)
                finally:
                    run(lambda: manager.__exit__(None, None, None))
        finally:
            loop.run_until_complete(firefox.__aexit__())
    print("Firefox and Chromium met across two nodes")


main()
