"""Nodes as on machines of their own: each in a network namespace, joined by a bridge in a namespace that only they share.

Nothing of the machine's own network is touched; `World.close()` ends every process it started, by id, and removes its namespaces."""
import contextlib, json, os, pathlib, shutil, signal, subprocess, sys, tempfile, time

from servers import HUB, READY_SECONDS, ROOT, STOP_SECONDS, ChaosError, ObjectStore, PostgreSQL, run

DISK_BYTES = 256 << 20  # of each disk that recordings are kept on
CLIENTS = "10.88.0.200"


class Namespace:
    """A network namespace with one address on the bridge."""

    def __init__(self, world, name, address):
        self.name, self.address = f"{world.prefix}-{name}", address
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        run("ip", "-n", world.hub, "link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "-n", world.hub, "link", "set", f"v{name}", "master", "br0", "up")
        run("ip", "-n", self.name, "addr", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", self.name, "link", "set", "eth0", "up")

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *[str(word) for word in words]]

    def iptables(self, *words):
        run(*self.command("iptables", "-w", *words))

    def remove(self):
        run("ip", "netns", "del", self.name, check=False)


class Node:
    def __init__(self, world, name, number, program):
        self.world, self.name, self.program = world, name, program
        self.namespace = Namespace(world, name, f"10.88.0.{number}")
        self.log = world.folder / f"{name}.log"
        self.clock = world.folder / f"{name}.clock"
        self.process = self.delay = None
        self.is_stalled = False

    @property
    def url(self):
        return f"https://{self.namespace.address}:8443"

    def start(self):
        words = [self.program, "node", "--topology", self.world.topology, "--name", self.name]
        if self.world.has_clocks:
            self.set_clock(0)
            words = ["env", f"LD_PRELOAD={self.world.tool('clock')}", f"TROUPE_CLOCK={self.clock}", *words]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.namespace.command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def set_clock(self, seconds):
        """How far this node's wall clock is ahead, from now on. The kernel's own stamps of packets stay true."""
        with open(self.clock, "r+b" if self.clock.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def answers(self):
        return self.is_running and not self.is_stalled

    def signal(self, number):
        if self.is_running:
            self.process.send_signal(number)
        self.is_stalled = number == signal.SIGSTOP or self.is_stalled and number != signal.SIGCONT

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def lose_power(self):
        """No packet leaves any more, then the process is gone: nobody hears a FIN, a RST or an ICMP."""
        self.namespace.iptables("-I", "OUTPUT", "-o", "eth0", "-j", "DROP")
        self.namespace.iptables("-I", "INPUT", "-i", "eth0", "-j", "DROP")
        self.kill()

    def restore_power(self):
        for chain in ("OUTPUT", "INPUT"):
            self.namespace.iptables("-F", chain)

    def cut(self, others, incoming=True, outgoing=True):
        """Drops packets from and to the given addresses."""
        for address in others:
            if incoming:
                self.namespace.iptables("-I", "INPUT", "-s", address, "-j", "DROP")
            if outgoing:
                self.namespace.iptables("-I", "OUTPUT", "-d", address, "-j", "DROP")

    heal = restore_power

    def impair(self, delay=0, jitter=0, loss=0, seconds=600):
        """Every UDP and TCP packet that comes in waits `delay` ± `jitter` ms; `loss` percent never arrive."""
        self.namespace.iptables("-A", "INPUT", "-i", "eth0", "-j", "NFQUEUE", "--queue-num", "7", "--queue-bypass")
        self.delay = subprocess.Popen(self.namespace.command(
            self.world.tool("nfqdelay"), "-q", 7, "-d", delay, "-j", jitter, "-l", loss, "-t", seconds), stderr=subprocess.DEVNULL)

    def repair(self):
        self.namespace.iptables("-F", "INPUT")
        if self.delay:
            self.delay.terminate()
            self.delay.wait()
            self.delay = None

    def stop(self):
        if not self.is_running:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def events(self, *names, since=0.0):
        """Log lines whose event is one of `names`, no older than `since` (wall seconds)."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("event", entry.get("message")) in names and parse_time(entry) >= since:
                    found.append(entry)
        return found


def parse_time(entry):
    import datetime
    text = entry.get("time") or entry.get("ts") or ""
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, AttributeError):
        return 0.0


class World:
    """`with World(5) as world:` brings up the nodes; all is gone afterwards."""

    def __init__(self, count, binaries, programs=None, has_clocks=False, has_object_store=False, seed=1):
        if os.getuid() != 0:
            raise ChaosError("needs root: it makes network namespaces")
        self.seed = seed
        self.prefix, self.folder = f"tc{os.getpid() % 100000}", pathlib.Path(tempfile.mkdtemp(prefix="troupe-chaos-"))
        self.folder.chmod(0o755)
        self.hub = f"{self.prefix}-hub"
        self.count, self.binaries, self.programs = count, binaries, programs or {}
        self.nodes, self.clients, self.database, self.started, self.store_address = {}, None, None, [], HUB
        self.topology, self.disk, self.has_clocks = self.folder / "topology.yaml", self.folder / "recordings", has_clocks
        # With an object store each recorder has a disk of its own too, below its name.
        self.object_store, self.journals, self.disks = None, self.folder / "journals" if has_object_store else None, []

    def tool(self, name):
        """What is built of ops/chaos.d/NAME.c."""
        program = self.folder / name
        if not program.exists():
            options = {"nfqdelay": ["-lnetfilter_queue"], "clock": ["-shared", "-fPIC"]}[name]
            run("gcc", "-O2", "-o", program, ROOT / "ops" / "chaos.d" / f"{name}.c", *options)
        return program

    def __enter__(self):
        try:
            for folder in filter(None, (self.disk, self.journals)):
                folder.mkdir()
                run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "chaos", folder)
                self.disks.append(folder)
            run("ip", "netns", "add", self.hub)
            run("ip", "-n", self.hub, "link", "set", "lo", "up")
            run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
            run("ip", "-n", self.hub, "addr", "add", f"{HUB}/24", "dev", "br0")
            run("ip", "-n", self.hub, "link", "set", "br0", "up")
            self.clients = Namespace(self, "cl", CLIENTS)
            for number in range(1, self.count + 1):
                name = f"n{number}"
                self.nodes[name] = Node(self, name, number, self.programs.get(name, self.binaries / "troupe"))
            self.database = PostgreSQL(self)
            self.database.start()
            if self.journals:
                self.object_store = ObjectStore(self)
                self.object_store.start()
            self.write_topology()
            for node in self.nodes.values():
                node.start()
            self.wait_ready(self.nodes.values())
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind, *_):
        if kind:
            for node in self.nodes.values():
                text = node.log.read_text(errors="replace") if node.log.exists() else ""
                print(f"--- {node.name}", *text.splitlines()[-15:], sep="\n", file=sys.stderr)
        self.close()

    def write_topology(self):
        lines = ["nodes:"]
        for node in self.nodes.values():
            lines += [f"  - name: {node.name}", f"    host: {node.namespace.address}", "    cluster_port: 7101", "    http_port: 8443", "    media_ports: [40101]",
                      "    pipe_ports: [41101]", f"    announced: [{node.namespace.address}]", "    roles: [edge, room, recorder, compositor]"]
        secret = self.folder / "postgres.url"
        secret.write_text(self.database.url + "\n")
        secret.chmod(0o600)
        lines += ["store:", f"  postgres: {{url_file: {secret}}}", "storage:", f"  folder: {self.disk}", "  shared: true"]
        if self.object_store:
            lines += [f"  journals: {self.journals}", *self.object_store.topology()]
        lines += [f"ca_dir: {self.folder}/ca", f"keys_file: {self.folder}/keys.yaml"]
        self.topology.write_text("\n".join(lines) + "\n")
        run(self.binaries / "troupe", "keys", "--topology", self.topology)

    @property
    def authority(self):
        return self.folder / "ca" / "ca.pem"

    def request(self, node, path, body=None, token=None, method=None):
        """Status and JSON of an answer; asked from the clients' namespace."""
        words = ["curl", "-sS", "-m", "10", "--cacert", str(self.authority), "-w", "\n%{http_code}", "-X", method or ("POST" if body is not None else "GET")]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        if token:
            words += ["-H", f"Authorization: Bearer {token}"]
        done = subprocess.run(self.clients.command(*words, node.url + path), capture_output=True, text=True)
        if done.returncode != 0:
            return 0, done.stderr.strip()
        text, _, status = done.stdout.rpartition("\n")
        with contextlib.suppress(ValueError):
            text = json.loads(text)
        return int(status), text

    def wait_ready(self, nodes):
        for node in nodes:
            end = time.monotonic() + READY_SECONDS
            while self.request(node, "/readyz")[0] != 200:
                if not node.is_running:
                    raise ChaosError(f"{node.name} ended with {node.process.returncode}: {node.log.read_text()[-1500:]}")
                if time.monotonic() > end:
                    raise ChaosError(f"{node.name} is not ready within {READY_SECONDS} s: {self.request(node, '/readyz')}")
                time.sleep(0.05)

    def fill_disk(self):
        """Takes all that is free on it; gives the file that does."""
        filler = self.disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
        return filler

    def load(self, *words):
        """A `troupe-load` in the clients' namespace; its JSON is read by `finish`."""
        output = tempfile.NamedTemporaryFile("w+", dir=self.folder, suffix=".json", delete=False)
        errors = open(output.name + ".log", "w")
        process = subprocess.Popen(
            self.clients.command(self.binaries / "troupe-load", "--ca", self.authority, "--bind", CLIENTS, "--json", "--quiet", *words),
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        process.report = output.name
        self.started.append(process)
        return process

    def finish(self, process, seconds):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        text = pathlib.Path(process.report).read_text()
        try:
            return json.loads(text)
        except ValueError:
            raise ChaosError(f"troupe-load gave no report ({process.returncode}): {text[-500:]}{pathlib.Path(process.report + '.log').read_text()[-1500:]}")

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        for node in self.nodes.values():
            if node.delay:
                node.delay.kill()
                node.delay.wait()
            if node.is_running:
                node.kill()
        if self.database:
            self.database.stop()
        if self.object_store:
            self.object_store.kill()
        for namespace in [node.namespace for node in self.nodes.values()] + ([self.clients] if self.clients else []):
            namespace.remove()
        run("ip", "netns", "del", self.hub, check=False)
        for folder in self.disks:
            if os.environ.get("TROUPE_KEEP"):
                run("cp", "-a", folder, f"{folder}.kept", check=False)
            run("umount", "--lazy", folder, check=False)
        if os.environ.get("TROUPE_KEEP"):
            print(f"kept {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
