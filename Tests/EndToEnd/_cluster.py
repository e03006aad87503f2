"""Real nodes for a test: a topology of its own in a temporary folder, ports nobody uses, every process ended by its id."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TROUPE_BUILD", ROOT / ".build/release"))


def free_port(kind=socket.SOCK_STREAM):
    """A port that is free now; the node binds it a moment later."""
    with contextlib.closing(socket.socket(socket.AF_INET, kind)) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, seconds=15.0, pause=0.1):
    """Polls until `condition` gives something true, and gives that; fails naming `what`."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return last
        except (OSError, urllib.error.URLError, json.JSONDecodeError) as error:
            last = error
        time.sleep(pause)
    raise AssertionError(f"not within {seconds:g} s: {what} (last: {last!r})")


class Node:
    def __init__(self, cluster, name, roles):
        self.cluster, self.name, self.roles = cluster, name, roles
        self.http_port, self.cluster_port = free_port(), free_port()
        self.media_port, self.pipe_port = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        self.process = None
        self.log = cluster.folder / f"{name}.log"

    @property
    def url(self):
        return f"https://127.0.0.1:{self.http_port}"

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BUILD / "troupe", "node", "--topology", str(self.cluster.topology), "--name", self.name],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def ready(self, seconds=20):
        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} exited with {self.process.returncode}:\n{self.tail()}")
            return self.get("/readyz", raw=True)[0] == 200
        until(f"{self.name} is ready", answers, seconds)
        return self

    def kill(self):
        """As the power cut does it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=15):
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {seconds} s of SIGTERM:\n{self.tail()}")

    def tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def request(self, method, path, body=None, token=None, raw=False, headers=None):
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={
            **({"Content-Type": "application/json"} if data is not None else {}),
            **({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.cluster.tls) as response:
                status, content = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        if raw:
            return status, content
        return status, json.loads(content) if content else None

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body, **options):
        return self.request("POST", path, body, **options)

    def metrics(self):
        """Prometheus text → {name{labels}: value}, plus the sum over labels under the bare name."""
        values = {}
        for line in self.get("/metrics", raw=True)[1].decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
                bare = name.split("{")[0]
                if bare != name:
                    values[bare] = values.get(bare, 0.0) + float(value)
        return values


class Cluster:
    """`with Cluster({"n1": ["edge", "room"], …}) as cluster:` runs those nodes; they are gone afterwards."""

    def __init__(self, nodes, start=True, public_url=None, chaos=False, journals=False):
        self.public_url, self.chaos, self.has_journals = public_url, chaos, journals
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="troupe-test-"))
        self.topology = self.folder / "topology.yaml"
        self.storage = self.folder / "recordings"
        self.journals = self.folder / "journals"    # each recorder's own disk, below its name
        self.nodes = {name: Node(self, name, roles) for name, roles in nodes.items()}
        self.start_at_once = start
        self.tls = ssl._create_unverified_context()

    def write(self):
        text = ["nodes:"]
        for node in self.nodes.values():
            text += [f"  - name: {node.name}", "    host: 127.0.0.1", f"    cluster_port: {node.cluster_port}", f"    http_port: {node.http_port}",
                     f"    media_ports: [{node.media_port}]", f"    pipe_ports: [{node.pipe_port}]", "    announced: [127.0.0.1]",
                     f"    roles: [{', '.join(node.roles)}]"]
        text += ["store:", f"  sqlite: {self.folder}/troupe.db", "storage:", f"  folder: {self.storage}"]
        if self.has_journals:
            text.append(f"  journals: {self.journals}")
        text += [f"ca_dir: {self.folder}/ca", f"keys_file: {self.folder}/keys.yaml"]
        if self.chaos:
            text.append("chaos: true")
        if self.public_url:
            text.append(f"public_url: {self.public_url}")
        self.topology.write_text("\n".join(text) + "\n")
        subprocess.run([BUILD / "troupe", "keys", "--topology", str(self.topology)], check=True, capture_output=True, text=True)
        authority = self.folder / "ca" / "ca.pem"
        if authority.exists():
            self.tls = ssl.create_default_context(cafile=str(authority))

    def __enter__(self):
        try:
            self.write()
            if self.start_at_once:
                for node in self.nodes.values():
                    node.start()
                for node in self.nodes.values():
                    node.ready()
            return self
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{error.cmd}: {error.stdout}{error.stderr}")
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind, *_):
        if kind:
            for node in self.nodes.values():
                print(f"--- {node.name}\n{node.tail()}", file=sys.stderr)
        self.close()

    def close(self):
        for node in self.nodes.values():
            if node.process and node.process.poll() is None:
                node.kill()
        if os.environ.get("TROUPE_KEEP"):
            print(f"kept {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __getitem__(self, name):
        return self.nodes[name]
