# timeout: 120
# beside: others
"""Runs every snippet of the documents that is marked with `<!-- run -->`, as a reader would: against a running node."""
import os
import pathlib
import re
import subprocess

from _cluster import BUILD, ROOT, Cluster

SNIPPET = re.compile(r"<!-- run -->\n```sh\n(.*?)```", re.S)


def documents():
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name}: {target} is not there"


def main():
    ran = 0
    with Cluster({"n1": ["edge", "room", "recorder"]}) as cluster:
        work = cluster.folder / "reader"
        work.mkdir()
        (work / "Topology").symlink_to(ROOT / "Topology")
        environment = {**os.environ, "NODE": cluster["n1"].url, "CA": str(cluster.folder / "ca" / "ca.pem"), "TOPOLOGY": str(cluster.topology), "PATH": f"{BUILD}:{os.environ['PATH']}"}
        for document in documents():
            links_lead_somewhere(document)
            for snippet in SNIPPET.findall(document.read_text()):
                run = subprocess.run(["bash", "-euc", snippet], cwd=work, env=environment, capture_output=True, text=True, timeout=60)
                assert run.returncode == 0, f"{document.relative_to(ROOT)}:\n{snippet}\n{run.stdout}{run.stderr}"
                ran += 1
    assert ran >= 2, ran
    print(f"{ran} snippets of {len(documents())} documents run")


main()
