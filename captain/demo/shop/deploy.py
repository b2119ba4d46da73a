"""Deploys a version of the demo shop: writes its number where the server looks. Slow enough to watch."""

import pathlib
import sys
import time

version = sys.argv[1]
current = pathlib.Path(__file__).resolve().parent.parent / "current"
for line in (f"pulling shop {version}", "starting 2 replicas", "draining the old ones"):
    print(line, flush=True)
    time.sleep(0.5)
beside = current.with_suffix(".new")
beside.write_text(version)
beside.replace(current)
print(f"shop {version} is live", flush=True)
