"""Pictures of the studio for the documents: lobby, room, recordings, and the room on a phone.

    python Tests/EndToEnd/_screenshots.py FOLDER
"""
import pathlib
import sys

from _chromium import Person, chromium
from _cluster import Cluster, until


def main(folder):
    folder = pathlib.Path(folder)
    with Cluster({name: ["edge", "room", "recorder"] for name in ("n1", "n2", "n3")}) as cluster, chromium() as browser:
        ada, ben, cleo = Person(browser, "Ada Lovelace"), Person(browser, "Ben Okri"), Person(browser, "Cleo Chen", {"width": 390, "height": 844})
        ada.page.goto(f"{cluster['n1'].url}/")
        ada.page.fill("#name", ada.name)
        ada.page.fill("#title", "Design review")
        ada.page.wait_for_timeout(800)
        ada.page.screenshot(path=folder / "lobby.png")
        room = ada.create_room(cluster["n1"], "Design review")
        ben.join_room(cluster["n2"], room)
        cleo.join_room(cluster["n3"], room)
        for person in (ada, ben, cleo):
            person.wait_receiving(2)
        ada.page.click("#record")
        until("it records", lambda: ada.page.evaluate("document.body.dataset.recording") == "recording")
        ben.say("Shall we start with the timeline?")
        ada.say("Yes, one moment")
        ada.page.wait_for_timeout(6000)
        ada.page.screenshot(path=folder / "room.png")
        cleo.page.screenshot(path=folder / "room-phone.png")
        ada.page.click("#record")
        until("it is ready", lambda: ada.page.evaluate("document.body.dataset.recording") == "ready", 30)
        page = ada.context.new_page()
        page.goto(f"{cluster['n2'].url}/recordings")
        page.wait_for_timeout(500)
        # What the browser remembers of rooms belongs to one origin: the node they were opened at.
        page.goto(f"{cluster['n1'].url}/recordings")
        until("the players are there", lambda: page.locator(".person video").count() >= 3)
        page.wait_for_timeout(1500)
        page.screenshot(path=folder / "recordings.png")


main(sys.argv[1])
