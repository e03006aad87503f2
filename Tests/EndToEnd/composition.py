# timeout: 240
"""A recording's preview plays in a browser, its jobs survive a killed compositor, tokens work once."""
import concurrent.futures
import http.client
import json
import subprocess
import threading
import time
import urllib.parse

import _media
from _chromium import Person, chromium, credential, wait_state
from _cluster import Cluster, until

PLAY = """async (urls) => {
  const videos = urls.map((url) => Object.assign(document.createElement("video"), { src: url, muted: true }));
  document.body.append(...videos);
  const event = (video, name) => new Promise((done, failed) => {
    video.addEventListener(name, done, { once: true });
    video.addEventListener("error", () => failed(new Error(video.error?.message ?? name)), { once: true });
  });
  await Promise.all(videos.map((video) => event(video, "loadeddata")));
  await Promise.all(videos.map(async (video) => { const there = event(video, "seeked"); video.currentTime = 5; await there; }));
  const seeks = videos.map((video) => video.currentTime);
  await Promise.all(videos.map((video) => video.play()));
  await new Promise((done) => setTimeout(done, 1500));
  return videos.map((video, index) => ({ seek: seeks[index], at: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames, width: video.videoWidth }));
}"""


def job_of(node, job, token):
    status, answer = node.get(f"/jobs/{job}", token=token)
    assert status == 200, answer
    return answer


def ready(node, job, token, seconds=60):
    def done():
        answer = job_of(node, job, token)
        assert answer["status"] not in ("failed", "cancelled"), answer
        return answer if answer["status"] == "ready" else None
    return until(f"job {job} is ready", done, seconds)


def preview_plays(cluster, browser, node, recording, host, guest):
    """Everyone's playlist on one grid, signed down to the segments, decoded and sought in a browser."""
    status, asked = node.post(f"/recordings/{recording}/preview", {"segment_seconds": 2}, token=guest)
    assert status == 202, asked
    made = ready(node, asked["job_id"], host)
    status, again = node.post(f"/recordings/{recording}/preview", {"segment_seconds": 2}, token=host)
    assert again["job_id"] == asked["job_id"], "asked for twice it is one job"
    status, seen = cluster["n2"].get(f"/recordings/{recording}", token=guest)
    assert status == 200 and seen["preview_status"] == "ready", seen
    peers = seen["preview"]["peers"]
    assert sorted(peer["name"] for peer in peers) == ["Ada", "Ben"], peers
    segments = []
    for peer in peers:
        status, playlist = node.get(peer["av"]["playlist"], raw=True)
        assert status == 200, playlist
        lines = playlist.decode().splitlines()
        urls = [line for line in lines if line and not line.startswith("#")]
        assert urls and all(url.startswith("/media/") and "sig=" in url for url in urls), urls
        segments.append(len(urls))
        assert node.get(urls[-1], raw=True)[0] == 200
        assert node.get(urls[-1].split("?")[0] + "?exp=9999999999&sig=AAAA", raw=True)[0] == 403, "an unsigned segment is not given"
    assert segments[0] == segments[1] == seen["preview"]["segments"], segments
    page = browser.new_context(ignore_https_errors=True).new_page()
    page.goto(f"{node.url}/")
    played = page.evaluate(PLAY, [peer["av"]["playlist"] for peer in peers])
    assert all(one["frames"] > 10 and one["at"] > 5.5 and one["width"] > 0 for one in played), played
    seeks = [one["seek"] for one in played]
    assert max(seeks) - min(seeks) <= 0.1, seeks
    return made


def token_of(node, recording, host):
    status, made = node.post(f"/recordings/{recording}/composition/token", {}, token=host)
    assert status == 201, made
    return made["token"]


