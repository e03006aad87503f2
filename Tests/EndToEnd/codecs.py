# timeout: 240
"""VP9, H.264 and AV1 from Chromium: passed through to Chromium, and recorded into files that decode."""
import _media
from _chromium import Person, chromium
from _cluster import Cluster, until

# The page publishes with one codec only, whatever the browser prefers.
PREFER = """
(() => {
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (track, init) {
    const transceiver = add.call(this, track, init);
    if (track.kind === "video") {
      const codecs = RTCRtpSender.getCapabilities("video").codecs;
      const wanted = codecs.filter((c) => c.mimeType === "video/CODEC");
      transceiver.setCodecPreferences([...wanted, ...codecs.filter((c) => c.mimeType === "video/rtx")]);
    }
    return transceiver;
  };
})();
"""
CONTAINER = {"VP9": ("vp9", ".webm"), "H264": ("h264", ".mkv"), "AV1": ("av1", ".webm")}


def publish_and_record(cluster, browser, codec):
    node, other = cluster["n1"], cluster["n2"]
    ada, ben = Person(browser, f"Ada {codec}"), Person(browser, "Ben")
    ada.context.add_init_script(PREFER.replace("CODEC", codec))
    room = ada.create_room(node, codec)
    ben.join_room(other, room)
    ben.wait_receiving(seconds=30)
    sent = [entry["codec"] for entry in ada.stats()["sent"] if entry["kind"] == "video"]
    assert sent == [f"video/{codec}"], sent
    ada.page.click("#record")
    until("it records", lambda: ada.page.evaluate("document.body.dataset.recording") == "recording")
    ada.page.wait_for_timeout(5000)
    ada.page.click("#record")
    until("it is ready", lambda: ada.page.evaluate("document.body.dataset.recording") == "ready", 30)
    token = ada.page.evaluate("JSON.parse(sessionStorage.getItem('troupe.room.' + location.pathname.split('/')[2])).token")
    [recording] = node.get(f"/api/recordings?roomId={room}", token=token)[1]["recordings"]
    [track] = [t for t in recording["tracks"] if t["kind"] == "video" and t["name"] == ada.name]
    name, container = CONTAINER[codec]
    [path] = (cluster.storage / "rooms" / room / recording["recording_id"] / "tracks" / track["peer_id"]).glob(f"{track['track_id']}*{container}")
    found = _media.probe(path)
    assert found["codec"] == name and found["duration"] > 3.5, found
    errors = _media.decode_errors(path)
    assert not errors, errors[:600]
    ada.leave()
    ben.leave()
    for person in (ada, ben):
        person.context.close()


def main():
    with Cluster({"n1": ["edge", "room", "recorder"], "n2": ["edge", "room"]}) as cluster, chromium() as browser:
        for codec in CONTAINER:
            publish_and_record(cluster, browser, codec)
            print(f"{codec} passed")
    print("VP9, H.264 and AV1 pass through and are recorded")


main()
