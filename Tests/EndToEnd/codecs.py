# timeout: 240
"""VP9, H.264 and AV1 from Chromium: passed through to Chromium, and recorded into files that decode."""
import _media
from _chromium import Person, chromium, credential, wait_state
from _cluster import Cluster

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


def publish(cluster, browser, codec):
    ada, ben = Person(browser, f"Ada {codec}"), Person(browser, "Ben")
    ada.context.add_init_script(PREFER.replace("CODEC", codec))
    room = ada.create_room(cluster["n1"], codec)
    ben.join_room(cluster["n2"], room)
    ben.wait_receiving(seconds=30)
    sent = [entry["codec"] for entry in ada.stats()["sent"] if entry["kind"] == "video"]
    assert set(sent) == {f"video/{codec}"}, sent
    ben.context.close()
    ada.page.click("#record")
    return ada, room


def check_track(cluster, codec, ada, room):
    [recording] = cluster["n1"].get(f"/api/recordings?roomId={room}", token=credential(ada)["token"])[1]["recordings"]
    # A file each time its encoder began anew with another header.
    files = [t for t in recording["tracks"] if t["kind"] == "video" and t["name"] == ada.name]
    name, container = CONTAINER[codec]
    paths = sorted((cluster.storage / "rooms" / room / recording["recording_id"] / "tracks" / files[0]["peer_id"]).glob(f"{files[0]['track_id']}.*"))
    assert len(paths) == len(files) and all(path.suffix == container for path in paths), (paths, files)
    found = [_media.probe(path) for path in paths]
    assert all(one["codec"] == name for one in found) and sum(one["duration"] for one in found) > 3.5, found
    errors = "".join(_media.decode_errors(path) for path in paths)
    assert not errors, errors[:600]


def main():
    with Cluster({"n1": ["edge", "room", "recorder"], "n2": ["edge", "room"]}) as cluster, chromium() as browser:
        publishers = {codec: publish(cluster, browser, codec) for codec in CONTAINER}
        for ada, _ in publishers.values():
            wait_state(ada, "recording", 15)
        ada.page.wait_for_timeout(5000)
        for ada, _ in publishers.values():
            ada.page.click("#record")
        for codec, (ada, room) in publishers.items():
            wait_state(ada, "ready", 60)
            check_track(cluster, codec, ada, room)
            print(f"{codec} passed")
    print("VP9, H.264 and AV1 pass through and are recorded")


main()
