"""What the nodes lean on: a database and an object store, in the hub's namespace, each stopped and started at will."""
import os, pathlib, pwd, secrets, signal, subprocess, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 30
STOP_SECONDS = 25
HUB = "10.88.0.254"
POSTGRES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
RCLONE = ROOT / ".troupe" / "venv" / "bin" / "rclone"


class ChaosError(Exception):
    pass


def run(*command, check=True, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if check and done.returncode != 0:
        raise ChaosError(f"`{' '.join(str(part) for part in command)}` ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


class Server:
    """Its faults have the names a node's have."""
    world = process = None

    def command(self, *words):
        return ["ip", "netns", "exec", self.world.hub, *[str(word) for word in words]]

    def lose_power(self):
        """No packet comes to it or leaves it any more, then it is gone: nobody hears a FIN or a RST."""
        for chain, side in (("INPUT", "--dport"), ("OUTPUT", "--sport")):
            run(*self.command("iptables", "-w", "-I", chain, "-p", "tcp", side, self.port, "-j", "DROP"))
        self.kill()

    def restore_power(self):
        for chain in ("INPUT", "OUTPUT"):
            run(*self.command("iptables", "-w", "-F", chain))

    def end(self, number):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def wait_answers(self, probe, log):
        end = time.monotonic() + READY_SECONDS
        while subprocess.run(self.command(*probe), capture_output=True).returncode != 0:
            if time.monotonic() > end or self.process.poll() is not None:
                raise ChaosError(f"{self.name} does not start; see {log}")
            time.sleep(0.05)


class PostgreSQL(Server):
    name, port = "the database", 5432

    def __init__(self, world):
        if not POSTGRES:
            raise ChaosError("PostgreSQL is not installed: ops/install --chaos")
        self.world, self.folder = world, world.folder / "postgres"
        user = pwd.getpwnam("postgres")
        self.folder.mkdir()
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.password = world.folder / "postgres.password"
        self.password.write_text("chaos\n")
        self.password.chmod(0o644)
        self.run_as("initdb", "-D", self.folder / "data", "-A", "scram-sha-256", "--pwfile", self.password, "-U", "troupe")
        (self.folder / "data" / "pg_hba.conf").write_text("host all all 10.88.0.0/24 scram-sha-256\n")
        self.url = f"postgresql://troupe:chaos@{HUB}:5432/postgres"

    def words(self, program, *words):
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", str(POSTGRES[-1] / program), *[str(word) for word in words]]

    def run_as(self, program, *words):
        run(*self.words(program, *words), cwd="/")

    def start(self):
        file = self.world.folder / "postgres.log"
        with open(file, "ab") as log:
            self.process = subprocess.Popen(
                self.command(*self.words("postgres", "-D", self.folder / "data", "-h", HUB, "-k", self.folder, "-c", "max_connections=200")),
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_answers([POSTGRES[-1] / "pg_isready", "-h", HUB], file)

    def stop(self):
        self.end(signal.SIGINT)

    def kill(self):
        """An immediate shutdown: nothing is written any more, and the next start begins with recovery."""
        self.end(signal.SIGQUIT)


class ObjectStore(Server):
    """An S3 server (rclone) over a folder, which the judge reads beside it."""
    name, port, bucket = "the object store", 9000, "recordings"

    def __init__(self, world):
        if not RCLONE.exists():
            raise ChaosError("rclone is not installed: ops/install --chaos")
        self.world, self.folder = world, world.folder / "s3"
        # The keys' files, as a topology names them, and what the server is told.
        self.keys = {name: secrets.token_hex(20) for name in ("access", "secret")}
        (self.folder / self.bucket).mkdir(parents=True)
        for name, value in self.keys.items():
            file = world.folder / f"s3.{name}"
            file.write_text(value + "\n")
            file.chmod(0o600)

    @property
    def files(self):
        """The bucket: an object's key is its file's path below."""
        return self.folder / self.bucket

    def topology(self):
        """What a topology says of it, below `storage`."""
        return ["  s3:", f"    endpoint: http://{HUB}:{self.port}", f"    bucket: {self.bucket}", "    path_style: true",
                f"    access_key_file: {self.world.folder}/s3.access", f"    secret_key_file: {self.world.folder}/s3.secret"]

    def start(self):
        file = self.world.folder / "s3.log"
        with open(file, "ab") as log:
            self.process = subprocess.Popen(
                self.command("env", "RCLONE_CONFIG=/dev/null", RCLONE, "serve", "s3", "--addr", f"{HUB}:{self.port}", "--auth-key", f"{self.keys['access']},{self.keys['secret']}", self.folder),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_answers(["curl", "-s", "-m", 5, "-o", "/dev/null", f"http://{HUB}:{self.port}/"], file)

    def kill(self):
        self.end(signal.SIGKILL)
