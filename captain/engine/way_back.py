"""The way back: taken and proved before the deploy section opens, kept in files of mode 0600, read again for R.

Targets hold environment values, so the log gets their digest alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain import trust
from captain.clock import stamp
from captain.engine import locks
from captain.engine.ask import clip
from captain.errors import CaptainError, LogError
from captain.events import Draft
from captain.release import Release

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.rollbacks import Line, RollbackContext, Strategy, Taken

TAKE_TIME = timedelta(seconds=30)
MAX_TARGET = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Way:
    """One part of the way back, as it stands now."""

    id: str
    strategy: str
    taken: Taken


async def look(desk: Desk) -> list[Way]:
    """Prove every part of the way back, without keeping anything."""
    from captain.rollbacks import Strategy, Taken

    ways: list[Way] = []
    for part in desk.target.service.rollback.plan:
        if not isinstance(part, Strategy):
            name = getattr(part, "strategy", "?")
            ways.append(Way(part.id, name, Taken({}, "?", ready=False, why=f"{name}: not in this captain yet")))
            continue
        if desk.untrusted and part.programs():
            ways.append(Way(part.id, part.name, Taken({}, "?", ready=False, why="its commands were not accepted yet")))
            continue
        try:
            async with asyncio.timeout(TAKE_TIME.total_seconds()):
                taken = await part.take(context(desk, "way-back", ""))
        except TimeoutError:
            taken = Taken({}, "?", ready=False, why=f"no answer within {TAKE_TIME.total_seconds():g} s")
        except CaptainError as error:
            taken = Taken({}, "?", ready=False, why=error.message)
        ways.append(Way(part.id, part.name, taken))
    return ways


def verdict(desk: Desk, ways: list[Way]) -> tuple[bool, str]:
    """Whether the way back is ready, else why not."""
    if not ways:
        return False, "captain.yaml has no rollback plan"
    bad = [f"{way.id}: {way.taken.why or 'not ready'}" for way in ways if not way.taken.ready]
    return (not bad, "; ".join(bad))


async def take(desk: Desk) -> tuple[bool, str]:
    """Take the way back, write its files, record the rollback point. False with the reason where it is not ready."""
    ways = await look(desk)
    ready, why = verdict(desk, ways)
    if not ways:
        return ready, why
    if moved := await _moved(desk):
        return False, moved
    targets = [await desk.own(lambda way=way: _keep(desk, way)) for way in ways]  # type: ignore[misc]
    data = {"targets": targets, "trust": desk.trusted}
    await desk.record(Draft("rollback.point", desk.open_run().id, data), check=locks.fenced(desk))
    return ready, why


async def _moved(desk: Desk) -> str | None:
    """Why the release that was to be gone back to is no longer the one that runs."""
    from captain.engine.releases import observed_version

    run = desk.open_run()
    if run.previous is None or run.previous_source != "observed":
        return None
    now = await observed_version(desk, run.release)
    if now is None or now == run.previous.version:
        return None
    return f"{now} runs now, not {run.previous.label} as when this run was opened; abort it and open it anew"


def _keep(desk: Desk, way: Way) -> dict[str, Any]:
    run = desk.open_run()
    release = run.previous or Release()
    document = {
        "format": 1,
        "run": run.id,
        "id": way.id,
        "strategy": way.strategy,
        "taken_at": stamp(desk.clock.now()),
        "release": release_data(release),
        "target": way.taken.target,
    }
    salt = secrets.token_hex(16)
    path = desk.settings.target(run.id, way.id)
    _write(path, json.dumps({**document, "salt": salt}, ensure_ascii=False, sort_keys=True))
    return {
        "id": way.id,
        "strategy": way.strategy,
        "from": clip(run.release.label, 200),
        "to": clip(desk.mask(way.taken.to), 400),
        "image": None if way.taken.image is None else clip(way.taken.image, 400),
        "env_names": [clip(name, 200) for name in way.taken.env_names],
        "file": str(path.relative_to(desk.settings.state)),
        "file_digest": _digest(document, salt),
        "ready": way.taken.ready,
        "why": None if way.taken.why is None else clip(desk.mask(way.taken.why)),
    }


def _digest(document: Mapping[str, Any], salt: str) -> str:
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(bytes.fromhex(salt) + text.encode("utf-8", "surrogatepass")).hexdigest()


def _write(path: Path, text: str) -> None:
    try:
        # mode holds for the last folder alone, and every one on the way down holds what is nobody else's.
        for folder in reversed([path.parent, *path.parent.parents][:2]):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise LogError(f"the way back cannot be kept in {path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Kept:
    """One part of the recorded way back."""

    part: Strategy
    point: Mapping[str, Any]
    target: Mapping[str, Any] | None
    """None where the file is gone or was changed."""
    why: str | None = None
    """Why it is not ready."""


def kept(desk: Desk) -> list[Kept]:
    """The recorded parts in the order of the plan, their files read and held against the log's digests."""
    from captain.rollbacks import Strategy

    run = desk.open_run()
    if run.point is None:
        return []
    parts = {part.id: part for part in desk.target.service.rollback.plan if isinstance(part, Strategy)}
    found: list[Kept] = []
    for point in run.point.data["targets"]:
        part = parts.get(point["id"])
        if part is None or part.name != point["strategy"]:
            continue
        target, why = _read(desk, run.id, point)
        found.append(Kept(part, point, target, why if point["ready"] or target is None else point["why"]))
    return found


