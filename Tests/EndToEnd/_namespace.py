"""A network namespace of the test's own: real firewalls without touching the machine's."""
import os
import subprocess
import sys


def enter(required=True):
    """Starts this program again inside a fresh namespace with only `lo`, and gives True there. Where that is not allowed: skips, or gives False."""
    if os.environ.get("TROUPE_NAMESPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # Firefox gathers no candidates without a default route.
        subprocess.run(["ip", "route", "add", "default", "dev", "lo", "src", "127.0.0.1"], check=False)
        return True
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        if not required:
            return False
        print("this machine does not allow network namespaces")
        sys.exit(77)
    os.execvpe("unshare", ["unshare", "-n", sys.executable, "-u", *sys.argv], {**os.environ, "TROUPE_NAMESPACE": "1"})


def nft(*words):
    subprocess.run(["nft", *words], check=True, capture_output=True, text=True)


def drop_udp(port, one_of=None):
    """From now on every datagram to `port` is lost; with `one_of`, each so-manieth."""
    which = ["numgen", "inc", "mod", str(one_of), "==", "0"] if one_of else []
    nft("add", "table", "ip", "test")
    nft("add", "chain", "ip", "test", "in", "{ type filter hook input priority 0 ; }")
    nft("add", "rule", "ip", "test", "in", "udp", "dport", str(port), *which, "drop")


def heal():
    nft("delete", "table", "ip", "test")
