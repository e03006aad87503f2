"""troupectl against a cluster of the tests."""
import json
import subprocess

from _cluster import BUILD

OK, FAILED, USAGE, UNREACHABLE, TRY_AGAIN = 0, 1, 64, 69, 75


def troupectl(cluster, *arguments, status=OK, topology=None):
    """Runs it; gives what it printed, read as JSON where JSON was asked for."""
    run = subprocess.run([BUILD / "troupectl", "--topology", str(topology or cluster.topology), *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == status, f"troupectl {' '.join(arguments)}: exit {run.returncode}\n{run.stdout}{run.stderr}"
    if status != OK and not run.stdout:
        assert run.stderr.startswith("troupectl: "), run.stderr
    if "--json" in arguments and run.stdout:
        return [json.loads(line) for line in run.stdout.splitlines()][-1]
    return run.stdout + run.stderr
