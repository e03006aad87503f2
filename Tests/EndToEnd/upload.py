# timeout: 120
"""Two people's browsers record themselves; one is killed while it sends, comes back at another node, and everything it had written arrives."""
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import tempfile
import threading
import time
import urllib.parse

from _chromium import ARGUMENTS, OWN_RECORDING, Person, chromium, credential, wait_state
from _cluster import Cluster, free_port, until

# How long a recording waits for more, once an upload is whole (`Recording.Limits.uploadsSettle`).
SETTLE_S = 3
# What the worker says it has written, told on the console, which outlives the browser.
WATCH = """
window.Worker = class extends Worker { constructor(...a) { super(...a); this.addEventListener("message", ({ data }) => {
  if (["stored", "done", "failed"].includes(data.type)) console.log(`worker ${JSON.stringify(data)}`); }); } };
"""


class Forwarder:
    """One port in front of whichever node it is told: the cluster's one address."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.target = None
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                inside, _ = self.server.accept()
                try:
                    outside = socket.create_connection(("127.0.0.1", self.target), 2)
                except OSError:
                    inside.close()
                    continue
                self.open += [inside, outside]
                for a, b in ((inside, outside), (outside, inside)):
                    threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def switch(self, port):
        """Everything open ends, as when a node goes away."""
        self.target = port
        for end in self.open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.open = []

    def close(self):
        self.server.close()


class Address:
    """One address for all nodes, as `Person` wants a node."""

    def __init__(self, url):
        self.url = url


def told(lines):
    """(kind, sequence) → entry, of everything a worker said it has written."""
    entries = [json.loads(line[7:]) for line in list(lines) if line.startswith("worker {")]
    return {(entry["kind"], entry["sequence"]): entry for entry in entries if entry["type"] == "stored"}


class Profile:
    """A browser of its own whose profile stays when it is killed."""

    def __init__(self, chromium_type, folder):
        self.chromium_type, self.folder = chromium_type, folder
        self.lines = []

    def start(self):
        self.context = self.chromium_type.launch_persistent_context(
            str(self.folder), executable_path="/usr/bin/chromium", headless=True, args=ARGUMENTS, ignore_https_errors=True, permissions=["camera", "microphone"])
        self.context.add_init_script(WATCH)
        self.context.add_init_script(OWN_RECORDING % "on")
        page = self.context.new_page()
        page.on("console", lambda message: self.lines.append(message.text))
        page.on("pageerror", lambda error: self.lines.append(f"page error: {error}"))
        return page

    def process(self):
        """The browser's own process: of this profile, and no child of its kind."""
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0") if entry.name.isdigit() else []
                if f"--user-data-dir={self.folder}" in words and not any(word.startswith("--type=") for word in words) and "chrom" in words[0]:
                    return int(entry.name)
        raise AssertionError("the browser's process is not found")

    def until(self, what, condition, seconds):
        try:
            return until(what, condition, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; console: {self.lines[-15:]}")

    def kill(self):
        os.kill(self.process(), signal.SIGKILL)
        with contextlib.suppress(Exception):
            self.context.close()


def uploads_of(cluster, room, recording, participant):
    folder = cluster.storage / "rooms" / room / recording / "chunks" / participant
    return folder, json.loads((folder / "uploads.json").read_text())["uploads"] if (folder / "uploads.json").exists() else []


def running(node, room, token):
    return next((r for r in node.get(f"/api/recordings?roomId={room}", token=token)[1]["recordings"] if r["state"] == "recording"), None)


def check_arrived(cluster, room, recording, participant, stored):
    """Every piece that was written is here, byte for byte, and the browser's uploads are whole. Gives their number and bytes."""
    def whole():
        _, uploads = uploads_of(cluster, room, recording, participant)
        uploads = [upload for upload in uploads if upload["upload"] != "by-hand"]
        return uploads if uploads and all(upload["complete"] for upload in uploads) else None
    folder, _ = uploads_of(cluster, room, recording, participant)
    uploads = until("the browser's uploads are whole", whole, 30)
    here = {(upload["kind"], chunk["sequence"]): chunk for upload in uploads for chunk in upload["chunks"]}
    lost = [key for key in stored if key not in here]
    assert not lost, f"written by the browser and not here: {lost}"
    total = 0
    for upload in uploads:
        numbers = [chunk["sequence"] for chunk in upload["chunks"]]
        assert numbers == list(range(upload["first_sequence"], upload["first_sequence"] + len(numbers))), numbers
        times = [chunk["at_us"] for chunk in upload["chunks"]]
        assert times[0] == 0 and times == sorted(times), times
        assert upload["clock"] in ("n1", "n2", "n3") and 0 < upload["offset_uncertainty_us"] < 2_000_000, upload
        assert abs(upload["started_at_us"] / 1e6 - time.time()) < 120, upload["started_at_us"]
        joined = hashlib.sha256()
        for chunk in upload["chunks"]:
            content = (folder / f"{upload['kind']}-{chunk['sequence']:06}.webm").read_bytes()
            assert len(content) == chunk["bytes"] and hashlib.sha256(content).hexdigest() == chunk["sha256"], chunk
            written = stored.get((upload["kind"], chunk["sequence"]))
            assert written is None or written["sha256"] == chunk["sha256"], (written, chunk)
            joined.update(content)
            total += len(content)
        first = (folder / f"{upload['kind']}-{numbers[0]:06}.webm").read_bytes()
        assert first[:4] == b"\x1a\x45\xdf\xa3", "each upload brings its own head"
    return len(here), total


def url_for(node, token, room, recording, participant, sequence=900_000, **more):
    query = urllib.parse.urlencode({"roomId": room, "recordingId": recording, "participantId": participant, "kind": "screen", "upload": "by-hand", "firstSequence": 900_000, "sequence": sequence, **more})
    return node.get(f"/api/recordings/upload-url?{query}", token=token)


def check_refusals(cluster, room, recording, ada, ben):
    """What a browser of ours never sends."""
    node, other = cluster["n1"], cluster["n2"]

    def put(url, body, kind="video/webm"):
        return other.request("PUT", "/" + url.split("/", 3)[3], body, headers={"Content-Type": kind})
    status, leave = url_for(node, ada["token"], room, recording, ada["participantId"])
    assert status == 200 and leave["method"] == "PUT", leave
    webm = b"\x1a\x45\xdf\xa3" + os.urandom(50_000)
    assert put(leave["url"], webm, "video/mp4")[0] == 415
    assert put(leave["url"], b"RIFF" + webm)[1]["error"]["code"] == "not_webm"
    assert put(leave["url"][:-3] + "abc", webm)[1]["error"]["code"] == "bad_signature"
    status, receipt = put(leave["url"], webm)
    assert status == 200 and receipt["sha256"] == hashlib.sha256(webm).hexdigest(), receipt
    assert put(leave["url"], webm) == (200, receipt), "the same again, at another node"
    assert put(leave["url"], webm + b"x")[1]["error"]["code"] == "sequence_taken"
    for query, code in [
        ({"participant": ben["participantId"]}, "not_your_track"), ({"recording": "RC_unknown"}, "unknown_recording"), ({"recording": "../../etc"}, "unknown_recording"),
        ({"participant": "../" + ada["participantId"]}, "not_your_track"), ({"room": ".."}, "unknown_room"), ({"kind": "../camera"}, "bad_kind"), ({"upload": "../x"}, "malformed"),
        ({"sequence": 1_000_000}, "malformed"), ({"bytes": 5 << 30}, "chunk_too_large"), ({"mediaType": "video/mp4"}, "bad_media_type"),
    ]:
        answer = url_for(node, ada["token"], **{"room": room, "recording": recording, "participant": ada["participantId"], **query})[1]
        assert answer.get("error", {}).get("code") in (code, "bad_id"), (query, answer)
    assert url_for(node, None, room, recording, ada["participantId"])[0] == 401
    # Two of the same number at once, at two nodes: one of them is taken.
    leaves = [url_for(node, ada["token"], room, recording, ada["participantId"], sequence=900_001)[1] for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        bodies = [os.urandom(40_000), os.urandom(40_000)]
        first, second = pool.submit(put, leaves[0]["url"], bodies[0]), pool.submit(node.request, "PUT", "/" + leaves[1]["url"].split("/", 3)[3], bodies[1], headers={"Content-Type": "video/webm"})
        assert sorted([first.result()[0], second.result()[0]]) == [200, 409]
    # An end before the last chunk: it is whole when that comes.
    status, ended = node.post(f"/api/recordings/{recording}/uploads/by-hand/complete", {"kind": "screen", "last_sequence": 900_002}, token=ada["token"])
    assert status == 200 and not ended["complete"] and ended["missing"] == [[900_002, 900_002]], ended
    leave = url_for(other, ada["token"], room, recording, ada["participantId"], sequence=900_002)[1]
    assert put(leave["url"], os.urandom(10))[1]["upload_complete"] is True
    assert node.post(f"/api/recordings/{recording}/uploads/by-hand/complete", {"participant_id": ada["participantId"], "kind": "screen", "last_sequence": 1}, token=ben["token"])[0] == 403
    assert node.get(f"/api/recordings/{recording}/uploads?participantId={ada['participantId']}", token=ben["token"])[0] == 403


def pieces(uploads):
    return {(upload["kind"], chunk["sequence"]) for upload in uploads for chunk in upload["chunks"]}


def killed_in_the_middle(cluster, forwarder, profile, public, ada, room):
    """Ben records, the way to the node breaks, his browser is killed; it comes back at another node. Gives the recording and what arrived."""
    page = profile.start()
    page.goto(f"{public.url}/session/{room}")
    page.fill("#name", "Ben")
    page.click("#join-button")
    until("Ben is connected", lambda: page.evaluate("document.body.dataset.media") == "connected", 20)
    ben = page.evaluate("JSON.parse(sessionStorage.getItem('troupe.room.' + location.pathname.split('/')[2]))")
    ada.page.click("#record")
    wait_state(ada, "recording", 15)
    recording = running(cluster["n1"], room, credential(ada)["token"])["recording_id"]
    until("Ben's first pieces are here", lambda: len(pieces(uploads_of(cluster, room, recording, ben["participantId"])[1])) >= 2 or page.wait_for_timeout(100), 15)

    # Nobody answers at the address any more: what comes now is on Ben's disk alone.
    forwarder.switch(free_port())
    sent = pieces(uploads_of(cluster, room, recording, ben["participantId"])[1])
    profile.until("Ben's worker keeps pieces nobody takes", lambda: len(told(profile.lines).keys() - sent) >= 2 or page.wait_for_timeout(100), 15)
    profile.kill()
    written = told(profile.lines)

    # The address leads to another node. Any page of it sends what is left.
    forwarder.switch(cluster["n2"].http_port)
    page = profile.start()
    page.goto(f"{public.url}/recordings")
    until("Ben's browser has sent everything", lambda: page.evaluate("document.body.dataset.uploadsDone") == "1" or page.wait_for_timeout(100), 20)
    arrived = check_arrived(cluster, room, recording, ben["participantId"], written)
    left = page.evaluate("""async () => { const names = [];
        for await (const name of (await (await navigator.storage.getDirectory()).getDirectoryHandle("troupe-recordings")).keys()) names.push(name); return names; }""")
    assert left == [], f"what was confirmed is deleted: {left}"
    profile.context.close()
    return recording, ben, arrived


def deleted_stays_deleted(cluster, room, recording, host):
    """Also where two uploads have just become whole, with which it was to be finished again."""
    node, me = cluster["n1"], host["participantId"]
    for number, name in ((900_020, "late-a"), (900_030, "late-b")):
        leave = url_for(node, host["token"], room, recording, me, sequence=number, upload=name, firstSequence=number)[1]
        assert node.request("PUT", "/" + leave["url"].split("/", 3)[3], b"\x1a\x45\xdf\xa3" + os.urandom(500), headers={"Content-Type": "video/webm"})[0] == 200
        status, ended = node.post(f"/api/recordings/{recording}/uploads/{name}/complete", {"kind": "screen", "last_sequence": number}, token=host["token"])
        assert status == 200 and ended["complete"], ended
    finished = cluster["n3"].log.read_text().count("finish_again")
    late = url_for(cluster["n1"], host["token"], room, recording, host["participantId"], sequence=900_010, upload="late", firstSequence=900_010)[1]
    folder = cluster.storage / "rooms" / room / recording
    status, answer = until("it is not being written to", lambda: (lambda told: told if told[0] != 409 else None)(node.request("DELETE", f"/recording/{recording}", token=host["token"])), 20)
    assert status == 200, answer
    status, answer = cluster["n2"].request("PUT", "/" + late["url"].split("/", 3)[3], b"\x1a\x45\xdf\xa3late", headers={"Content-Type": "video/webm"})
    assert status == 404 and answer["error"]["code"] == "unknown_recording", answer
    time.sleep(SETTLE_S + 1)
    assert cluster["n3"].log.read_text().count("finish_again") == finished, "what is deleted is not finished again"
    assert not folder.exists(), "nothing of a deleted recording comes back"


def main():
    began = time.monotonic()
    forwarder = Forwarder()
    public = Address(f"https://127.0.0.1:{forwarder.port}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="troupe-profile-"))
    roles = {"n1": ["edge", "room"], "n2": ["edge", "room"], "n3": ["recorder"]}
    try:
        with Cluster(roles, public_url=public.url) as cluster, chromium() as browser:
            forwarder.switch(cluster["n1"].http_port)
            ada = Person(browser, "Ada", own_recording=True)
            ada.context.add_init_script(WATCH)
            room = ada.create_room(public, "Recorded twice")
            recording, ben, (chunks, size) = killed_in_the_middle(cluster, forwarder, Profile(browser.browser_type, folder), public, ada, room)
            host = credential(ada)
            ada.page.click("#record")
            wait_state(ada, "ready", 30)
            until("Ada's browser has sent everything", lambda: ada.page.evaluate("document.body.dataset.uploadsDone") == "1" or ada.page.wait_for_timeout(100), 20)
            more, bytes_more = check_arrived(cluster, room, recording, host["participantId"], told(ada.console))
            metadata = cluster.storage / "rooms" / room / recording / "metadata.json"
            before = metadata.stat().st_mtime_ns
            check_refusals(cluster, room, recording, host, ben)
            until("the recording is finished again with what came after its finish", lambda: metadata.stat().st_mtime_ns > before, 20)
            assert cluster["n2"].get(f"/recording/{recording}", token=host["token"])[1]["state"] == "ready"
            deleted_stays_deleted(cluster, room, recording, host)
    finally:
        forwarder.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{chunks} and {more} pieces, {(size + bytes_more) / 1e6:.1f} MB, one browser killed and back at another node; {time.monotonic() - began:.0f} s")


main()
