"""jsonl: every entry as the log holds it, byte for byte. The authoritative export; hashes can be checked again."""

from __future__ import annotations

from collections.abc import Iterator

from captain.exports import Story, export


@export("jsonl", suffix=".jsonl")
def write(story: Story) -> Iterator[bytes]:
    """One stored body per line."""
    for entry in story.entries:
        yield entry.body.encode("utf-8") + b"\n"
