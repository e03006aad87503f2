# timeout: 300
"""The host records 20 s of two people on two nodes; every track is a playable file, on one time zero. A drained or killed recorder leaves no hole."""
import contextlib
import json
import sqlite3
import time

import _media
from _chromium import Person, chromium, credential, wait_state
from _cluster import Cluster, until
from _troupectl import troupectl


def recordings_of(node, room, token):
    status, answer = node.get(f"/api/recordings?roomId={room}", token=token)
    assert status == 200, answer
    return answer["recordings"]


def _path(url):
    """Below the recording's folder."""
    return url.split("?")[0].split("/media/rooms/")[1].split("/", 2)[2]


def check_files(cluster, room, recording, seconds, people, late=0.0):
    """late: seconds that the browser itself was late with what it was told; what it did not send meanwhile nobody can have."""
    folder = cluster.storage / "rooms" / room / recording["recording_id"]
    metadata = json.loads((folder / "metadata.json").read_text())
    assert (folder / "timeline.json").exists()
    # One file a track; several where its publisher's stream changed: a client that came back sends another one.
    assert {file["path"] for track in metadata["tracks"] for file in track["files"]} == {_path(track["url"]) for track in recording["tracks"]}, recording["tracks"]
    assert len(metadata["tracks"]) == 2 * people, recording["tracks"]
    starts = {}
    for track in metadata["tracks"]:
        for file in track["files"]:
            path = folder / file["path"]
            found = _media.probe(path)
            assert found["codec"] == {"video": "vp8", "audio": "opus"}[track["kind"]], found
            errors = _media.decode_errors(path)
            assert not errors, f"{path}: {errors[:600]}"
        integrity = track["integrity"]
        assert integrity["score"] >= 80 and set(integrity["repaired"]) == {"retransmission", "standby", "device_seconds"} and "drift_ppm" in integrity, integrity
        covered = track["files"][-1]["start"] + track["files"][-1]["duration"]
        assert abs(covered - seconds) <= 0.5 + late, f"{track['kind']} of {track['peer_id']} ends at {covered:.2f} s of {seconds:.2f}"
        starts.setdefault(track["peer_id"], {})[track["kind"]] = (track["start"], track["key_frame_wait"])
    for peer, kinds in starts.items():
        (video, wait), (audio, _) = kinds["video"], kinds["audio"]
        # What a browser under load takes to make a key frame is listed, and nothing else keeps them apart.
        assert abs(video - audio) <= 0.5 or (wait <= 2 and abs(video - wait - audio) <= 0.5), (peer, kinds)
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
    # How late the machine was with its own twenty seconds; the same may be missing at their other end.
    late = seconds - 20
    assert abs(recording["duration"] - seconds) <= 0.5 + late, (recording["duration"], seconds)
    check_files(cluster, room, recording, recording["duration"], 2, late=late)
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


def ready(same):
    """same: asks for the recording."""
    try:
        return until("it becomes ready", lambda: next((one for one in [same()] if one["state"] == "ready"), None), 40)
    except AssertionError as error:
        raise AssertionError(f"{error}: {same()}")


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
    recording = ready(same)
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
    recording = ready(same)
    assert recording["duration"] >= 12, recording["duration"]
    metadata = check_files(cluster, room, recording, recording["duration"], 2)
    for track in metadata["tracks"]:
        whole(track)
    names = {person["name"] for person in metadata["participants"]}
    assert names == {"Ada", "Ben"}, names


