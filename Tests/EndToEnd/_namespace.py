"""A network namespace of the test's own: real firewalls without touching the machine's."""
import os
import subprocess
import sys


def enter():
    """Starts this program again inside a fresh namespace with only `lo`; returns there. Skips where that is not allowed."""
    if os.environ.get("TROUPE_NAMESPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # Firefox gathers no candidates without a default route.
        subprocess.run(["ip", "route", "add", "default", "dev", "lo", "src", "127.0.0.1"], check=False)
        return
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        print("this machine does not allow network namespaces")
        sys.exit(77)
    os.execvpe("unshare", ["unshare", "-n", sys.executable, "-u", *sys.argv], {**os.environ, "TROUPE_NAMESPACE": "1"})


def nft(*words):
    subprocess.run(["nft", *words], check=True, capture_output=True, text=True)


def drop_udp(port):
    """From now on every datagram to `port` is lost."""
    nft("add", "table", "ip", "test")
    nft("add", "chain", "ip", "test", "in", "{ type filter hook input priority 0 ; }")
    nft("add", "rule", "ip", "test", "in", "udp", "dport", str(port), "drop")


def heal():
    nft("delete", "table", "ip", "test")
