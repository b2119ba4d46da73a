"""Decisions of people on steps, gates and notes: checked, dated, bound to what was seen, recorded."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain.clock import stamp
from captain.engine.ask import clip
from captain.engine.fitting import size
from captain.errors import Refusal, UsageError
from captain.events import Draft
from captain.run import allowed
from captain.run.countersigning import owed
from captain.run.facts import named
from captain.run.signing import asked_for, barred, has_role, may_excuse, may_sign
from captain.run.status import status, unmet

if TYPE_CHECKING:
    from captain.checklist import SignOffRule, Step
    from captain.engine.desk import Desk
    from captain.log.evidence import Evidence

MAX_WAIVER = timedelta(days=30)
MAX_NOTE = 4096
MAX_CONDITIONS = 40 * 1024
"""Bytes of what one waiver names."""
MAX_STORED = 1024 * 1024
EVIDENCE_LIMIT = 16


async def sign(desk: Desk, target: str, meaning: str, note: str, evidence: Sequence[str]) -> None:
    """Approve, reject or call not applicable. A step's sign-off is bound to its definition and what was seen."""
    if meaning not in ("approve", "reject", "not_applicable"):
        raise UsageError(f"{meaning!r} is no sign-off", hint="approve, reject or not_applicable")
    view = desk.view()
    if refusal := allowed.sign(view, target):
        raise refusal
    note = text(desk, note)
    if meaning in ("reject", "not_applicable") and not note:
        raise Refusal("a reason is missing: say why", hint="--note", exit_code=2)
    found = view.step(target)
    if found is None:
        if meaning == "not_applicable":
            raise Refusal("a gate cannot be called not applicable")
        section = view.target.checklist.section(target)
        assert section is not None
        rules = list(section.gate.sign_off)
        definition: str | None = None
        seen: dict[str, Any] | None = None
    else:
        step = found[1]
        now = status(view, step)
        rules = [rule for rule in step.sign_off if asked_for(view, step, rule, now.result)]
        definition = desk.definitions[step.id]
        seen = {"of": now.result.seq if now.result else 0, "verdict": now.verdict.value}
        if step.manual is not None and now.result is None:
            seen = None
        if meaning == "not_applicable" and now.attempt is not None and now.state != "todo":
            raise Refusal(f"{target} was started: measure it, or say what it did")
        if meaning == "not_applicable":
            _may_excuse(desk, step)
        if meaning == "approve" and not step.sign_off and step.manual is None:
            raise Refusal(f"{target} is measured, not signed: nothing there asks for a sign-off")
    files, blobs = gather(desk, evidence)
    mine = [rule for rule in rules if may_sign(view, rule, desk.actor.name)]
    if meaning == "approve":
        _may_approve(desk, rules, mine, files)
    data = {
        "on": "step" if found else "gate",
        "target": target,
        "meaning": meaning,
        "note": note,
        "roles": list(desk.target.service.roles_of(desk.actor.name)),
        "role_checked": bool(desk.target.service.people),
        "definition": definition,
        "seen": seen if meaning == "approve" else None,
        "expires": _expires(desk, mine, meaning),
        "evidence": files,
        "of": None,
    }
    await desk.record(Draft("signoff", view.run.id, data), evidence=blobs)


def _may_excuse(desk: Desk, step: Step) -> None:
    if may_excuse(desk.view(), step, desk.actor.name):
        return
    roles = ", ".join(dict.fromkeys(rule.role for rule in step.sign_off if rule.role))
    asked = f"it asks for {roles}" if roles else "captain.yaml's people do not allow it"
    raise Refusal(f"{desk.actor.name} cannot do away with {step.id}: {asked}", hint="ask somebody who may sign it")


def _may_approve(desk: Desk, rules: list[SignOffRule], mine: list[SignOffRule], files: list[dict[str, Any]]) -> None:
    if rules and not mine:
        why = [
            barred(desk.view(), rule, desk.actor.name) for rule in rules if has_role(desk.view(), rule, desk.actor.name)
        ]
        if found := next((one for one in why if one is not None), None):
            raise Refusal(f"this cannot be signed: {found}", hint="ask somebody else who holds the role")
        roles = ", ".join(rule.role or "another person than the one who started" for rule in rules)
        raise Refusal(f"{desk.actor.name} cannot sign this: it asks for {roles}")
    if mine and all(rule.evidence == "required" for rule in mine) and not files:
        raise Refusal("this sign-off needs evidence: a file, a URL or an earlier entry", hint="--evidence", exit_code=2)


def _expires(desk: Desk, rules: list[SignOffRule], meaning: str) -> str | None:
    """What is done away with in a run that stands comes back, as a waiver would end."""
    if meaning == "not_applicable" and desk.open_run().standing:
        return stamp(desk.clock.now() + MAX_WAIVER)
    if meaning != "approve":
        return None
    valid = [rule.valid_for for rule in rules if rule.valid_for is not None]
    return stamp(desk.clock.now() + min(valid)) if valid else None


