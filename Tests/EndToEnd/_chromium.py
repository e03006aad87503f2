"""Debian's Chromium with fake devices, and the studio as a person uses it."""
import contextlib

from playwright.sync_api import sync_playwright

from _cluster import until

ARGUMENTS = [
    "--no-sandbox", "--use-fake-device-for-media-stream=fps=30", "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required", "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--auto-select-desktop-capture-source=Entire screen",
]

# Keeps every PeerConnection of the page reachable for getStats: installed before the page's own scripts.
WATCH = """
window.watched = [];
window.RTCPeerConnection = class extends RTCPeerConnection { constructor(...a) { super(...a); window.watched.push(this); } };
"""

# Whether the page's browser records as well while the room is recorded.
OWN_RECORDING = """try { localStorage.setItem("troupe.own-recording", "%s"); } catch { /* a page without an origin */ }"""

STATS = """async () => {
  const out = { video: [], audio: [], pair: null, sent: [] };
  for (const pc of window.watched.filter((pc) => pc.connectionState !== "closed")) {
    const report = await pc.getStats();
    for (const entry of report.values()) {
      if (entry.type === "inbound-rtp") out[entry.kind].push({ mid: entry.mid, decoded: entry.framesDecoded ?? 0, energy: entry.totalAudioEnergy ?? 0, packets: entry.packetsReceived, lost: entry.packetsLost, width: entry.frameWidth ?? 0 });
      if (entry.type === "outbound-rtp") out.sent.push({ kind: entry.kind, packets: entry.packetsSent, nack: entry.nackCount ?? 0, pli: entry.pliCount ?? 0, codec: report.get(entry.codecId)?.mimeType });
      if (entry.type === "transport" && entry.selectedCandidatePairId) {
        const pair = report.get(entry.selectedCandidatePairId);
        const remote = report.get(pair.remoteCandidateId);
        out.pair = { address: remote.address, port: remote.port };
      }
    }
  }
  return out;
}"""


@contextlib.contextmanager
def chromium(*extra):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=ARGUMENTS + list(extra))
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """One browser context in the studio: nothing is shared with another person but the network."""

    def __init__(self, browser, name, viewport=None, own_recording=False):
        self.name = name
        self.context = browser.new_context(ignore_https_errors=True, permissions=["camera", "microphone"], viewport=viewport or {"width": 1280, "height": 720}, reduced_motion="reduce")
        self.context.add_init_script(WATCH)
        self.context.add_init_script(OWN_RECORDING % ("on" if own_recording else "off"))
        self.page = self.context.new_page()
        self.console = []
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(f"page error: {error}"))

    def create_room(self, node, title):
        self.page.goto(f"{node.url}/")
        self.page.fill("#name", self.name)
        self.page.fill("#title", title)
        self.page.click("#create-button")
        self.page.wait_for_url("**/session/*")
        self.wait_connected()
        return self.page.url.rsplit("/", 1)[1]

    def join_room(self, node, room):
        self.page.goto(f"{node.url}/session/{room}")
        self.page.fill("#name", self.name)
        self.page.click("#join-button")
        self.wait_connected()

    def wait_connected(self, seconds=20):
        connected = "document.body.dataset.signalling === 'connected' && document.body.dataset.media === 'connected'"
        try:
            until(f"{self.name} is connected", lambda: self.page.evaluate(connected), seconds)
        except AssertionError as error:
            state = self.page.evaluate("({...document.body.dataset, error: document.getElementById('error')?.textContent})")
            raise AssertionError(f"{error}: {state}; console: {self.console[-10:]}")

    def stats(self):
        return self.page.evaluate(STATS)

    def receiving(self, people=1):
        """Whether pictures and sound of `people` others grow within a moment."""
        before = self.stats()
        self.page.wait_for_timeout(700)
        after = self.stats()

        def growing(kind, field):
            old = {entry["mid"]: entry[field] for entry in before[kind]}
            return sum(1 for entry in after[kind] if entry[field] > old.get(entry["mid"], 0))
        return growing("video", "decoded") >= people and growing("audio", "energy") >= people

    def wait_receiving(self, people=1, seconds=20):
        try:
            return until(f"{self.name} sees and hears {people}", lambda: self.receiving(people), seconds)
        except AssertionError as error:
            state = self.page.evaluate("({...document.body.dataset, error: document.getElementById('error')?.textContent})")
            raise AssertionError(f"{error}; {self.stats()}; {state}; console: {self.console[-10:]}")

    def tiles(self):
        return self.page.locator(".tile").count()

    def say(self, text):
        if self.page.locator("#chat").is_hidden():
            self.page.click("#chat-toggle")
        self.page.fill("#chat-text", text)
        self.page.press("#chat-text", "Enter")

    def heard(self, text):
        return self.page.locator("#messages .text", has_text=text).count() > 0

    def leave(self):
        self.page.click("#leave")


def credential(person):
    return person.page.evaluate("JSON.parse(sessionStorage.getItem('troupe.room.' + location.pathname.split('/')[2]))")


def wait_state(person, state, seconds):
    until(f"{person.name} is told `{state}`", lambda: person.page.evaluate("document.body.dataset.recording") == state, seconds)
