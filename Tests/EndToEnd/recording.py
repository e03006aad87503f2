# timeout: 240
"""The host records 20 s of two people on two nodes; every track is a playable file, on one time zero. A drained or killed recorder leaves no hole."""
import json
import time

import _media
from _chromium import Person, chromium, credential, wait_state
from _cluster import Cluster, until
from _troupectl import troupectl


def recordings_of(node, room, token):
    status, answer = node.get(f"/api/recordings?roomId={room}", token=token)
    assert status == 200, answer
    return answer["recordings"]


def check_files(cluster, room, recording, seconds, people):
    folder = cluster.storage / "rooms" / room / recording["recording_id"]
    metadata = json.loads((folder / "metadata.json").read_text())
    assert (folder / "timeline.json").exists()
    assert len(recording["tracks"]) == 2 * people, recording["tracks"]
    starts = {}
    for track in recording["tracks"]:
        path = next((folder / "tracks" / track["peer_id"]).glob(f"{track['track_id']}.*"))
        found = _media.probe(path)
        assert found["codec"] == {"video": "vp8", "audio": "opus"}[track["kind"]], found
        covered = track["start"] + track["duration"]
        assert abs(covered - seconds) <= 0.5, f"{track['kind']} of {track['name']} ends at {covered:.2f} s of {seconds:.2f}"
        errors = _media.decode_errors(path)
        assert not errors, f"{path}: {errors[:600]}"
        starts.setdefault(track["peer_id"], {})[track["kind"]] = track["start"]
    for peer, kinds in starts.items():
        assert abs(kinds["video"] - kinds["audio"]) <= 0.5, (peer, kinds)
    return metadata


def record_twenty_seconds(cluster, ada, ben, room):
    node = cluster["n1"]
    ada.page.click("#record")
    wait_state(ada, "recording", 15)
    wait_state(ben, "recording", 5)
    began = time.monotonic()
    ada.page.wait_for_timeout(20000)
    ada.page.click("#record")
    seconds = time.monotonic() - began
    wait_state(ben, "ready", 40)
    token = credential(ada)["token"]
    [recording] = recordings_of(cluster["n2"], room, token)
    assert recording["state"] == "ready" and recording["size"] > 0, recording
    assert abs(recording["duration"] - seconds) <= 0.5, (recording["duration"], seconds)
    check_files(cluster, room, recording, recording["duration"], 2)
    url = recording["tracks"][0]["url"]
    path = url if url.startswith("/") else "/" + url.split("/", 3)[3]
    status, content = node.get(path, raw=True, headers={"Range": "bytes=0-99"})
    assert status == 206 and len(content) == 100, status
    assert node.get(path[:-4] + "0000", raw=True)[0] in (401, 403), "a changed signature opens nothing"
    status, answer = node.get(f"/recording/{recording['recording_id']}")
    assert status in (401, 403), answer


def whole(track):
    """Two writers had it for a while, and between them they have every packet."""
    assert len(track["writers"]) == 2 and track["integrity"]["lost"] == 0, track
    assert track["integrity"]["duplicates"] > 0, ("both captured for a while", track)
    # What comes before the first key frame is listed too.
    between = [hole for hole in track["holes"] if hole["from"] > 1]
    assert not between, track["holes"]


def recorder_drained(cluster, ada, room):
    """The recording moves to the other recorder: the same id, two writers, nothing missing between them."""
    token = credential(ada)["token"]
    ada.page.click("#record")
    wait_state(ada, "recording", 15)
    [running] = [r for r in recordings_of(cluster["n1"], room, token) if r["state"] == "recording"]
    ada.page.wait_for_timeout(4000)
    troupectl(cluster, "drain", running["recorder"], "--deadline", "20s", "--wait")

    def same():
        return next(r for r in recordings_of(cluster["n1"], room, token) if r["recording_id"] == running["recording_id"])
    until("the other recorder has it", lambda: same()["recorder"] != running["recorder"], 15)
    assert same()["state"] == "recording", same()
    troupectl(cluster, "undrain", running["recorder"])
    ada.page.wait_for_timeout(7000)
    ada.page.click("#record")
    recording = until("it becomes ready", lambda: same() if same()["state"] == "ready" else None, 40)
    metadata = check_files(cluster, room, recording, recording["duration"], 2)
    for track in metadata["tracks"]:
        whole(track)


def recorder_killed(cluster, ada, room):
    """kill -9 of the recorder that decides: its standby has every packet, so nothing is missing."""
    token = credential(ada)["token"]
    ada.page.click("#record")
    wait_state(ada, "recording", 15)
    [running] = [r for r in recordings_of(cluster["n1"], room, token) if r["state"] == "recording"]
    ada.page.wait_for_timeout(6000)
    cluster[running["recorder"]].kill()

    def same():
        [recording] = [r for r in recordings_of(cluster["n1"], room, token) if r["recording_id"] == running["recording_id"]]
        assert recording["state"] != "failed", recording
        return recording
    until("the recording goes on at the other recorder", lambda: same()["state"] == "recording" and same()["recorder"] != running["recorder"], 15)
    assert ada.receiving(), "the room goes on"
    ada.page.wait_for_timeout(6000)
    ada.page.click("#record")
    recording = until("the same recording becomes ready", lambda: same() if same()["state"] == "ready" else None, 40)
    assert recording["duration"] >= 12, recording["duration"]
    metadata = check_files(cluster, room, recording, recording["duration"], 2)
    for track in metadata["tracks"]:
        whole(track)
    names = {person["name"] for person in metadata["participants"]}
    assert names == {"Ada", "Ben"}, names


def main():
    roles = {"n1": ["edge", "room"], "n2": ["edge", "room"], "n3": ["recorder"], "n4": ["recorder"]}
    with Cluster(roles) as cluster, chromium() as browser:
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        room = ada.create_room(cluster["n1"], "Recorded")
        ben.join_room(cluster["n2"], room)
        ada.wait_receiving()
        ben.wait_receiving()
        record_twenty_seconds(cluster, ada, ben, room)
        recorder_drained(cluster, ada, room)
        recorder_killed(cluster, ada, room)
        page = ada.context.new_page()
        page.goto(f"{cluster['n2'].url}/recordings")
    print("three recordings: one through its recorder's drain, one through a recorder's death, both without a hole")


main()
