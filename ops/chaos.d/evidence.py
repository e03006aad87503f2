"""What a recording left behind, read beside the recorder: its journals wherever they stand, and what is in the bucket."""
import contextlib, os, pathlib, threading

LOOK_SECONDS = 0.1


def journal_packets(path):
    """(SSRC, sequence number) of every RTP record whose place and length fit; docs/decisions/0016-packet-journals.md describes the file."""
    data = content(path)
    if data is None or data[:4] != b"TRPJ" or len(data) < 12:
        return
    offset = 12 + int.from_bytes(data[8:12], "big") + 4
    while offset + 20 <= len(data) and data[offset:offset + 2] == b"TR":
        kind, length = data[offset + 2], int.from_bytes(data[offset + 4:offset + 8], "big")
        packet = data[offset + 20:offset + 20 + length]
        if len(packet) < length:
            return
        if kind == 1:
            yield int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[2:4], "big")
        offset += 20 + length


def gaps(numbers):
    """Sequence numbers missing between the first and the last, across 65535 → 0 (RFC 3550, appendix A.1)."""
    ordered = sorted(numbers)
    if len(ordered) < 2:
        return 0
    # The largest step on the circle is where the stream does not go.
    steps = [(after - before) % 65536 for before, after in zip(ordered, ordered[1:] + ordered[:1])]
    steps.remove(max(steps))
    return sum(step - 1 for step in steps)


def files(folder):
    """What stands below it, by key, without the temporary files of whoever was killed while writing. Folders may vanish meanwhile."""
    paths = (pathlib.Path(parent, name) for parent, _, names in os.walk(folder / "rooms") for name in names)
    return {str(path.relative_to(folder)): path for path in paths if not path.name.startswith(".") and not path.name.endswith(".partial")}


def content(path):
    """Bytes; None where there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def unstored(world):
    """Files that are on the own disk of a node that runs, and of the storage folder's those that the bucket has not, or not alike."""
    found = [f"{name}: {key}" for name, node in world.nodes.items() if node.answers for key in files(world.journals / name)]
    bucket = world.object_store.files
    return found + [f"bucket: {key}" for key, path in files(world.disk).items() if content(path) != content(bucket / key)]


class Segments:
    """Every journal segment that recorders write to disks of their own. A second link keeps what each held: when a recorder removes it, the
    storage folder and the bucket must hold the same bytes. A thread of its own looks, from `with` to its end."""

    def __init__(self, world):
        self.world, self.kept = world, world.journals / "kept"
        self.here, self.removed, self.unsafe, self.failure = {}, 0, [], None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look_on, daemon=True)

    def __enter__(self):
        self.kept.mkdir()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def look_on(self):
        try:
            while not self.over.wait(LOOK_SECONDS):
                self.look()
            self.look()
        except OSError as error:
            self.failure = error

    def look(self):
        found = {(name, key): path for name in self.world.nodes for key, path in files(self.world.journals / name).items() if key.endswith(".trj")}
        for segment in found.keys() - self.here.keys():
            link = self.kept / str(self.removed + len(self.here))
            # One that came and went between two looks is missed.
            with contextlib.suppress(FileNotFoundError):
                os.link(found[segment], link)
                self.here[segment] = link
        for segment in self.here.keys() - found.keys():
            node, key = segment
            if (self.world.journals / node / key).exists():
                continue
            link = self.here.pop(segment)
            places = {"folder": self.world.disk, "bucket": self.world.object_store.files}
            self.unsafe += [f"{key} of {node} is not in the {name}" for name, place in places.items() if content(place / key) != link.read_bytes()]
            self.removed += 1
            link.unlink()

    def writers(self):
        """Names of the nodes that are writing a segment."""
        return {name for name, _ in list(self.here)}

    def journals(self):
        """Those that are left to finish with: stored, or on the disk of a node that runs."""
        places = [*(self.world.journals / name for name, node in self.world.nodes.items() if node.answers), self.world.disk, self.world.object_store.files]
        return [path for place in places for key, path in files(place).items() if key.endswith(".trj")]

    def judge(self, verdict):
        detail = str(self.failure) if self.failure else f"{self.removed} segments were removed" + (f"; {self.unsafe[:4]}" if self.unsafe else "")
        verdict.is_true("a recorder removes a segment only when folder and bucket have it", self.removed > 0 and not self.unsafe and not self.failure, detail)