def permissions(node, recording, host, guest):
    stranger = node.post("/api/v1/sessions/create", {"title": "Elsewhere", "host_name": "Eve"})[1]["host"]["token"]
    for path, body in (("composition/token", {}), ("preview", {}), ("export", {})):
        status, answer = node.post(f"/recordings/{recording}/{path}", body, token=stranger)
        assert status == 403, (path, status, answer)
    assert node.request("PUT", f"/recordings/{recording}/composition", {"layout": "grid"}, token=stranger)[0] == 403
    assert node.get(f"/recordings/{recording}", token=stranger)[0] == 403
    assert node.post(f"/recordings/{recording}/composition/token", {}, token=guest)[0] == 403, "a guest makes no tokens"
    assert node.request("PUT", f"/recordings/{recording}/composition", {"layout": "grid"}, token=guest)[0] == 403
    status, answer = node.post(f"/recordings/{recording}/export", {}, token=host)
    assert status == 403 and answer["error"]["code"] == "composition_token_required", answer


def invited(cluster, room, host, guest):
    """An invitation admits once, at whichever node, and only to its room."""
    node = cluster["n1"]
    assert node.post(f"/api/recordings/{room}/guest-token", {}, token=guest)[0] == 403
    status, made = node.post(f"/api/recordings/{room}/guest-token", {}, token=host)
    assert status == 201, made
    other = node.post("/api/v1/sessions/create", {"title": "Other", "host_name": "Eve"})[1]["session_id"]
    body = {"display_name": "Guest", "guest_token": made["guest_token"]}
    assert node.post(f"/api/v1/sessions/{other}/join", body)[0] == 401
    start = threading.Barrier(2)

    def join(one):
        start.wait()
        return one.post(f"/api/v1/sessions/{room}/join", body)[0]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(join, (node, cluster["n2"]))) == [200, 401]
    logs = "".join(one.log.read_text(errors="replace") for one in cluster.nodes.values())
    assert "token_refused" in logs and made["guest_token"] not in logs


def composed(node, recording, host, people):
    """A state that is wrong is told where; a right one is saved under a version."""
    status, wrong = node.request("PUT", f"/recordings/{recording}/composition", {"timeline": [{"t": 1000, "type": "pin", "peer_id": "nobody"}]}, token=host)
    assert status == 422 and "timeline[0].peer_id" in wrong["error"]["message"], wrong
    state = {"layout": "speaker", "timeline": [{"t": 2000, "type": "cut", "until": 5000}, {"t": 6000, "type": "pin", "peer_id": people[0]}],
             "tracks": [{"peer_id": people[1], "gain_db": -6}], "export": {"resolution": "360p", "fps": 24}}
    status, saved = node.request("PUT", f"/recordings/{recording}/composition", state, token=host)
    assert status == 200 and saved["version"] == 1, saved
    status, stale = node.request("PUT", f"/recordings/{recording}/composition", state, token=host, headers={"If-Match": '"4"'})
    assert status == 409, stale


def one_of_two_wins(cluster, recording, host):
    """One token, two requests at two nodes at one time."""
    token = token_of(cluster["n1"], recording, host)
    start = threading.Barrier(2)

    def export(node):
        start.wait()
        return node.post(f"/recordings/{recording}/export", {"composition_id": "main", "format": "mp4"}, token=token)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(export, (cluster["n1"], cluster["n2"])))
    assert sorted(status for status, _ in answers) == [202, 401], answers
    return next(answer["job_id"] for status, answer in answers if status == 202)


def followed(cluster, node, job, token):
    """Server-sent events until the job has ended."""
    connection = http.client.HTTPSConnection("127.0.0.1", node.http_port, timeout=90, context=cluster.tls)
    connection.request("GET", f"/jobs/{job}/events", headers={"Authorization": f"Bearer {token}"})
    body = connection.getresponse().read().decode()
    events = [dict(line.split(": ", 1) for line in block.splitlines() if ": " in line) for block in body.split("\n\n") if block.startswith("event")]
    assert events[-1]["event"] == "end", events[-1:]
    progress = [json.loads(event["data"])["progress"] for event in events if event["event"] == "progress"]
    assert progress == sorted(progress), progress
    return json.loads(events[-1]["data"])


