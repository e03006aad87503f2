# timeout: 120
"""The edit page: all previews on one clock in Chromium and Firefox, a composition made by its controls, saved, refused and restored, an export begun."""
import asyncio
import concurrent.futures

from _chromium import Person, chromium, credential, wait_state
from _cluster import Cluster, free_port, until
from _firefox import Firefox

CLOCKS = "() => [...document.querySelectorAll('#stage video')].map((video) => ({ at: video.currentTime, seeking: video.seeking, data: video.readyState, frames: video.getVideoPlaybackQuality().totalVideoFrames }))"
# Fourteen minutes later signatures are about to end; what the page does then is seen by which playlists were asked for since.
LATER = "() => { const now = performance.now.bind(performance), asked = () => performance.getEntriesByType('resource').filter((entry) => entry.name.includes('.m3u8')).length; window.askedFor = asked(); performance.now = () => now() + 14 * 60e3; }"
ASKED = "() => performance.getEntriesByType('resource').filter((entry) => entry.name.includes('.m3u8')).length - window.askedFor"
SOURCES = "() => [...document.querySelectorAll('#stage video')].map((video) => video.currentSrc)"
POSITION = "() => Number(document.getElementById('position').getAttribute('aria-valuenow'))"
STATE = "() => ({...document.body.dataset, error: document.getElementById('error').textContent, note: document.getElementById('stage-note').textContent})"


def spread(clocks):
    return max(clock["at"] for clock in clocks) - min(clock["at"] for clock in clocks)


def played_together(before, clocks):
    """Each has shown half a second more than it had, and they are where the others are. One that falls behind has to come up."""
    return spread(clocks) <= 0.1 and all(not clock["seeking"] and clock["frames"] > then["frames"] + 8 for clock, then in zip(clocks, before))


def settled(page):
    clocks = page.evaluate(CLOCKS)
    return clocks if all(not clock["seeking"] and clock["data"] >= 2 for clock in clocks) else None


