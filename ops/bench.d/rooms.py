"""`ops/bench rooms`: idle rooms placed over nodes of one machine: memory a room, time to place them, time to place a dead node's again.

Real nodes and a store as in a topology; rooms are woken over HTTP, as a front end does it. A room nobody is in leaves memory
after a minute: what does not fit into that is told."""
import base64, concurrent.futures, hashlib, hmac, http.client, json, os, pathlib, pwd, shutil, signal, socket, ssl, statistics, subprocess, sys, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 30
REPLACE_SECONDS = 60    # for the rooms of a dead node to be held again
CALLERS = 24            # requests under way at once
REQUESTS_AN_ADDRESS = 80    # a second; a node takes 100
POSTGRES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))


def fail(text):
    sys.exit(f"bench: {text}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Store:
    """SQLite in the nodes' folder, or a PostgreSQL of the benchmark's own."""

    def __init__(self, kind, folder):
        self.kind, self.folder, self.process = kind, folder, None

    def start(self):
        if self.kind == "sqlite":
            return [f"  sqlite: {self.folder}/troupe.db"]
        if not POSTGRES:
            fail("PostgreSQL is not installed: ops/install --chaos")
        user, home, port = pwd.getpwnam("postgres"), self.folder / "postgres", free_port()
        home.mkdir()
        os.chown(home, user.pw_uid, user.pw_gid)
        words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        subprocess.run([*words, POSTGRES[-1] / "initdb", "-D", home / "data", "-A", "trust", "-U", "troupe"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.process = subprocess.Popen([*words, POSTGRES[-1] / "postgres", "-D", home / "data", "-h", "127.0.0.1", "-p", str(port), "-k", str(home)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        end = time.monotonic() + READY_SECONDS
        while subprocess.run([POSTGRES[-1] / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > end:
                fail("PostgreSQL does not start")
            time.sleep(0.05)
        address = self.folder / "postgres.url"
        address.write_text(f"postgresql://troupe@127.0.0.1:{port}/postgres\n")
        address.chmod(0o600)
        return [f"  postgres: {{url_file: {address}}}"]

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)


class Nodes:
    """So many nodes; each is read for its memory and its processor time."""

    def __init__(self, program, count, store):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="troupe-bench-"))
        self.folder.chmod(0o755)
        self.program, self.count, self.store = program, count, Store(store, self.folder)
        self.processes, self.ports, self.logs = {}, {}, []

    def __enter__(self):
        try:
            self.start()
            return self
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        lines = ["nodes:"]
        for number in range(1, self.count + 1):
            name, self.ports[f"n{number}"] = f"n{number}", free_port()
            lines += [f"  - name: {name}", "    host: 127.0.0.1", f"    cluster_port: {free_port()}", f"    http_port: {self.ports[name]}", f"    media_ports: [{free_port()}]",
                      f"    pipe_ports: [{free_port()}]", "    roles: [edge, room]"]
        lines += ["store:", *self.store.start(), "storage:", f"  folder: {self.folder}/recordings", "  shared: true", f"ca_dir: {self.folder}/ca", f"keys_file: {self.folder}/keys.yaml"]
        topology = self.folder / "topology.yaml"
        topology.write_text("\n".join(lines) + "\n")
        subprocess.run([self.program, "keys", "--topology", topology], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.tls = ssl.create_default_context(cafile=str(self.folder / "ca" / "ca.pem"))
        self.token = self.admin_token()
        for name in self.ports:
            log = open(self.folder / f"{name}.log", "w")
            self.logs.append(log)
            self.processes[name] = subprocess.Popen([self.program, "node", "--topology", topology, "--name", name, "--log-level", "warning"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                nodes = self.look()
                if len(nodes) == self.count and all(node["state"] == "up" and len(node["links"]) == self.count - 1 for node in nodes):
                    return
            except OSError:
                pass
            if time.monotonic() > end:
                fail(f"the nodes are not ready within {READY_SECONDS} s; see {self.folder}")
            time.sleep(0.1)

    def admin_token(self):
        key, secret = next(line.split(": ", 1) for line in (self.folder / "keys.yaml").read_text().splitlines() if ": " in line and not line.startswith("#"))

        def part(raw):
            return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        text = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps({"iss": key, "sub": "bench", "exp": int(time.time()) + 3600, "video": {"roomAdmin": True, "roomCreate": True}}).encode())
        return text + "." + part(hmac.new(secret.strip().encode(), text.encode(), hashlib.sha256).digest())

    def look(self):
        name = next(name for name, process in self.processes.items() if process.poll() is None)
        connection = http.client.HTTPSConnection("127.0.0.1", self.ports[name], timeout=10, context=self.tls)
        try:
            connection.request("GET", "/admin/v1/nodes", headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            body = answer.read()
            return json.loads(body)["nodes"] if answer.status == 200 else []
        finally:
            connection.close()

    def rooms(self):
        return {node["node"]: node.get("rooms", 0) for node in self.look() if node["state"] != "away"}

    def memory(self):
        """Bytes that are each process's own, all together."""
        total = 0
        for process in self.processes.values():
            if process.poll() is None:
                fields = dict(line.split(":") for line in open(f"/proc/{process.pid}/smaps_rollup").read().splitlines()[1:])
                total += int(fields["Anonymous"].split()[0]) * 1024
        return total

    def processor(self):
        """Seconds of processor time, all together."""
        ticks = 0
        for process in self.processes.values():
            if process.poll() is None:
                fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        self.store.stop()
        for log in self.logs:
            log.close()
        if os.environ.get("TROUPE_KEEP"):
            print(f"kept {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Callers:
    """Requests from many threads, each with connections of its own; addresses of 127/8 take turns, for a node limits each."""

    def __init__(self, nodes):
        self.nodes, self.own, self.numbers = nodes, threading.local(), iter(range(10, 1 << 20))
        self.lock = threading.Lock()

    def connection(self, name):
        kept = self.own.__dict__.setdefault("kept", {})
        connection, uses = kept.get(name, (None, 0))
        if connection is None or uses >= REQUESTS_AN_ADDRESS:
            if connection:
                connection.close()
            with self.lock:
                number = next(self.numbers)
            connection = http.client.HTTPSConnection("127.0.0.1", self.nodes.ports[name], timeout=20, context=self.nodes.tls, source_address=(f"127.{number >> 14 & 127}.{number >> 7 & 127}.{1 + (number & 127)}", 0))
            uses = 0
        kept[name] = (connection, uses + 1)
        return connection

    def ask(self, name, method, path, body=None):
        connection = self.connection(name)
        connection.request(method, path, body=None if body is None else json.dumps(body), headers={"Authorization": f"Bearer {self.nodes.token}", "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def each(self, items, work):
        """Does `work` for every item; gives what came of each, and the seconds it took all together."""
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
            found = list(pool.map(work, items))
        return found, time.monotonic() - begun


def measure(program, count, rooms, store):
    with Nodes(program, count, store) as nodes:
        callers, names = Callers(nodes), list(nodes.ports)

        def create(index):
            status, body = callers.ask(names[index % count], "POST", "/api/v1/sessions/create", {"title": "idle", "host_name": "nobody"})
            if status != 201:
                fail(f"no room: {status} {body[:300]}")
            return json.loads(body)["session_id"]

        def wake(room):
            begun = time.monotonic()
            status, body = callers.ask(names[hash(room) % count], "GET", f"/api/v1/sessions/{room}")
            if status != 200:
                fail(f"a room does not come to life: {status} {body[:300]}")
            return time.monotonic() - begun
        ids, creating = callers.each(range(rooms), create)
        time.sleep(1)
        memory = nodes.memory()
        waits, placing = callers.each(ids, wake)
        held = nodes.rooms()
        if sum(held.values()) != rooms:
            fail(f"{sum(held.values())} of {rooms} rooms are held after {placing:.0f} s: the first have left memory")
        time.sleep(1)
        used, spent, begun = nodes.memory() - memory, nodes.processor(), time.monotonic()
        time.sleep(5)
        idle = (nodes.processor() - spent) / (time.monotonic() - begun)
        victim = max(held, key=held.get)
        nodes.processes[victim].kill()
        killed = time.monotonic()
        nodes.processes[victim].wait()
        first, found = None, {}
        while time.monotonic() - killed < REPLACE_SECONDS:
            found = nodes.rooms()
            now = time.monotonic() - killed
            alive = sum(found.get(name, 0) for name in names if name != victim)
            if alive > rooms - held[victim] and first is None:
                first = now
            if alive >= rooms:
                break
            time.sleep(0.05)
        else:
            now = None
        return {
            "store": store, "nodes": count, "rooms": rooms, "create_per_second": rooms / creating, "place_seconds": placing, "place_per_second": rooms / placing,
            "place_ms_p50": statistics.median(waits) * 1000, "place_ms_p95": sorted(waits)[int(0.95 * len(waits))] * 1000, "least": min(held.values()), "most": max(held.values()),
            "bytes_a_room": used / rooms, "idle_cpu": idle, "orphans": held[victim], "first_again_seconds": first, "all_again_seconds": now,
        }


def bench(arguments):
    subprocess.run([ROOT / "ops" / "install", "--bench"], check=True)
    if not arguments.no_build:
        subprocess.run(["swift", "build", "-c", "release", "--product", "troupe"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    binaries = pathlib.Path(os.environ.get("TROUPE_BUILD") or subprocess.run(["swift", "build", "-c", "release", "--show-bin-path"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip())
    for store in arguments.store:
        row = measure(binaries.resolve() / "troupe", arguments.nodes, arguments.rooms, store)
        if arguments.json:
            print(json.dumps(row), flush=True)
            continue
        again = f"{row['all_again_seconds']:.2f} s after the kill (the first after {row['first_again_seconds']:.2f} s)" if row["all_again_seconds"] else f"not within {REPLACE_SECONDS} s"
        print(f"{row['rooms']} rooms over {row['nodes']} nodes, {store}: {row['least']} to {row['most']} a node\n"
              f"  placed in {row['place_seconds']:.1f} s, {row['place_per_second']:.0f} a second; one p50/p95 {row['place_ms_p50']:.1f}/{row['place_ms_p95']:.1f} ms\n"
              f"  {row['bytes_a_room'] / 1024:.1f} KiB a room; idle, all nodes together use {row['idle_cpu']:.2f} processors\n"
              f"  {row['orphans']} rooms of a killed node are held again {again}", flush=True)
