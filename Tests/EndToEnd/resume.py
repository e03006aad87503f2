# timeout: 240
"""kill -9 of a browser's edge: it goes on at another node as the same participant, and nobody sees it leave or come."""
import _handover
from _chromium import Person, chromium
from _cluster import Cluster, until
from _troupectl import create_room_on

CREDENTIAL = "JSON.parse(sessionStorage.getItem('troupe.room.' + location.pathname.split('/')[2]))"


def hosted(cluster, person, room, asked):
    token = person.page.evaluate(CREDENTIAL)["token"]
    status, session = cluster[asked].get(f"/api/v1/sessions/{room}", token=token)
    assert status == 200, session
    return session


def goes_on_after(cluster, victim, ada, ben, room, asked, afterwards=2):
    """Kills Ada's edge; she and Ben see each other again."""
    before = _handover.data(ada)
    assert before["node"] == victim and before.get("resumes") is None, before
    notes = _handover.notes(ben)
    ben.say("before it happens")
    until("Ada hears Ben", lambda: ada.heard("before it happens"), 8)
    _handover.sample(ada, ben)
    ada.page.wait_for_timeout(1000)
    cluster[victim].kill()
    ben.say("while you were away")
    until("Ada resumes", lambda: _handover.data(ada).get("resumes") == "1" and _handover.data(ada)["media"] == "connected", 20, 0.05)
    ada.wait_receiving()
    ben.wait_receiving()
    seen_by_ben, seen_by_ada = _handover.gaps(ben), _handover.gaps(ada)
    after = _handover.data(ada)
    assert after["participant"] == before["participant"] and after["node"] != victim and after["joins"] == "1", (before, after)
    assert _handover.notes(ben) == notes, (notes, _handover.notes(ben))
    until("what was said meanwhile arrives", lambda: ada.heard("while you were away"), 8)
    session = hosted(cluster, ben, room, asked)
    assert sorted(p["name"] for p in session["participants"]) == ["Ada", "Ben"], session
    assert {p["id"]: p["node"] for p in session["participants"]}[after["participant"]] == after["node"], session
    assert len(session["publications"]) == 4, session["publications"]
    ada.page.wait_for_timeout(1000 * afterwards)
    assert sorted(p["name"] for p in hosted(cluster, ben, room, asked)["participants"]) == ["Ada", "Ben"], f"{afterwards} s later"
    assert ada.receiving() and ben.receiving()
    return seen_by_ben, seen_by_ada


def main():
    with Cluster({name: ["edge", "room", "recorder"] for name in ("n1", "n2", "n3")}) as cluster, chromium() as browser:
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        room, _ = create_room_on(cluster, "n3", "n2", ada)
        ben.join_room(cluster["n1"], room)
        ada.wait_receiving()
        ben.wait_receiving()
        # Once beyond the time a lost member has.
        edge_only = goes_on_after(cluster, "n2", ada, ben, room, "n1", afterwards=14)
        for person in (ada, ben):
            person.leave()
        cluster["n2"].start().ready()
        cleo, dan = Person(browser, "Ada"), Person(browser, "Ben")
        room, _ = create_room_on(cluster, "n2", "n2", cleo)
        dan.join_room(cluster["n1"], room)
        cleo.wait_receiving()
        dan.wait_receiving()
        with_room = goes_on_after(cluster, "n2", cleo, dan, room, "n1")
    print(f"edge killed: no frame of Ada for {edge_only[0]:.0f} ms, of Ben for {edge_only[1]:.0f} ms; with the room's host: {with_room[0]:.0f} and {with_room[1]:.0f} ms")


main()