def go(page, tenths):
    """By the keyboard: a second a press, a tenth with Shift."""
    page.focus("#position")
    page.keyboard.press("Home")
    for _ in range(tenths // 10):
        page.keyboard.press("ArrowRight")
    for _ in range(tenths % 10):
        page.keyboard.press("Shift+ArrowRight")
    until("everybody is there", lambda: settled(page))


def record(cluster, ada, ben):
    """Two people and a shared screen; the guest comes by an invitation, which admits once."""
    node = cluster["n1"]
    room = ada.create_room(node, "Edited")
    token = credential(ada)["token"]
    ada.context.grant_permissions(["camera", "microphone", "clipboard-read", "clipboard-write"])
    ada.page.click("#invite")
    link = until("the invitation is in the clipboard", lambda: (lambda text: text if "#guest_token=" in text else None)(ada.page.evaluate("navigator.clipboard.readText()")))
    ben.page.goto(link)
    ben.page.fill("#name", ben.name)
    ben.page.click("#join-button")
    ben.wait_connected()
    assert "#" not in ben.page.url, "a used invitation does not stay in the address"
    status, answer = node.post(f"/api/v1/sessions/{room}/join", {"display_name": "Eve", "guest_token": link.split("=")[1]})
    assert status == 401, answer
    ada.wait_receiving()
    ada.page.click("#share")
    until("the screen is shown", lambda: ben.page.locator(".tile.screen").count() == 1)
    ada.page.click("#record")
    wait_state(ada, "recording", 15)
    ada.page.wait_for_timeout(6500)
    ada.page.click("#record")
    wait_state(ada, "ready", 40)
    return token


def without_its_first_job(page):
    """The first answer about a job is that there is none, as where the recording was finished again meanwhile."""
    asked = []

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(status=404, json={"error": {"code": "unknown_job", "message": "no job has this id"}})
    page.route("**/jobs/*", answer, times=1)
    return asked


def open_editor(ada, node):
    """From the list of recordings, where every person's files are said to be whole."""
    page = ada.page
    lost = without_its_first_job(page)
    page.goto(f"{node.url}/recordings")
    until("integrity is told", lambda: page.locator(".integrity", has_text="omplete").count() == 2)
    page.click("a.edit")
    try:
        until("the preview can be edited", lambda: page.evaluate("document.body.dataset.state") == "ready", 40)
    except AssertionError as error:
        raise AssertionError(f"{error}: {page.evaluate(STATE)}; console: {ada.console[-10:]}")
    assert len(lost) == 1, ("it asked for the next one", lost)
    assert page.locator("#stage video").count() == 3, "two people and a screen"
    return page


def one_clock(page):
    """Sought together, played together."""
    for tenths in (50, 34, 13):
        go(page, tenths)
        clocks = settled(page)
        assert spread(clocks) <= 0.1 and abs(clocks[0]["at"] - tenths / 10) <= 0.1, (tenths, clocks)
    before = page.evaluate(CLOCKS)
    page.keyboard.press("Space")
    until("it plays", lambda: page.evaluate("document.body.dataset.playing") == "true")
    seen = []

    def together():
        clocks, position = page.evaluate(CLOCKS), page.evaluate(POSITION)
        seen.append((position, clocks))
        return clocks if played_together(before, clocks) and abs(clocks[0]["at"] - position) <= 0.25 else None
    try:
        clocks = until("it plays on one clock", together)
    except AssertionError as error:
        raise AssertionError(f"{error}: {before}, then {seen[-3:]}")
    page.click("#play")
    until("it stands", lambda: page.evaluate("document.body.dataset.playing") == "false")
    return spread(clocks)


def renewed(page):
    """The browser's own HLS gets URLs that were signed anew, and is where it was."""
    go(page, 30)
    sources = page.evaluate(SOURCES)
    page.evaluate(LATER)
    until("new URLs are used", lambda: not set(page.evaluate(SOURCES)) & set(sources))
    clocks = until("everybody is there", lambda: settled(page))
    assert all(abs(clock["at"] - 3) <= 0.1 for clock in clocks), clocks
    again = page.evaluate(SOURCES)
    page.wait_for_timeout(500)
    assert page.evaluate(SOURCES) == again, "once is enough"


def compose(page):
    """A cut that is skipped, a layout, a pin, a hide; what the server refuses is told beside the person."""
    go(page, 20)
    page.keyboard.press("i")
    go(page, 40)
    page.keyboard.press("o")
    go(page, 17)
    page.keyboard.press("Space")
    seen = []
    until("the cut is passed", lambda: seen.append(page.evaluate(POSITION)) or seen[-1] > 4.3, pause=0.03)
    page.click("#play")
    assert not [at for at in seen if 2.15 < at < 3.95], seen
    go(page, 10)
    page.click("[data-layout=speaker]")
    ben = page.locator("#people li", has_text="Ben")
    ben.get_by_role("button", name="Pin Ben from here on").click()
    until("Ben is large", lambda: page.evaluate("document.getElementById('stage').dataset.large") == ben.get_attribute("data-peer"))
    go(page, 45)
    ben.get_by_role("button", name="Hide Ben from here on").click()
    until("Ben is gone", lambda: page.locator("#stage .tile:not(.screen)", has_text="Ben").is_hidden())
    ben.locator("input[type=number]").fill("99")
    ben.locator("input[type=number]").press("Tab")
    page.click("#save")
    until("the server's words are beside Ben", lambda: "tracks[0].gain_db" in ben.locator(".mistake").inner_text())
    ben.locator("input[type=number]").fill("-6")
    ben.locator("input[type=number]").press("Tab")
    ben.get_by_label("Mute").check()
    page.click("#save")
    until("it is saved", lambda: page.evaluate("document.body.dataset.version") == "1")


def restored(page, node, token):
    """After a reload everything is as it was saved; what another editor saved meanwhile is not written over unasked."""
    page.reload()
    until("the page is back", lambda: page.evaluate("document.body.dataset.state") == "ready", 20)
    types = page.locator("#edits li").evaluate_all("(items) => items.map((item) => item.dataset.type)")
    assert types == ["layout", "pin", "cut", "hide"], types
    assert page.locator("#people li", has_text="Ben").get_by_label("Mute").is_checked()
    path = f"/recordings/{page.url.split('/')[4]}/composition"
    status, saved = node.get(path, token=token)
    assert status == 200 and saved["version"] == 1, saved
    assert saved["composition"]["tracks"] == [{"peer_id": saved["composition"]["tracks"][0]["peer_id"], "muted": True, "gain_db": -6, "denoise": False}], saved
    assert node.request("PUT", path, {"layout": "single"}, token=token)[0] == 200
    page.fill("#chapter-title", "Questions")
    page.press("#chapter-title", "Enter")
    page.click("#save")
    until("the conflict is told", lambda: "version 2" in page.locator("#notice").inner_text())
    assert node.get(path, token=token)[1]["composition"]["layout"] == "single", "theirs stands"
    page.click("#mine")
    until("ours stands", lambda: page.evaluate("document.body.dataset.version") == "3")
    assert [entry["type"] for entry in node.get(path, token=token)[1]["composition"]["timeline"]].count("chapter") == 1
    return path.rsplit("/", 1)[0]


def exported(page, node, recording, token):
    page.select_option("#resolution", "360p")
    page.click("#export-button")
    job = until("its job is there", lambda: next((job for job in node.get(recording, token=token)[1]["jobs"] if job["kind"] == "export" and job["priority"] > 0), None))
    until("the page follows this very job", lambda: page.locator(f"#exports li[data-job={job['job_id']}]").count() == 1)
    assert node.get(f"{recording}/composition", token=token)[1]["composition"]["export"]["resolution"] == "360p", "saved before it is rendered"


async def in_firefox(url, rooms):
    """Firefox knows no HLS: its segments come by Media Source Extensions."""
    async with Firefox(free_port()) as firefox:
        context = await firefox.tab(url.split("/recordings")[0] + "/recordings")
        await firefox.run(context, "(rooms) => localStorage.setItem('troupe.rooms', rooms)", rooms)
        await firefox.command("browsingContext.navigate", {"context": context, "url": url, "wait": "complete"})

        async def wait(what, function, good):
            for _ in range(150):
                value = await firefox.run(context, function)
                if good(value):
                    return value
                await asyncio.sleep(0.1)
            raise AssertionError(f"Firefox: {what}: {value}; {await firefox.run(context, STATE)}")
        await wait("the preview can be edited", STATE, lambda state: state.get("state") == "ready")
        still = lambda clocks: len(clocks) == 3 and all(not clock["seeking"] and clock["data"] >= 2 for clock in clocks)
        await wait("everybody has a picture", CLOCKS, still)
        await firefox.run(context, LATER)
        await wait("playlists are asked for anew", ASKED, lambda count: count == 3)
        press = "(key) => document.getElementById('position').dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
        await firefox.run(context, "() => document.querySelectorAll('#edits [data-type=cut] .round').forEach((button) => button.click())")
        for _ in range(5):
            await firefox.run(context, press, "ArrowRight")
        clocks = await wait("the seek is done", CLOCKS, lambda found: still(found) and all(abs(clock["at"] - 5) < 0.1 for clock in found))
        assert spread(clocks) <= 0.1, clocks
        await firefox.run(context, press, "Home")
        await wait("the seek is done", CLOCKS, still)
        before = await firefox.run(context, CLOCKS)
        await firefox.run(context, "() => document.getElementById('play').click()")
        await wait("it plays on one clock", CLOCKS, lambda found: all(1.5 < clock["at"] < 6 for clock in found) and played_together(before, found))
        assert await firefox.run(context, ASKED) == 3, "once is enough"


def main():
    with Cluster({"n1": ["edge", "room", "recorder", "compositor"]}) as cluster, concurrent.futures.ThreadPoolExecutor(1) as pool, chromium() as browser:
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        token = record(cluster, ada, ben)
        ben.context.close()
        page = open_editor(ada, cluster["n1"])
        off = one_clock(page)
        renewed(page)
        firefox = pool.submit(asyncio.run, asyncio.wait_for(in_firefox(page.url, page.evaluate("localStorage.getItem('troupe.rooms')")), 60))
        compose(page)
        recording = restored(page, cluster["n1"], token)
        exported(page, cluster["n1"], recording, token)
        mistakes = [line for line in ada.console if line.startswith("page error") or "Content Security Policy" in line]
        assert not mistakes, mistakes
        firefox.result()
    print(f"edited in Chromium, three streams {off * 1000:.1f} ms apart; saved, refused and restored; export begun; played in Firefox")


main()