async def waive(desk: Desk, step_id: str, reason: str, owner: str, until: datetime) -> None:
    """Let a step stay unmet until a day. It covers what is unmet now and nothing else."""
    view = desk.view()
    step = desk.step(step_id)
    if refusal := allowed.sign(view, step_id):
        raise refusal
    _may_excuse(desk, step)
    reason, owner = text(desk, reason), text(desk, owner)[:200]
    if not reason:
        raise Refusal("a reason is missing: say why", hint="--note", exit_code=2)
    if not owner:
        raise Refusal("an owner is missing: say who puts it right", hint="--owner", exit_code=2)
    now = desk.clock.now()
    if until <= now:
        raise UsageError(f"the waiver would end at {until:%Y-%m-%d %H:%M} UTC, which is past")
    if until > now + MAX_WAIVER + timedelta(days=1):
        raise UsageError("a waiver lasts at most 30 days", hint=f"--until {now + MAX_WAIVER:%Y-%m-%d}")
    found = status(view, step)
    if found.verdict.good and found.counts:
        raise Refusal(f"{step_id} is {found.verdict.value}: there is nothing to waive")
    open_ones = sorted(unmet(step, found.result)) if found.result else list(dict.fromkeys(map(named, step.expect)))
    if size(open_ones) > MAX_CONDITIONS:
        raise Refusal(f"{step_id}: more conditions are unmet than a waiver can name", hint="split the step")
    data = {
        "step": step_id,
        "reason": reason,
        "owner": owner,
        "expires": stamp(until),
        "definition": desk.definitions[step_id],
        "conditions": open_ones,
        "seen": {"of": found.result.seq if found.result else 0, "verdict": found.verdict.value},
        "countersign": owed(view, step, desk.actor.name),
    }
    await desk.record(Draft("waiver", view.run.id, data))


async def countersign(desk: Desk, step_id: str, words: str, evidence: Sequence[str] = ()) -> None:
    """Stand behind another person's waiver of a blocker, or their saying that it does not apply."""
    view = desk.view()
    step = desk.step(step_id)
    if refusal := allowed.countersign(view, step):
        raise refusal
    one = status(view, step).owed
    assert one is not None, "allowed.countersign asked"
    files, blobs = gather(desk, evidence)
    data = {
        "on": "step",
        "target": step_id,
        "meaning": "countersign",
        "note": text(desk, words),
        "roles": list(desk.target.service.roles_of(desk.actor.name)),
        "role_checked": True,
        "definition": desk.definitions[step_id],
        "seen": None,
        "expires": None,
        "evidence": files,
        "of": one.seq,
    }
    await desk.record(Draft("signoff", view.run.id, data), evidence=blobs)


async def withdraw(desk: Desk, seq: int, note: str) -> None:
    """Take back one's own sign-off or waiver."""
    view = desk.view()
    if refusal := allowed.withdraw(view, seq):
        raise refusal
    await desk.record(Draft("signoff.withdraw", view.run.id, {"of": seq, "note": text(desk, note)}))


async def note(desk: Desk, words: str, step_id: str | None, evidence: Sequence[str]) -> None:
    """Add a note to the run or a step; allowed after the run's end too."""
    run = desk.open_run()
    words = text(desk, words)
    if not words:
        raise UsageError("an empty note says nothing")
    if step_id is not None:
        desk.step(step_id)
    files, blobs = gather(desk, evidence)
    await desk.record(Draft("step.note", run.id, {"step": step_id, "text": words, "evidence": files}), evidence=blobs)


def text(desk: Desk, words: str) -> str:
    """What a person typed, as the log may hold it: masked, bounded, without control characters."""
    kept = "".join(char for char in words.replace("\r\n", "\n") if char == "\n" or char.isprintable())
    return clip(desk.mask(kept.strip()), MAX_NOTE)


def gather(desk: Desk, given: Sequence[str]) -> tuple[list[dict[str, Any]], list[Evidence]]:
    """Evidence as an entry names it, and the blobs to store: files to 1 MiB, URLs and entry numbers as text."""
    from captain.log.evidence import Evidence

    files: list[dict[str, Any]] = []
    blobs: list[Evidence] = []
    for one in list(given)[:EVIDENCE_LIMIT]:
        name, media, data, size = _evidence(desk, one.strip())
        if data is None:
            files.append({"name": name, "media": media, "size": size[0], "digest": size[1]})
            continue
        blob = Evidence(media, data)
        blobs.append(blob)
        files.append({"name": name, "media": media, "size": len(data), "digest": blob.digest})
    return files, blobs


def _evidence(desk: Desk, given: str) -> tuple[str, str, bytes | None, tuple[int, str]]:
    if given.startswith(("http://", "https://")):
        shown = text(desk, given)
        return shown, "text/uri-list", shown.encode(), (0, "")
    if given.removeprefix("entry ").isdigit():
        seq = int(given.removeprefix("entry "))
        known = {one.seq for one in desk.open_run().results.values()}
        if seq not in known:
            raise UsageError(f"entry {seq} is no measurement of this run that still stands")
        return f"entry {seq}", "text/plain", f"entry {seq}".encode(), (0, "")
    path = Path(given).expanduser()
    path = path if path.is_absolute() else Path.cwd() / path
    try:
        if not path.is_file():
            raise UsageError(f"evidence {given}: there is no such file", hint="a file, an http(s) URL, or entry N")
        with path.open("rb") as file:
            data = file.read(MAX_STORED + 1)
            if len(data) <= MAX_STORED:
                media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                return clip(path.name), media, desk.masker.mask_bytes(data), (0, "")
            digest = hashlib.sha256(data)
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise UsageError(f"evidence {given} cannot be read: {error.strerror}") from error
    return clip(path.name), "application/octet-stream", None, (path.stat().st_size, digest.hexdigest())
