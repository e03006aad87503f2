# timeout: 240
# beside: others
"""Two seeds of `ops/chaos recording` side by side: the object store is cut off; the recorder is killed, then the room's node loses power."""
import os
import shutil
import signal
import subprocess
import sys

from _cluster import BUILD, ROOT

SEEDS = (4, 10)
NAMESPACE = f"tc{os.getpid()}-probe"


def obstacle():
    """Why this machine cannot run it; None where it can."""
    if os.getuid() != 0:
        return "needs root: it makes network namespaces"
    for program in ("ip", "iptables"):
        if not shutil.which(program):
            return f"needs `{program}`"
    probes = (["ip", "netns", "add", NAMESPACE], ["ip", "-n", NAMESPACE, "link", "add", "br0", "type", "bridge"],
              ["ip", "netns", "exec", NAMESPACE, "iptables", "-w", "-I", "INPUT", "-i", "br0", "-j", "DROP"], ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
    try:
        for probe in probes:
            done = subprocess.run(probe, capture_output=True, text=True)
            if done.returncode != 0:
                return f"this machine does not allow `{' '.join(probe)}`: {done.stderr.strip()[-200:]}"
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True)
    return None


def main():
    # What runs is taken down with this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reason = obstacle()
    if reason:
        print(reason)
        sys.exit(77)
    runs = []
    try:
        for seed in SEEDS:
            words = [ROOT / "ops" / "chaos", "recording", "--seed", str(seed), "--clients", "2", "--quick", "--no-build"]
            runs.append(subprocess.Popen(words, env={**os.environ, "TROUPE_BUILD": str(BUILD)}, stdout=subprocess.PIPE, text=True))
        told = [run.communicate()[0] for run in runs]
    finally:
        for run in runs:
            if run.poll() is None:
                run.terminate()
                run.wait()
    print(*told, sep="\n")
    failed = [seed for seed, run in zip(SEEDS, runs) if run.returncode != 0]
    assert not failed, f"seeds {failed} of `ops/chaos recording --clients 2`"
    print("; ".join(text.split("\n", 1)[0].removeprefix("recording, ").removesuffix(": passed") for text in told))


main()
