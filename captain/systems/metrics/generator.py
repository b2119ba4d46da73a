"""Starts the process that sends a burst of requests, and reads what it says. Knows no probe and no verdict."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import captain
from captain.effects.environ import probe_environ
from captain.effects.program import run_program
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.metrics.load import Summary

START = timedelta(seconds=2)
"""What starting the process may take."""
# captain's own folder comes before what is installed, and after the standard library.
_PROGRAM = (
    "import sys\n"
    "at = next((i for i, p in enumerate(sys.path) if p.endswith(('site-packages', 'dist-packages'))), len(sys.path))\n"
    "sys.path.insert(at, sys.argv[1])\n"
    "from captain.systems.metrics.burst import main\n"
    "main()\n"
)
_PACKAGE_ROOT = Path(captain.__file__).parent.parent


async def burst(plan: Mapping[str, Any], *, cwd: Path, environ: Mapping[str, str], timeout: timedelta) -> Summary:
    """Send it, and wait. Ends at once when cancelled. Raises ProbeError, fault `instrument`."""
    # The plan goes through stdin: arguments of a process are for everybody on the machine to read.
    done = await run_program(
        [sys.executable, "-I", "-c", _PROGRAM, str(_PACKAGE_ROOT)],
        cwd=cwd,
        env=probe_environ(environ),
        timeout=timeout,
        stdin=json.dumps(plan).encode(),
    )
    if done.timed_out:
        raise ProbeError(f"load: the requests were not over within {timeout.total_seconds():g}s")
    try:
        said = json.loads(done.stdout)
        if "error" in said:
            raise ProbeError(f"load: {safe(said['error'], 300)}")
        return Summary(**said["summary"])
    except (ValueError, TypeError, KeyError) as error:
        last = safe(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2], 200)
        raise ProbeError(f"load: the sending process ended without a result: {last or done.signal}") from error
