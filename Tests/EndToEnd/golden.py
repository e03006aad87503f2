# timeout: 240
# only: --long
"""Golden recordings: a test card with its own number in each picture and a beep each second, published by Chromium, Firefox, aiortc and files of
ffmpeg's at once, recorded, finished, previewed and exported. Every second of everybody is accounted for in every file."""
import asyncio
import concurrent.futures
import json
import pathlib
import re
import struct
import subprocess
import typing

import _card
import _media
import _namespace
from _aiortc import Client
from _chromium import WATCH, Person, chromium, credential
from _cluster import BUILD, Cluster, free_port, until
from _firefox import Firefox

NAMES = ["Chromium", "Firefox", "aiortc", "publisher-1"]   # the last one is troupe-load with files of ffmpeg's
SECONDS = 9             # recorded
FILE_SECONDS = 40       # of ffmpeg's files: more than the others take to come in
NOISE = 0.01            # in ffmpeg's sound: -45 dBFS, what the denoiser is set for
LEAST = [1, 1, 10, 20]   # pictures of each second: pages on a busy machine leave most out, of a file all come
OFF = [0.25, 0.25, 0.15, 0.05]  # seconds a picture or a beep may be away from its card's clock: what timers of a page do on a busy machine
JOIN = """([name]) => { document.getElementById('name').value = name; document.getElementById('join-button').click(); }"""
STATE = """() => ({...document.body.dataset, error: document.getElementById('error')?.textContent})"""
# Four of 640x360, then three: Sources/Composition/Layout/Arrangement.swift.
TILE = (308, 172)
TILES = {4: [(10, 6), (322, 6), (10, 182), (322, 182)], 3: [(10, 6), (322, 6), (166, 182)]}
# Of the export, in seconds of the recording.
CUT, MUTE, HIDE = (4.0, 5.2), (6.0, 8.0), (1.5, 3.0)


async def join_firefox(firefox, node, room):
    page = await firefox.tab(f"{node.url}/session/{room}", before=WATCH + _card.script(1))
    for _ in range(100):
        if await firefox.run(page, "() => !document.getElementById('prejoin').hidden"):
            break
        await asyncio.sleep(0.1)
    await firefox.run(page, JOIN, [NAMES[1]])
    for _ in range(300):
        state = await firefox.run(page, STATE)
        if state.get("media") == "connected":
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"Firefox is not connected: {state}")


def arrives(person, people):
    stats = person.stats()
    return sum(one["decoded"] > 20 for one in stats["video"]) == people and sum(one["energy"] > 0.01 for one in stats["audio"]) == people


