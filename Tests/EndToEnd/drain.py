# timeout: 240
"""SIGTERM of a node with clients: they open a second connection elsewhere first, and nobody misses a frame."""
import json
import signal
import statistics
import subprocess
import time

import _handover
from _chromium import Person, chromium
from _cluster import BUILD, Cluster, until

LOST = "troupe_frames_lost_at_switch_total"


def begin_load(cluster, room, seconds):
    """Two that publish and two that receive, one of each on the node that is to go."""
    return subprocess.Popen(
        [BUILD / "troupe-load", "--ca", str(cluster.folder / "ca/ca.pem"), "--bind", "127.0.0.1", "--json", "--room", room, "--url", cluster["n2"].url, "--url", cluster["n1"].url,
         "--publish", "2", "--subscribe", "2", "--duration", str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def main():
    with Cluster({name: ["edge", "room", "recorder"] for name in ("n1", "n2", "n3")}) as cluster, chromium() as browser:
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        room = ada.create_room(cluster["n2"], "Drain")
        ben.join_room(cluster["n1"], room)
        ada.wait_receiving()
        ben.wait_receiving()
        notes, before = _handover.notes(ben), _handover.data(ada)
        _handover.sample(ada, ben)
        load = begin_load(cluster, room, 14)
        until("the load is in the room", lambda: len(ben.stats()["video"]) >= 3, 20)
        time.sleep(3)
        notes = _handover.notes(ben)
        went = time.monotonic()
        cluster["n2"].process.send_signal(signal.SIGTERM)
        until("Ada moved", lambda: _handover.data(ada).get("moves") == "1", 10, 0.05)
        status = cluster["n2"].process.wait(20)
        took = time.monotonic() - went
        assert status == 0, (status, cluster["n2"].tail())
        drained = next(json.loads(line) for line in cluster["n2"].log.read_text().splitlines() if '"drained"' in line)
        assert drained["state"] == "drained" and drained["actors_left"] == drained["cut"] == drained["cut_unaware"] == "0" and drained["moved"] == "3", drained
        ada.wait_receiving()
        ben.wait_receiving()
        after = _handover.data(ada)
        assert after["participant"] == before["participant"] and after["node"] != "n2" and after["joins"] == "1" and after.get("resumes") is None, after
        assert _handover.notes(ben)[:len(notes)] == notes and not any("left" in line for line in _handover.notes(ben)), _handover.notes(ben)
        out, errors = load.communicate(timeout=60)
        report = json.loads(out)
        assert load.returncode == 0, (report["failures"], errors)
        total = report["total"]
        assert total["moves"] == 2 and total["resumes"] == 0, total
        # The bar: nobody at the median loses a frame.
        missing = [one["missing"] for one in report["subscribers"]]
        assert statistics.median_low(missing) == 0, [(s["name"], s["missing"], s["repeated"], s["media_gap_ms"]) for s in report["subscribers"]]
        lost = {name: cluster[name].metrics().get(LOST, 0) for name in ("n1", "n3")}
        seen_by_ben, seen_by_ada = _handover.gaps(ben), _handover.gaps(ada)
    gap = total["media_gap_ms"]
    print(f"drained in {took:.1f} s ({drained}); frames missing at {missing}, given up at switches by the nodes {lost} (the aim is none); gap at troupe-load p50/p95 {gap['p50']:.0f}/{gap['p95']:.0f} ms, at Ben {seen_by_ben:.0f} ms, at Ada {seen_by_ada:.0f} ms")


main()
