"""`ops/bench actors`: calls between two nodes over mutual TLS on loopback, beside the same exchange between two Erlang nodes.

Local call (through the system), remote round trip one after another, and 64 callers with one call each under way. The two sides take turns."""
import json, os, pathlib, socket, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXTENSIONS = "subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"


def run(*command, cwd=ROOT, env=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: `{' '.join(str(part) for part in command)}` ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    numbers = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return numbers


def make_certificates(folder, names):
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench", "-addext", "basicConstraints=critical,CA:TRUE", cwd=folder)
    for name in names:
        (folder / f"{name}.ext").write_text(EXTENSIONS.format(name=name))
        run("openssl", "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", cwd=folder)
        run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem", cwd=folder)


def measure_troupe(program, folder, seconds):
    one, two = ports(2)
    server = subprocess.Popen([program, "serve", "server", str(one), "caller", str(two), str(folder)], stdin=subprocess.PIPE)
    try:
        return json.loads(run(program, "call", "caller", two, "server", one, folder, seconds))
    finally:
        server.stdin.close()
        server.wait(10)


def measure_erlang(folder, seconds):
    """Two nodes over TLS distribution with mutual verification; their port mapper ends with them."""
    options = folder / "dist.conf"
    side = '[{{certfile,"{0}/server.pem"}},{{keyfile,"{0}/server.key"}},{{cacertfile,"{0}/ca.pem"}},{{verify,verify_peer}}{1}]'
    options.write_text(f"[{{server,{side.format(folder, ',{fail_if_no_peer_cert,true}')}}},{{client,{side.format(folder, ',{server_name_indication,disable}')}}}].\n")
    [mapper_port] = ports(1)
    env = {**os.environ, "ERL_CRASH_DUMP_SECONDS": "0", "ERL_EPMD_PORT": str(mapper_port), "ERL_EPMD_ADDRESS": "127.0.0.1", "HOME": str(folder)}
    mapper = subprocess.Popen(["epmd"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    common = ["erl", "-noshell", "-pa", str(folder), "-setcookie", "bench", "-start_epmd", "false", "-proto_dist", "inet_tls", "-ssl_dist_optfile", str(options)]
    server = subprocess.Popen([*common, "-sname", "server@localhost", "-s", "actors", "serve"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        return json.loads(run(*common, "-sname", "caller@localhost", "-run", "actors", "call", "server@localhost", seconds, env=env).strip().splitlines()[-1])
    finally:
        server.kill()
        server.wait()
        mapper.kill()
        mapper.wait()


def bench(arguments):
    run(ROOT / "ops" / "install", "--bench")
    env = {**os.environ, "TROUPE_BENCH": "1"}
    build = ["swift", "build", "-c", "release", "--product", "actors", "--scratch-path", str(ROOT / ".build" / "bench")]
    if not arguments.no_build:
        run(*build, env=env)
    program = pathlib.Path(run(*build[:4], "--scratch-path", ROOT / ".build" / "bench", "--show-bin-path", env=env).strip()) / "actors"
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as name:
        folder = pathlib.Path(name)
        make_certificates(folder, ["server", "caller"])
        run("erlc", "-o", folder, ROOT / "ops" / "bench.d" / "actors.erl")
        rounds = [(measure_troupe(program, folder, arguments.seconds), measure_erlang(folder, arguments.seconds)) for _ in range(arguments.rounds)]
    show(rounds, arguments.json)


def show(rounds, as_json):
    def median(side, key):
        return statistics.median(one[side][key] for one in rounds)
    row = {key: {"troupe": median(0, key), "erlang": median(1, key), "ratio": statistics.median(a[key] / b[key] for a, b in rounds)}
           for key in ("local_us", "remote_us_p50", "remote_us_p99", "pipelined_per_second")}
    extra = {key: median(0, key) for key in ("direct_us", "bytes_out_per_call", "bytes_in_per_call", "caller_cpu_us_per_call", "coding_share")}
    if as_json:
        print(json.dumps({**row, **extra}))
        return
    for label, key in (("local call, µs", "local_us"), ("remote call p50, µs", "remote_us_p50"), ("remote call p99, µs", "remote_us_p99"), ("64 in flight, calls/s", "pipelined_per_second")):
        print(f"{label:24} troupe {row[key]['troupe']:10.1f}   erlang {row[key]['erlang']:10.1f}   ratio {row[key]['ratio']:5.2f}")
    print(f"an actor held directly: {extra['direct_us']:.2f} µs; {extra['bytes_out_per_call']:.0f} bytes out and {extra['bytes_in_per_call']:.0f} in per call (TLS included); "
          f"{extra['caller_cpu_us_per_call']:.1f} µs of CPU per call at the caller, {extra['coding_share']:.0%} of it coding")