async def record(cluster, files, run):
    """Everybody meets, and is recorded; gives the recording's folder."""
    node, firefox = cluster["n1"], Firefox(free_port(), {"media.navigator.audio.fake_frequency": _card.PITCHES[1]})
    manager = chromium()
    browser = await run(manager.__enter__)
    load = robot = None
    try:
        await firefox.__aenter__()
        ada = await run(lambda: Person(browser, NAMES[0]))
        await run(lambda: ada.context.add_init_script(_card.script(0)))
        room = await run(lambda: ada.create_room(node, "Golden"))
        await join_firefox(firefox, cluster["n2"], room)
        # A phone held upright.
        camera = _card.camera(2, 180, 320)
        robot = Client(cluster["n2"], room, NAMES[2], tracks=[_card.microphone(2, camera), camera])
        await robot.start()
        load = subprocess.Popen(
            [BUILD / "troupe-load", "--url", node.url, "--ca", str(cluster.folder / "ca/ca.pem"), "--room", room, "--publish", "1", "--subscribe", "0", "--ivf", files[0], "--ogg", files[1],
             "--duration", "600", "--bind", "127.0.0.1", "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await run(lambda: until("everybody's pictures and beeps arrive", lambda: arrives(ada, 3), 40, pause=0.5))
        token = (await run(lambda: credential(ada)))["token"]
        status, started = await asyncio.to_thread(node.post, "/recording/start", {"room_id": room}, token=token)
        assert status == 200, started
        await asyncio.sleep(SECONDS)
        assert load.poll() is None, load.returncode
        status, answer = await asyncio.to_thread(node.post, "/recording/stop", {"room_id": room}, token=token)
        assert status == 200, answer
    finally:
        if load:
            load.terminate()
            load.wait(20)
        if robot:
            await robot.stop()
        await firefox.__aexit__()
        await run(lambda: manager.__exit__(None, None, None))

    def ready():
        [recording] = node.get(f"/api/recordings?roomId={room}", token=token)[1]["recordings"]
        assert recording["state"] != "failed", recording
        return recording if recording["state"] == "ready" else None
    recording = await asyncio.to_thread(until, "the recording is ready", ready, 40)
    return cluster.storage / "rooms" / room / recording["recording_id"]


def whole(path):
    errors = _media.decode_errors(path)
    assert not errors, f"{path}: {errors[:600]}"


class Recorded(typing.NamedTuple):
    """What one person's tracks show, by the recording's time."""
    began: float        # when the card's picture 0 would have been taken
    pictures: list      # time and number of each
    beeps: list


def check_tracks(folder):
    """Both tracks of each person: gives the manifest, ids by name, and what was recorded of each person."""
    manifest = json.loads((folder / "metadata.json").read_text())
    peers = {person["name"]: person["peer_id"] for person in manifest["participants"]}
    people = []
    for person, name in enumerate(NAMES):
        tracks = {track["kind"]: track for track in manifest["tracks"] if track["peer_id"] == peers[name]}
        assert set(tracks) == {"video", "audio"}, (name, tracks)
        for track in tracks.values():
            assert len(track["files"]) == 1 and track["integrity"]["lost"] == 0, (name, track)
            whole(folder / track["files"][0]["path"])
            assert track["duration"] > SECONDS - 2.5, (name, track["duration"])
        pictures = _card.read(folder / tracks["video"]["files"][0]["path"])
        began = _card.clock(pictures, person, f"{name}'s pictures", OFF[person], LEAST[person])
        beeps = check_beeps(_card.Sound(folder / tracks["audio"]["files"][0]["path"]), person, began, f"{name}'s sound")
        people.append(Recorded(began, [(time, found[1]) for time, found in pictures if found], beeps))
    return manifest, peers, people


def check_beeps(sound, person, began, what):
    """A beep begins with each second of the card, and at no other time; gives when."""
    beeps = sound.beeps(person)
    seconds = [round(at - began) for at in beeps]
    off = [(round(at, 3), round(at - began - second, 3)) for at, second in zip(beeps, seconds) if abs(at - began - second) > OFF[person] + 0.02]
    assert not off, f"{what}: beeps away from their second: {off}"
    assert len(seconds) >= SECONDS - 3 and seconds == list(range(seconds[0], seconds[0] + len(seconds))), f"{what}: seconds {seconds}"
    return beeps


def media(folder, *arguments):
    run = subprocess.run([BUILD / "troupe-media", arguments[0], "--dir", str(folder), *map(str, arguments[1:])], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def check_preview(folder, peers, people):
    """Each person's playlist has each second at the same time as the track it was made from."""
    verdict = media(folder, "preview")
    assert verdict["ok"] and verdict["complete"], verdict
    index = json.loads((folder / "preview" / "index.json").read_text())
    for person, name in enumerate(NAMES):
        [peer] = [peer for peer in index["peers"] if peer["peer_id"] == peers[name]]
        playlist = folder / "preview" / peer["av"]["playlist"]
        whole(playlist)
        # The upright one stands in the middle, 202 pixels wide.
        pictures = _card.read(playlist, ("219", "0", "202", "360") if person == 2 else None)
        shown = [(time, found[1]) for time, found in pictures if found and found[0] == person]
        assert len(shown) >= len(pictures) - 15, f"{name}'s preview: a card in {len(shown)} of {len(pictures)} pictures"
        # A picture stands at most half a step from where it was taken.
        _card.follows(shown, people[person].pictures, f"{name}'s preview", 1 / 30 + 0.002)
        assert {int(time) for time, _ in shown} >= set(range(1, SECONDS - 1)), f"{name}'s preview: seconds {sorted({int(time) for time, _ in shown})}"
        check_beeps(_card.Sound(playlist), person, people[person].began, f"{name}'s preview")


def state_of(peers, **more):
    def span(kind, person, times):
        return {"t": int(times[0] * 1000), "type": kind, "until": int(times[1] * 1000), **({} if person is None else {"peer_id": peers[NAMES[person]]})}
    return {"layout": "grid", "timeline": [
        {"t": 0, "type": "chapter", "title": "Begin"}, span("hide", 0, HIDE), span("cut", None, CUT), {"t": 5500, "type": "chapter", "title": "End"}, span("mute", 3, MUTE)],
        "export": {"resolution": "360p", "fps": 24}, **more}


def recorded(time):
    """When what an export shows at `time` was recorded."""
    return time if time < CUT[0] else time + CUT[1] - CUT[0]


def check_export(folder, manifest, peers, people):
    (folder / "golden.json").write_text(json.dumps(state_of(peers)))
    verdict = media(folder, "export", "--composition", folder / "golden.json", "--out", "processed/exports/golden.mp4")
    assert verdict["ok"], verdict
    path = folder / "processed/exports/golden.mp4"
    whole(path)
    assert [kind for kind in atoms(path) if kind in ("moov", "mdat")] == ["moov", "mdat"], f"not made for a fast start: {atoms(path)}"
    length = _media.probe(path)["duration"]
    assert abs(length - (manifest["duration"] - (CUT[1] - CUT[0]))) <= 0.1, (length, manifest["duration"])
    check_tiles(path, [person.pictures for person in people])
    check_mix(path, [person.beeps for person in people], length)
    level = loudness(path)
    assert abs(level + 16) <= 1, f"{level} LUFS"
    run = subprocess.run(["ffprobe", "-v", "error", "-show_chapters", "-of", "json", str(path)], check=True, capture_output=True, text=True)
    chapters = [(chapter["tags"]["title"], float(chapter["start_time"])) for chapter in json.loads(run.stdout)["chapters"]]
    assert [title for title, _ in chapters] == ["Begin", "End"] and abs(chapters[1][1] - (5.5 - CUT[1] + CUT[0])) < 0.01, chapters
    return level


# Pictures of an export in which somebody's number may be too blurred to read: the upright one's stands in 96 pixels.
UNREAD_SHARE = 0.05


def check_tiles(path, tracks):
    """In each picture of the export everybody who is not hidden has a tile, with the picture they showed at that moment."""
    places = {place: [found for _, found in _card.read(path, (*map(str, (place[0], place[1], *TILE)),))] for place in {*TILES[3], *TILES[4]}}
    # The upright one's tile is read in its middle.
    upright = {place: [found for _, found in _card.read(path, tuple(map(str, (place[0] + 106, place[1], 96, TILE[1]))))] for place in {*TILES[3], *TILES[4]}}
    times = [time for time, _ in _card.read(path)]
    seen, bad = {person: [] for person in range(4)}, []
    there = max(track[0][0] for track in tracks) + 1 / 24, min(track[-1][0] for track in tracks)    # of them all
    for number, time in enumerate(times):
        at = recorded(time)
        # At a border of the hiding a picture belongs to one side or the other.
        if not there[0] <= at <= there[1] or any(abs(at - border) < 0.05 for border in HIDE):
            continue
        is_hidden = HIDE[0] <= at < HIDE[1]
        found = dict(one for place in TILES[3 if is_hidden else 4] for one in (places[place][number], upright[place][number]) if one)
        if set(found) != ({1, 2, 3} if is_hidden else {0, 1, 2, 3}):
            bad.append((round(time, 3), found))
        for person, picture in found.items():
            seen[person].append((at, picture))
    assert len(bad) <= UNREAD_SHARE * len(times), f"{len(bad)} of {len(times)} pictures of the export do not show who was there: {bad[:10]}"
    for person, pictures in seen.items():
        _card.follows(pictures, tracks[person], f"{NAMES[person]} in the export", 1 / 24)


def check_mix(path, beeps, length):
    """Each beep of each person is heard when it was recorded, but for the one who is muted for a while."""
    sound = _card.Sound(path)
    for person in range(4):
        for at in beeps[person]:
            if at < 0.5 or CUT[0] - 0.3 < at < CUT[1] + 0.3:
                continue
            place = at if at < CUT[0] else at - (CUT[1] - CUT[0])
            if place + 0.4 > length:
                break
            heard, after = sound.pitch(person, place + 0.02, 0.06), sound.pitch(person, place + 0.5, 0.06)
            is_muted = person == 3 and MUTE[0] <= at < MUTE[1] - 0.2
            if person == 3 and any(abs(at - border) <= 0.2 for border in MUTE):
                continue
            assert (heard < 300) if is_muted else (heard > 4 * after and heard > 600), f"{NAMES[person]} at {at:.2f} s: {heard:.0f}, then {after:.0f}"


def loudness(path):
    run = subprocess.run(["ffmpeg", "-v", "info", "-nostats", "-i", str(path), "-map", "0:a", "-af", "ebur128", "-f", "null", "-"], check=True, capture_output=True, text=True)
    return float(re.findall(r"I: +(-?[0-9.]+) LUFS", run.stderr)[-1])


def atoms(path):
    """The boxes of an MP4 file (ISO/IEC 14496-12 §4.2), in order."""
    found, content, at = [], path.read_bytes(), 0
    while at + 8 <= len(content):
        size, kind = struct.unpack(">I4s", content[at:at + 8])
        if size == 1:
            size = struct.unpack(">Q", content[at + 8:at + 16])[0]
        found.append(kind.decode())
        at += size or len(content)
    return found


def check_denoising(folder, peers, beeps):
    """ffmpeg's beeps stand farther above its noise when it is taken out. Gives both distances in dB."""
    distances = []
    for wanted in (False, True):
        tracks = [{"peer_id": peers[name], "muted": name != NAMES[3], "denoise": wanted} for name in NAMES]
        (folder / "golden.json").write_text(json.dumps({"layout": "grid", "tracks": tracks}))
        media(folder, "export", "--composition", folder / "golden.json", "--out", "processed/exports/golden.m4a")
        sound = _card.Sound(folder / "processed/exports/golden.m4a")
        signal, noise = (sum(sound.power(at + offset, seconds) for at in beeps if 2 < at < SECONDS - 1) for offset, seconds in ((0.02, 0.06), (0.4, 0.4)))
        distances.append(10 * _card.math.log10(signal / max(1e-3, noise)))
    assert distances[1] > distances[0] + 6, distances
    return distances


def main():
    _namespace.enter()
    with Cluster({"n1": ["edge", "room"], "n2": ["edge", "room"], "n3": ["recorder"]}) as cluster, concurrent.futures.ThreadPoolExecutor(1) as pool:
        files = _card.encode(cluster.folder, 3, FILE_SECONDS, NOISE)

        async def meet():
            # Playwright's own event loop must not share this thread's.
            return await record(cluster, files, lambda work: asyncio.get_running_loop().run_in_executor(pool, work))
        folder = asyncio.run(meet())
        manifest, peers, people = check_tracks(folder)
        check_preview(folder, peers, people)
        level = check_export(folder, manifest, peers, people)
        plain, denoised = check_denoising(folder, peers, people[3].beeps)
    print(f"every second of four clients in tracks, previews and an export at {level:.1f} LUFS; a tone {plain:.0f} dB above its noise, {denoised:.0f} denoised")


main()
