"""The library for Docker is loaded whole, however many threads begin with it at once."""

from __future__ import annotations

import subprocess
import sys

MANY = """
import threading
from captain.systems.docker.reader import endpoint
from captain.systems.secrets.docker_ignore import read_docker_ignore
from captain.systems.tree_files import Tree
from pathlib import Path
together = threading.Barrier(8)
failed = []

def begin(work):
    together.wait()
    try:
        work()
    except BaseException as error:
        failed.append(repr(error))

works = [lambda: endpoint("unix:///nowhere", {}), lambda: read_docker_ignore(Tree(Path(".")), ".", None, 1e12)] * 4
threads = [threading.Thread(target=begin, args=(work,)) for work in works]
[one.start() for one in threads]
[one.join() for one in threads]
print(failed)
"""


def test_threads_that_begin_at_once_all_find_it_whole() -> None:
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
