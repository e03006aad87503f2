# timeout: 150
# beside: others
"""Segments are stored as they end: a recorder is killed and its disk is gone, and another finishes the recording with what was stored."""
import json
import shutil

import _media
from _chromium import Person, chromium, credential, wait_state
from _cluster import Cluster, until


def segments(folder, writer):
    """Of each track, the names of a writer's segments below `folder`."""
    found = {}
    for path in folder.glob(f"rooms/*/*/journal/*/{writer}-*.trj"):
        found.setdefault(path.parent.name, set()).add(path.name)
    return found


def main():
    roles = {"n1": ["edge", "room"], "n2": ["edge", "room"], "n3": ["recorder"], "n4": ["recorder"]}
    with Cluster(roles, start=False, journals=True) as cluster, chromium() as browser:
        for name in ("n1", "n2", "n3"):
            cluster[name].start()
        for name in ("n1", "n2", "n3"):
            cluster[name].ready()
        ada = Person(browser, "Ada")
        room = ada.create_room(cluster["n1"], "Stored")
        ada.page.click("#record")
        wait_state(ada, "recording", 15)
        until("the only recorder has stored a segment of both tracks", lambda: len(segments(cluster.storage, "n3")) == 2, 20)
        early = segments(cluster.storage, "n3")

        def here():
            local = segments(cluster.journals / "n3", "n3")
            return [track for track in early if early[track] & local.get(track, set())]
        until("what is stored is here no more", lambda: not here())

        cluster["n4"].start().ready()
        until("a second recorder captures too", lambda: len(segments(cluster.journals / "n4", "n4")) == 2, 15)
        before = segments(cluster.storage, "n3")
        until("the first one has stored what it captured until then", lambda: all(segments(cluster.storage, "n3")[track] - before[track] for track in before), 20)
        cluster["n3"].kill()
        shutil.rmtree(cluster.journals / "n3")

        token = credential(ada)["token"]

        def same():
            status, answer = cluster["n1"].get(f"/api/recordings?roomId={room}", token=token)
            assert status == 200 and len(answer["recordings"]) == 1 and answer["recordings"][0]["state"] != "failed", answer
            return answer["recordings"][0]
        until("the other recorder decides", lambda: same()["recorder"] == "n4" and same()["state"] == "recording", 20)
        ada.page.wait_for_timeout(1500)
        ada.page.click("#record")
        recording = until("the recording is ready", lambda: same() if same()["state"] == "ready" else None, 40)
        folder = cluster.storage / "rooms" / room / recording["recording_id"]
        metadata = json.loads((folder / "metadata.json").read_text())
        assert len(metadata["tracks"]) == 2, metadata["tracks"]
        for track in metadata["tracks"]:
            assert sorted(track["writers"]) == ["n3", "n4"], track
            # The first seconds were captured by the one whose disk is gone; from then on there is no hole.
            assert track["start"] < 1.5 and track["integrity"]["lost"] == 0, track
            assert not [hole for hole in track["holes"] if hole["from"] > 1.5], track["holes"]
            for file in track["files"]:
                errors = _media.decode_errors(folder / file["path"])
                assert not errors, errors[:600]
        covered = max(track["files"][-1]["start"] + track["files"][-1]["duration"] for track in metadata["tracks"])
        assert abs(covered - recording["duration"]) <= 0.5 and covered > 20, (covered, recording["duration"])
        until("nothing is left on the recorder's own disk", lambda: not [path for path in (cluster.journals / "n4").rglob("*") if path.is_file()], 10)
        counted = cluster["n4"].metrics()
        assert counted["troupe_storing_files_total"] >= 4 and counted["troupe_storing_waiting"] == 0 and counted["troupe_storing_failures_total"] == 0, counted

        # What the dead recorder held of a recording that is deleted while it is away goes when it comes back.
        left = cluster.journals / "n3" / "rooms" / room / recording["recording_id"] / "journal" / "T_left"
        left.mkdir(parents=True)
        (left / "n3-1-1.trj").write_bytes(b"captured before the end")
        status, answer = cluster["n2"].request("DELETE", f"/recording/{recording['recording_id']}", token=token)
        assert status == 200 and answer["removed"]["objects"] > 10 and not folder.exists(), answer
        cluster["n3"].start().ready()
        until("the leftovers go, here and in the storage", lambda: not left.exists() and not folder.exists(), 20)
    print(f"a recording of {covered:.0f} s, its first recorder's disk gone, without a hole")


main()
