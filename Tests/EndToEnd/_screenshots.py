"""Pictures of the studio for the documents: lobby, room, recordings, the edit page, and room and edit page on a phone.

    python Tests/EndToEnd/_screenshots.py FOLDER
"""
import pathlib
import subprocess
import sys
import tempfile

from _chromium import Person, chromium
from _cluster import Cluster, until


# Syllables of a voice at 140 Hz, with a pause to breathe: a beep a second is no speech.
SPEECH = "aevalsrc='0.3*(sin(880*t)+0.6*sin(1760*t)+0.5*sin(3520*t)+0.3*sin(7040*t))*(0.55+0.45*sin(25*t))*gt(mod(t,4),0.8)':d=8:s=48000"


def speech(folder):
    path = pathlib.Path(folder) / "speech.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", SPEECH, "-ac", "1", str(path)], check=True)
    return path


def edit(page, folder):
    """The edit page with a cut, a pin and a chapter, at a moment somebody speaks; then as a phone shows it."""
    page.click("a.edit")
    until("the preview can be edited", lambda: page.evaluate("document.body.dataset.state") == "ready", 60)

    def go(seconds):
        page.focus("#position")
        page.keyboard.press("Home")
        for _ in range(seconds):
            page.keyboard.press("ArrowRight")
    page.click("[data-layout=sidebar]")
    go(3)
    page.keyboard.press("i")
    go(5)
    page.keyboard.press("o")
    page.locator("#people li", has_text="Ben").get_by_role("button", name="Pin").click()
    go(7)
    page.fill("#chapter-title", "The time line")
    page.press("#chapter-title", "Enter")
    page.click("#save")
    until("it is saved", lambda: page.evaluate("document.body.dataset.version") == "1")
    go(8)
    page.wait_for_timeout(1500)
    page.set_viewport_size({"width": 1440, "height": 960})
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)
    page.screenshot(path=folder / "editor.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    page.screenshot(path=folder / "editor-phone.png")


def main(folder):
    folder = pathlib.Path(folder)
    nodes = {name: ["edge", "room", "recorder", "compositor"] for name in ("n1", "n2", "n3")}
    with tempfile.TemporaryDirectory() as temporary, Cluster(nodes) as cluster, chromium(f"--use-file-for-fake-audio-capture={speech(temporary)}") as browser:
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
        ben.page.click("#mic")
        ada.page.wait_for_timeout(5000)
        ada.page.screenshot(path=folder / "room.png")
        cleo.page.screenshot(path=folder / "room-phone.png")
        ada.page.click("#mic")
        ben.page.click("#mic")
        ada.page.wait_for_timeout(5000)
        ada.page.click("#record")
        until("it is ready", lambda: ada.page.evaluate("document.body.dataset.recording") == "ready", 30)
        page = ada.context.new_page()
        page.goto(f"{cluster['n2'].url}/recordings")
        page.wait_for_timeout(500)
        # What the browser remembers of rooms belongs to one origin: the node they were opened at.
        page.goto(f"{cluster['n1'].url}/recordings")
        until("the players are there", lambda: page.locator(".person video").count() >= 3)
        until("everybody's integrity is told", lambda: page.locator(".integrity:not(:empty)").count() >= 3)
        until("a thumbnail was made", lambda: page.reload() and page.wait_for_timeout(1500) or page.locator(".thumbnail").count(), 60)
        page.screenshot(path=folder / "recordings.png")
        edit(page, folder)


main(sys.argv[1])
