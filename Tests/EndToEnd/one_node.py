# timeout: 180
# beside: others
"""One node, two Chromium windows through one Router: they see, hear and write to each other; mute, camera off and leave show."""
from _chromium import Person, chromium
from _cluster import Cluster, until

# The page's own signalling over a socket that sends and hears nothing; beside it media comes for `flows` milliseconds. Milliseconds until the node counts as gone.
PATIENCE = """async (flows) => {
  const { Signalling } = await import("/js/signalling.js");
  const link = new Signalling({ readyState: WebSocket.OPEN, send() {}, close() {} });
  const began = performance.now();
  let packets = 0;
  link.arrivals = async () => (performance.now() - began < flows ? packets += 1 : packets);
  const lost = new Promise((resolve) => link.addEventListener("lost", () => resolve(performance.now() - began)));
  link.beat(1000);
  return lost;
}"""


def a_node_that_sends_media_is_only_late(page):
    """Heartbeats without an answer: the first is at 1 s, its time is over 0.7 s later; with media five seconds after the last word."""
    silent, lively, dying = page.evaluate(f"Promise.all([0, 60000, 3000].map({PATIENCE}))")
    assert 1650 <= silent < 3000, silent
    assert 5000 <= lively < 7500, lively
    assert 3000 <= dying < 5000, dying


def main():
    with Cluster({"n1": ["edge", "room", "recorder"]}) as cluster, chromium() as browser:
        node = cluster["n1"]
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        room = ada.create_room(node, "One node")
        ben.join_room(node, room)
        ada.wait_receiving()
        ben.wait_receiving()
        for person in (ada, ben):
            pair = person.stats()["pair"]
            assert (pair["address"], pair["port"]) == ("127.0.0.1", node.media_port), pair
            assert person.tiles() == 2, person.tiles()

        ada.say("hello from Ada")
        until("the chat arrives", lambda: ben.heard("hello from Ada"))

        ben.page.click("#mic")
        until("Ada sees Ben muted", lambda: ada.page.evaluate("!document.querySelector('.tile:not(.me) .label .i').hasAttribute('hidden')"))
        ben.page.click("#camera")
        until("Ben's picture is gone", lambda: ada.page.evaluate("document.querySelector('.tile:not(.me) video').hidden"))
        ben.page.click("#camera")
        ben.page.click("#mic")
        ada.wait_receiving()

        status, session = node.get(f"/api/v1/sessions/{room}")
        assert status == 200 and sorted(p["name"] for p in session["participants"]) == ["Ada", "Ben"], session

        a_node_that_sends_media_is_only_late(ada.page)

        ben.leave()
        until("Ben's tile is gone", lambda: ada.tiles() == 1)
        assert cluster["n1"].stop() == 0
    print("two Chromium windows met on one node")


main()
