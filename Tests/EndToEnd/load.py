# timeout: 180
# beside: others
"""troupe-load against three nodes: one publisher's packets reach four subscribers on two other nodes without loss; beep and flash stay together in a recording; and what a lossy way to the edge cost is told."""
import json
import subprocess

import _media
import _namespace
from _cluster import BUILD, Cluster


def load(cluster, *arguments, seconds):
    """Runs troupe-load to its end; gives its report."""
    run = subprocess.run(
        [BUILD / "troupe-load", "--ca", str(cluster.folder / "ca/ca.pem"), "--bind", "127.0.0.1", "--duration", str(seconds), "--json", *arguments],
        capture_output=True, text=True, timeout=seconds + 110)
    assert run.stdout, f"exit {run.returncode}: {run.stderr}"
    report = json.loads(run.stdout)
    assert run.returncode == 0, (run.returncode, report["failures"], run.stderr)
    return report


def no_packet_is_lost(cluster):
    n1, n2, n3 = (cluster[name] for name in ("n1", "n2", "n3"))
    seconds = 5
    report = load(cluster, "--publish-url", n1.url, "--url", n2.url, "--url", n3.url, "--create", "Load", "--publish", "1", "--subscribe", "4", seconds=seconds)
    assert [p["node"] for p in report["publishers"]] == ["n1"], report["publishers"]
    assert sorted(s["node"] for s in report["subscribers"]) == ["n2", "n2", "n3", "n3"], [s["node"] for s in report["subscribers"]]
    total, measured = report["total"], report["measured"]
    assert total["received"]["lost"] == 0 and measured["lost"] == 0, total
    assert total["received"]["duplicates"] == 0, total
    for subscriber in report["subscribers"]:
        kinds = sorted(track["kind"] for track in subscriber["tracks"])
        assert kinds == ["audio", "video"], subscriber
        # 50 + 25 × 4 packets a second are sent.
        assert subscriber["received"]["packets"] >= 150 * seconds * 0.9, subscriber["received"]
        assert subscriber["delay_ms"] and subscriber["join_ms"] is not None, subscriber
    delay, join = total["delay_ms"], total["join_ms"]
    return f"delay {delay['p50']:.1f}/{delay['p95']:.1f}/{delay['p99']:.1f} ms, join {join['p50']:.0f} ms"


def beep_and_flash_stay_together(cluster):
    n1 = cluster["n1"]
    host_file = cluster.folder / "host.json"
    report = load(cluster, "--url", n1.url, "--create", "Beep", "--publish", "1", "--subscribe", "0", "--beep-flash", "--record", "--host-file", str(host_file), seconds=8)
    host = json.loads(host_file.read_text())
    room = report["room_id"]
    status, answer = n1.get(f"/api/recordings?roomId={room}", token=host["token"])
    assert status == 200, answer
    [recording] = answer["recordings"]
    assert recording["state"] == "ready" and recording["recorder"] == "n3", recording
    folder = cluster.storage / "rooms" / room / recording["recording_id"] / "tracks"
    times = {}
    for track in recording["tracks"]:
        path = next((folder / track["peer_id"]).glob(f"{track['track_id']}.*"))
        origin = track["start"] - _media.probe(path)["start"]
        found = _media.beeps(path) if track["kind"] == "audio" else _media.flashes(path)
        times[track["kind"]] = [origin + at for at in found]
    beeps, flashes = times["audio"], times["video"]
    assert len(beeps) >= 6 and len(flashes) >= 6, times
    pairs = [(beep, min(flashes, key=lambda flash: abs(flash - beep))) for beep in beeps if flashes[0] - 0.3 <= beep <= flashes[-1] + 0.3]
    assert len(pairs) >= 6, times
    worst = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
    offset = abs(worst[0] - worst[1])
    assert offset <= 0.080, f"beep at {worst[0]:.3f} s, flash at {worst[1]:.3f} s: {times}"
    return f"{len(pairs)} beeps within {offset * 1000:.0f} ms of their flashes"


def retransmissions_are_told(cluster):
    """Each 25th datagram to the publisher's edge is lost. The recorder is another node: word of what was sent again crosses the pipe into its journal."""
    n1 = cluster["n1"]
    host_file = cluster.folder / "lossy-host.json"
    _namespace.drop_udp(n1.media_port, one_of=25)
    try:
        report = load(cluster, "--url", n1.url, "--create", "Lossy", "--publish", "1", "--subscribe", "0", "--record", "--host-file", str(host_file), seconds=5)
    finally:
        _namespace.heal()
    status, answer = n1.get(f"/api/recordings?roomId={report['room_id']}", token=json.loads(host_file.read_text())["token"])
    assert status == 200, answer
    [recording] = answer["recordings"]
    assert recording["state"] == "ready" and recording["recorder"] == "n3", recording
    metadata = json.loads((cluster.storage / "rooms" / report["room_id"] / recording["recording_id"] / "metadata.json").read_text())
    tracks = {track["kind"]: track["integrity"] for track in metadata["tracks"]}
    video, audio = tracks["video"], tracks["audio"]
    # 5 s of 100 packets a second, 4 of 100 lost.
    again = video["repaired"]["retransmission"]
    asked = sum(one["nacks"] for one in report["publishers"])
    assert 8 <= again <= asked, (again, asked, video)
    assert video["lost"] <= 2, ("all but the end is repaired", video)
    assert audio["repaired"]["retransmission"] == 0 and audio["reordered"] > 0, ("sound has no RTX: sent again as it was, it looks overtaken", audio)
    return f"{again} packets were sent again"


def main():
    has_firewall = _namespace.enter(required=False)
    with Cluster({"n1": ["edge", "room"], "n2": ["edge", "room"], "n3": ["edge", "room", "recorder"]}) as cluster:
        delays = no_packet_is_lost(cluster)
        print(delays)
        again = retransmissions_are_told(cluster) if has_firewall else "no loss without a namespace"
        print(f"{beep_and_flash_stay_together(cluster)}; {again}; {delays}")


main()
