"""Who signed a tag of git: checked with ssh-keygen or gpg, never through settings of the repository. No verdict.

git itself would start whatever `gpg.program` of the repository's config names, and says by its exit code only that a
tag is not good: unsigned, signed by a stranger and not checkable are one and the same to it.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from captain.effects.program import Finished, probe_environ, run_program
from captain.errors import ProgramError
from captain.safe import safe
from captain.systems.git.program import Git, decoded

State = Literal["good", "bad", "unsigned", "unknown", "none"]

_PRINCIPALS = 10
_BEGIN = re.compile(rb"^-----BEGIN (SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----$", re.MULTILINE)
_TAGGER = re.compile(r"^tagger .*> (\d{1,11}) [+-]\d{4}$", re.MULTILINE)
_NAME = re.compile(r"^tag (.*)$", re.MULTILINE)
_BAD = re.compile(r"^\[GNUPG:\] (BADSIG|EXPSIG|EXPKEYSIG|REVKEYSIG) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Signature:
    """What is known about the signature of a tag."""

    state: State
    """good: by a key that counts; bad: it does not fit, or its key does not count; unknown: it cannot be checked."""
    note: str = ""


async def signature(git: Git, tag: str, allowed_signers: Path | None) -> Signature:
    """Check the tag of that name. `allowed_signers` says which SSH keys count; PGP keys are those of the user."""
    ref = f"refs/tags/{tag}"
    if await git.text("cat-file", "-t", ref) != "tag":
        return Signature("unsigned", f"{safe(tag, 80)} is a lightweight tag, which nobody can sign")
    data = (await git.run("cat-file", "tag", ref)).stdout
    begins = list(_BEGIN.finditer(data))
    if not begins:
        return Signature("unsigned")
    payload, signed = data[: begins[-1].start()], data[begins[-1].start() :]
    head = decoded(payload).partition("\n\n")[0]
    named = _NAME.search(head)
    if named is None or named[1] != tag:
        # A good signature of another tag, moved under this name.
        return Signature("bad", f"the tag {safe(tag, 80)} was signed as {safe(named[1] if named else '?', 80)}")
    with tempfile.TemporaryDirectory(prefix="captain-") as folder:
        file = Path(folder) / "signature"
        file.write_bytes(signed)
        if begins[-1][1] == b"SSH SIGNATURE":
            return await _ssh(git, payload, file, head, allowed_signers)
        if begins[-1][1].startswith(b"PGP"):
            return await _pgp(git, payload, file)
    return Signature("unknown", "the tag is signed with X.509, which captain does not check")


async def _ssh(git: Git, payload: bytes, file: Path, head: str, allowed_signers: Path | None) -> Signature:
    if allowed_signers is None:
        return Signature("unknown", "the tag is signed with an SSH key; say with `allowed_signers` which keys count")
    if not allowed_signers.is_file():
        return Signature("unknown", f"allowed_signers: no file {safe(allowed_signers, 200)}")
    tagger = _TAGGER.search(head)
    when = datetime.fromtimestamp(int(tagger[1]), UTC) if tagger else datetime.now(UTC)
    common = ["-f", str(allowed_signers), "-s", str(file), f"-Overify-time={when:%Y%m%d%H%M%S}"]
    found = await _run(git, ["ssh-keygen", "-Y", "find-principals", *common], b"")
    if isinstance(found, Signature):
        return found
    principals = decoded(found.stdout).splitlines() if found.exit_code == 0 else []
    for principal in principals[:_PRINCIPALS]:
        done = await _run(git, ["ssh-keygen", "-Y", "verify", "-n", "git", "-I", principal, *common], payload)
        if isinstance(done, Signature):
            return done
        if done.exit_code == 0:
            return Signature("good", f"signed by {safe(principal, 120)}")
    if principals:
        return Signature("bad", "the signature does not fit the tag")
    return Signature("bad", "signed with a key that allowed_signers does not hold, or no longer")


async def _pgp(git: Git, payload: bytes, file: Path) -> Signature:
    home = Path(git.environ.get("GNUPGHOME") or Path(git.environ.get("HOME", "/nonexistent")) / ".gnupg")
    # Without one gpg would make a key ring, and a probe leaves nothing behind.
    if not any((home / name).exists() for name in ("pubring.kbx", "pubring.gpg", "public-keys.d")):
        return Signature("unknown", "the tag is signed with PGP, and there is no key ring to check it with")
    options = ["--batch", "--no-tty", "--lock-never", "--no-auto-key-retrieve", "--trust-model", "always"]
    argv = ["gpg", "--homedir", str(home), *options, "--status-fd", "1", "--verify", "--", str(file), "-"]
    done = await _run(git, argv, payload)
    if isinstance(done, Signature):
        return done
    said = decoded(done.stdout)
    if _BAD.search(said):
        return Signature("bad", "the PGP signature does not fit the tag, or it or its key is expired or revoked")
    if done.exit_code == 0 and re.search(r"^\[GNUPG:\] GOODSIG ", said, re.MULTILINE):
        return Signature("good")
    return Signature("unknown", "the key that signed the tag is not in the key ring of gpg")


async def _run(git: Git, argv: list[str], payload: bytes) -> Finished | Signature:
    env = {
        **{name: value for name, value in probe_environ(git.environ).items() if not name.startswith("DOCKER_")},
        "LC_ALL": "C",
        "TZ": "UTC",
    }
    try:
        done = await run_program(argv, cwd=Path("/"), env=env, timeout=git.left(), stdin=payload)
    except ProgramError as error:
        return Signature("unknown", f"the signature cannot be checked: {error.message}")
    return Signature("unknown", f"the signature was not checked in time by {argv[0]}") if done.timed_out else done