def export_of(cluster, node, recording, host, duration):
    done = followed(cluster, node, one_of_two_wins(cluster, recording, host), host)
    assert done["status"] == "ready", done
    status, content = node.get(done["url"], raw=True)
    path = cluster.folder / "export.mp4"
    path.write_bytes(content)
    streams = json.loads(subprocess.run(["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)], check=True, capture_output=True, text=True).stdout)["streams"]
    assert {stream["codec_name"] for stream in streams} == {"h264", "aac"}, streams
    length = _media.probe(path)["duration"]
    assert abs(length - (duration - 3)) < 0.3, (length, duration)
    assert not _media.decode_errors(path), _media.decode_errors(path)[:600]


def compositor_dies(cluster, recording, host):
    """The node at work is killed."""
    node = cluster["n1"]
    status, asked = node.post(f"/recordings/{recording}/export", {"preset": "720p", "format": "mp4"}, token=token_of(node, recording, host))
    assert status == 202, asked
    job = asked["job_id"]

    def begun(one):
        return any("job_started" in line and job in line for line in one.log.read_text(errors="replace").splitlines())
    victim = until("somebody begins", lambda: next((one for one in (cluster["n3"], cluster["n4"]) if begun(one)), None), 60)
    victim.kill()
    # It may be the only recorder, and a recording is deleted by one.
    victim.start().ready()
    return job


def another_did_it(cluster, recording, host, job):
    """Once: there is one file, of the second attempt."""
    done = ready(cluster["n1"], job, host, 120)
    assert done["attempt"] == 2, done
    files = list((cluster.storage / "rooms").glob(f"*/{recording}/processed/exports/{job}-*.mp4"))
    assert len(files) == 1 and urllib.parse.unquote(done["url"].split("?")[0]).endswith(files[0].name), (files, done)


def main():
    roles = {"n1": ["edge", "room"], "n2": ["edge", "room"], "n3": ["recorder", "compositor"], "n4": ["compositor"]}
    with Cluster(roles) as cluster, chromium() as browser:
        node = cluster["n1"]
        ada, ben = Person(browser, "Ada"), Person(browser, "Ben")
        room = ada.create_room(node, "Composed")
        ben.join_room(cluster["n2"], room)
        ada.wait_receiving()
        host, guest = credential(ada)["token"], credential(ben)["token"]
        ada.page.click("#record")
        wait_state(ada, "recording", 15)
        recording = node.get(f"/api/recordings?roomId={room}", token=host)[1]["recordings"][0]["recording_id"]
        status, early = node.request("PUT", f"/recordings/{recording}/composition", {"layout": "grid"}, token=host)
        assert status == 409 and early["error"]["code"] == "not_finished", early
        ada.page.wait_for_timeout(12000)
        ada.page.click("#record")
        wait_state(ada, "ready", 40)
        people = [credential(one)["participantId"] for one in (ada, ben)]
        for one in (ada, ben):
            one.context.close()
        permissions(node, recording, host, guest)
        invited(cluster, room, host, guest)
        composed(node, recording, host, people)
        orphan = compositor_dies(cluster, recording, host)
        preview_plays(cluster, browser, node, recording, host, guest)
        duration = node.get(f"/recordings/{recording}", token=host)[1]["duration"]
        export_of(cluster, node, recording, host, duration)
        another_did_it(cluster, recording, host, orphan)
        jobs = until("everybody gets a file", lambda: [one for one in node.get(f"/recordings/{recording}", token=host)[1]["jobs"] if one["kind"] == "thumbnail" and one["status"] == "ready"], 60)
        assert node.request("DELETE", f"/recording/{recording}", token=host)[0] == 200
        assert node.get(f"/jobs/{jobs[0]['job_id']}", token=host)[0] == 404
        until("its files go", lambda: not (cluster.storage / "rooms" / room / recording).exists(), 10)
    print("previewed in a browser, composed, exported once by one of two requests, and again after its compositor was killed")


main()