def holds_nothing_of(peer, folder):
    """Nothing captured names the participant: no journal, no track, no preview."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        assert peer not in inside, path
        if path.is_file() and inside[0] in ("journal", "tracks", "preview"):
            assert peer.encode() not in path.read_bytes(), path


def left_out(cluster, ada, ben, room):
    """Ben is left out by the host, then refuses for himself: neither recording has anything of his, and everyone is told."""
    token, me, ben_id = credential(ada)["token"], credential(ada)["participantId"], credential(ben)["participantId"]

    def running_without_ben(person):
        until(f"{person.name} is told who is left out", lambda: person.page.evaluate("document.body.dataset.leftOut") == ben_id, 5)
    status, answer = cluster["n2"].post("/recording/start", {"room_id": room, "exclude": ["P_nobody"]}, token=token)
    assert status == 404 and answer["error"]["code"] == "unknown_participant", answer
    status, started = cluster["n2"].post("/recording/start", {"room_id": room, "exclude": [ben_id]}, token=token)
    assert status == 200 and started["excluded"] == [ben_id], started
    status, again = cluster["n1"].post("/recording/start", {"room_id": room}, token=token)
    assert status == 200 and again["recording_id"] == started["recording_id"] and again["excluded"] == [ben_id], ("started twice: the running one", again)
    running_without_ben(ada)
    running_without_ben(ben)

    def leave_to_upload(person):
        own = credential(person)
        return cluster["n2"].get(f"/api/recordings/upload-url?roomId={room}&participantId={own['participantId']}&kind=camera&sequence=0", token=own["token"])
    status, answer = leave_to_upload(ben)
    assert status == 403 and answer["error"]["code"] == "left_out", ("his own browser's recording is not taken either", answer)
    assert leave_to_upload(ada)[0] == 200
    ben.say("not for the record")
    until("Ada hears it", lambda: ada.heard("not for the record"), 5)
    ada.page.wait_for_timeout(2500)
    assert cluster["n1"].request("DELETE", f"/recording/{started['recording_id']}", token=token)[0] == 409
    finished = [finish(cluster, ada, room, token, started)]

    ben.page.click("#consent")
    ada.page.click("#record")
    wait_state(ada, "recording", 15)
    running_without_ben(ada)
    # Chosen by the host as well, and let go again: his refusal stands.
    button = ada.page.locator(f"[data-participant='{ben_id}'] .leave-out")
    for pressed in ("true", "false"):
        button.click(force=True)
        until(f"the choice is {pressed}", lambda: button.get_attribute("aria-pressed") == pressed, 5)
    running_without_ben(ada)
    [running] = [r for r in recordings_of(cluster["n1"], room, token) if r["state"] == "recording"]
    # The host cannot take a refusal back.
    status, answer = cluster["n1"].post("/recording/exclude", {"room_id": room, "exclude": []}, token=token)
    assert status == 200 and answer["refused"] == [ben_id] == answer["excluded"], answer
    ada.page.wait_for_timeout(2500)
    finished.append(finish(cluster, ada, room, token, running))
    for recording, reason in zip(finished, ("host", "refused")):
        folder = cluster.storage / "rooms" / room / recording["recording_id"]
        holds_nothing_of(ben_id, folder)
        assert {track["peer_id"] for track in recording["tracks"]} == {me} and recording["excluded"] == [ben_id], recording
        events = json.loads((folder / "timeline.json").read_text())["events"]
        named = [event for event in events if event["type"] == "participant_excluded"]
        assert [(event["peer_id"], event["name"], event["reason"]) for event in named] == [(ben_id, "Ben", reason)], named
        assert not [event for event in events if event["type"] == "chat"], events
        assert json.loads((folder / "policy.json").read_text())["viewers"] == "participants"
    ben.page.click("#consent")
    return finished


def finish(cluster, ada, room, token, recording):
    status, answer = cluster["n1"].post("/recording/stop", {"room_id": room}, token=token)
    assert status == 200, answer

    def ended():
        [same] = [r for r in recordings_of(cluster["n1"], room, token) if r["recording_id"] == recording["recording_id"]]
        return same if same["state"] == "ready" else None
    return until("the recording is ready", ended, 40)


TABLES = {"recordings": "id", "recorded_tracks": "recording_id", "jobs": "recording_id", "tokens": "recording_id", "compositions": "recording_id"}


@contextlib.contextmanager
def rows_of(cluster):
    with contextlib.closing(sqlite3.connect(cluster.folder / "troupe.db", timeout=10)) as rows:
        yield rows


def left_of(rows, recording):
    return [table for table, column in TABLES.items() if rows.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", (recording,)).fetchone()]


def deleted(cluster, room, token, asked, overdue):
    """One is deleted on request, and nothing of it is left; the other one's time is over from now on."""
    status, answer = cluster["n2"].post("/recording/stop", {"room_id": room}, token=token)
    assert status == 409 and answer["error"]["code"] == "not_recording", answer
    folder = cluster.storage / "rooms" / room
    files = [path for path in (folder / asked).rglob("*") if path.is_file() and not path.name.startswith(".")]
    status, answer = cluster["n1"].request("DELETE", f"/recording/{asked}", token=token)
    assert status == 200 and answer["removed"]["objects"] == len(files) and answer["removed"]["rows"] >= 2, (answer, len(files))
    with rows_of(cluster) as rows:
        assert not (folder / asked).exists() and not left_of(rows, asked), left_of(rows, asked)
        rows.execute("UPDATE recordings SET delete_after = 1 WHERE id = ?", (overdue,))
        rows.commit()


def expired(cluster, room, token, overdue):
    """Its time was over: no file and no row of it is left."""
    folder = cluster.storage / "rooms" / room
    with rows_of(cluster) as rows:
        until("the one whose time is over goes", lambda: not (folder / overdue).exists() and not left_of(rows, overdue), 45)
    assert cluster["n2"].get(f"/recording/{overdue}", token=token)[0] == 404


def each_deletion_is_counted(cluster):
    counted = [cluster[name].metrics() for name in ("n3", "n4")]
    for cause in ("asked", "retention"):
        assert sum(one.get('troupe_recordings_deleted_total{cause="%s"}' % cause, 0) for one in counted) == 1, (cause, counted)


def main():
    roles = {"n1": ["edge", "room"], "n2": ["edge", "room"], "n3": ["recorder"], "n4": ["recorder"]}
    with Cluster(roles) as cluster, chromium() as browser:
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        room = ada.create_room(cluster["n1"], "Recorded")
        ben.join_room(cluster["n2"], room)
        ada.wait_receiving()
        ben.wait_receiving()
        record_twenty_seconds(cluster, ada, ben, room)
        unseen = left_out(cluster, ada, ben, room)
        token, (asked, overdue) = credential(ada)["token"], (recording["recording_id"] for recording in unseen)
        deleted(cluster, room, token, asked, overdue)
        recorder_drained(cluster, ada, room)    # the other one goes meanwhile, and this one is still said to run
        expired(cluster, room, token, overdue)
        each_deletion_is_counted(cluster)
        recorder_killed(cluster, ada, room)
        page = ada.context.new_page()
        page.goto(f"{cluster['n2'].url}/recordings")
    print("three recordings: one through its recorder's drain, one through a recorder's death, both without a hole")


main()
