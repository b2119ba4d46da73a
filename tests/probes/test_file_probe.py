"""What the file probe observes, and what it refuses to look at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes import Context, probes
from captain.probes.file import FileProbe
from captain.threads import on_daemon

SECRET = "ghp_0123456789abcdef"
"""A declared secret that is set."""
Ask = Callable[..., Awaitable[Measurement]]
NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


@pytest.fixture
def ask(root: Path) -> Ask:
    async def asked(path: str, **keys: Any) -> Measurement:
        context = Context(
            root=root,
            repo=None,
            timeout=timedelta(seconds=10),
            environ={},
            secrets={"TOKEN": SECRET},
            blocking=on_daemon,
            clock=Noon(),
        )
        return await FileProbe.model_validate({"path": path, **keys}).measure(context)

    return asked


def write(path: Path, data: bytes, *, hours_old: float = 1) -> None:
    path.write_bytes(data)
    path.chmod(0o600)
    moment = NOW.timestamp() - hours_old * 3600
    os.utime(path, (moment, moment))


async def test_a_file_is_observed(ask: Ask, root: Path) -> None:
    write(root / "VERSION", b"1.4.0\nstable", hours_old=2)
    seen = await ask("VERSION")
    assert seen.observed == {
        "exists": True,
        "size": 12,
        "age": timedelta(hours=2),
        "modified": NOW - timedelta(hours=2),
        "mode": "0600",
        "sha256": hashlib.sha256(b"1.4.0\nstable").hexdigest(),
        "lines": 2,
    }
    assert (seen.asked, seen.body) == ("file VERSION", None)


async def test_a_missing_file_is_an_answer(ask: Ask, root: Path) -> None:
    write(root / "VERSION", b"")
    for path in ("missing", "VERSION/below", "no/such/folder"):
        assert (await ask(path)).observed == {"exists": False}
    (root / "dangling").symlink_to("nowhere")
    assert (await ask("dangling")).observed == {"exists": False}


async def test_content_is_observed_where_it_is_asked_for(ask: Ask, root: Path) -> None:
    write(root / "notes.md", "# 1.4.0 grün\n".encode())
    write(root / "report.json", b'{"tests": 12}')
    seen = await ask("notes.md", parse="text")
    assert (seen.observed["text"], seen.body, seen.observed["lines"]) == ("# 1.4.0 grün\n", "# 1.4.0 grün\n", 1)
    assert (await ask("report.json", parse="json")).observed["json"] == {"tests": 12}


async def test_json_that_is_none_is_left_out_with_a_note(ask: Ask, root: Path) -> None:
    write(root / "report.json", b'{"tests": NaN}')
    seen = await ask("report.json", parse="json")
    assert "json" not in seen.observed
    assert "not JSON" in seen.notes[0]


async def test_a_large_file_is_bounded(ask: Ask, root: Path) -> None:
    write(root / "big", b"[" + b"x" * (1 << 20))
    for parse in ("none", "text", "json"):
        seen = await ask("big", parse=parse)
        assert seen.observed["size"] == (1 << 20) + 1
        assert not {"sha256", "lines", "json"} & set(seen.observed)
        assert seen.truncated
        assert len(str(seen.observed.get("text", ""))) <= 65536
    assert "larger than 1 MiB" in seen.notes[0]


async def test_row_12_only_regular_files_are_opened(ask: Ask, root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    (root / "device").symlink_to("/dev/zero")
    for path, what in (("pipe", "no regular file"), ("folder", "a folder"), ("device", "no regular file")):
        with pytest.raises(ProbeError, match=what) as caught:
            await ask(path)
        assert caught.value.fault == "instrument"


@pytest.mark.parametrize("how", ["absolute", "above", "link", "folder link"])
async def test_row_12_content_outside_the_repository_stays_outside(ask: Ask, root: Path, how: str) -> None:
    secret = root.parent / "id_ed25519"
    write(secret, b"PRIVATE KEY")
    (root / "link").symlink_to(secret)
    (root / "folder").symlink_to(root.parent)
    path = {"absolute": str(secret), "above": "../id_ed25519", "link": "link", "folder link": "folder/id_ed25519"}[how]
    assert (await ask(path)).observed["size"] == 11
    for parse in ("text", "json"):
        with pytest.raises(ProbeError, match="lies outside"):
            await ask(path, parse=parse)


async def test_an_unreadable_file_is_unknown(ask: Ask, root: Path) -> None:
    write(root / "closed", b"x")
    (root / "closed").chmod(0)
    me = os.geteuid()
    if me == 0:
        # root reads everything, so somebody else asks.
        os.seteuid(65534)
    try:
        with pytest.raises(ProbeError, match="permission denied"):
            await ask("closed")
    finally:
        os.seteuid(me)


async def test_a_name_that_cannot_be_is_said(ask: Ask) -> None:
    for path in ("a\0b", "x" * 5000):
        with pytest.raises(ProbeError):
            await ask(path)


def test_the_kind_is_found_by_name_and_its_example_is_a_step() -> None:
    assert probes.find("file") is FileProbe
    FileProbe.model_validate(yaml.safe_load(FileProbe.example)["file"])


async def test_a_secret_on_the_cut_of_a_long_file_leaves_no_half_of_it(ask: Ask, root: Path) -> None:
    write(root / "log", b"x" * 65530 + SECRET.encode() + b"y" * 100)
    seen = await ask("log", parse="text")
    assert seen.observed["text"] == seen.body == "x" * 65530
    assert seen.truncated