def _read(desk: Desk, run_id: str, point: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str | None]:
    path = desk.settings.target(run_id, point["id"])
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            raw = json.loads(file.read(MAX_TARGET))
        salt = raw.pop("salt")
        if _digest(raw, salt) != point["file_digest"]:
            return None, f"its file {path} was changed since it was taken"
        return raw["target"], None
    except FileNotFoundError:
        return None, f"its file {path} is gone"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return None, f"its file {path} cannot be read: {error}"


def other_commands(desk: Desk) -> bool:
    """Whether the files' commands or scripts are others than those that were accepted when the way back was taken."""
    point = desk.open_run().point
    if point is None:
        return False
    asked = trust.request(desk.target)
    return bool(point.data["trust"] != (None if asked is None else asked.digest))


def unaccepted(desk: Desk, part: Strategy) -> Line | None:
    """What a person must know before commands are started that nobody accepted as they are now."""
    from captain.rollbacks import Line

    programs = part.programs()
    if not programs:
        return None
    # Only a person can tell whether the way back is still one: it is said, never refused, never asked.
    roots = [(desk.root / ("." if "${{" in one.cwd else one.cwd), one) for one in programs]
    names = [text for root, one in roots for text in one.argv if _is_file(root, text)]
    starts = ", ".join(dict.fromkeys(names)) or programs[0].argv[0]
    return Line(
        "not", f"commands of these files changed since they were accepted; this part starts {clip(starts, 400)}"
    )


def _is_file(root: Path, text: str) -> bool:
    try:
        return not Path(text).is_absolute() and "${{" not in text and (root / text).is_file()
    except (OSError, ValueError):
        return False


def context(desk: Desk, part: str, attempt: str) -> RollbackContext:
    """What a strategy may use: `release` is the one left, `previous` the one gone back to."""
    from captain.engine.attempts import captain_values
    from captain.engine.names import resolve_text
    from captain.rollbacks import RollbackContext

    return RollbackContext(
        root=desk.root,
        environ=desk.environ,
        secrets=desk.secrets,
        blocking=desk.own,
        resolve=lambda text: resolve_text(desk, text),
        values=captain_values(desk, part, attempt),
    )


def release_data(release: Release) -> dict[str, Any]:
    """A release as entries hold it."""
    return {
        "version": release.version,
        "commit": release.commit,
        "images": {
            name: {"ref": one.ref, "pinned": one.pinned, "digest": one.digest, "basis": one.basis}
            for name, one in release.images.items()
        },
    }
