"""Whether the git probe tells a good signature of a tag from a bad, a stranger's and one that cannot be checked."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.clock import SystemClock
from captain.measurement import Measurement
from captain.probes import Context
from captain.probes.git import GitProbe
from captain.release import Release
from tests.git_repo import ENVIRON, Repo
from tests.requirements import need

Ask = Callable[..., Awaitable[Measurement]]


async def at_once(call: Callable[[], Any], /) -> Any:
    return call()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    need("ssh-keygen", None if shutil.which("ssh-keygen") else "not installed")
    made = Repo(tmp_path / "shop")
    made.commit()
    return made


@pytest.fixture
def ask(repo: Repo, tmp_path: Path) -> Ask:
    async def asked(release: Release | None = None, home: Path | None = None, **keys: Any) -> Measurement:
        context = Context(
            root=repo.path,
            repo=repo.path,
            timeout=timedelta(seconds=30),
            environ={**ENVIRON, "HOME": str(home or tmp_path)},
            secrets={},
            blocking=at_once,
            clock=SystemClock(),
            release=release,
        )
        return await GitProbe(**keys).measure(context)

    return asked


def ssh_key(folder: Path, name: str) -> tuple[Path, str]:
    """A private key, and the line by which it may sign."""
    key = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True, capture_output=True
    )
    return key, f"{name}@example.com {key.with_suffix('.pub').read_text()}"


def signed_tag(repo: Repo, key: Path, name: str = "v1.4.0") -> None:
    repo.git("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "tag", "--sign", "--message", "m", name)


async def test_a_tag_by_an_allowed_signer_is_good(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    key, line = ssh_key(tmp_path, "ann")
    (tmp_path / "signers").write_text(line)
    signed_tag(repo, key)
    seen = await ask(allowed_signers=str(tmp_path / "signers"))
    assert seen.observed["tag_signed"] == "good"
    assert any("ann@example.com" in note for note in seen.notes)


async def test_f24_signed_unsigned_and_no_allowed_signers_are_told_apart_although_git_gives_one_exit_code(
    repo: Repo, ask: Ask, tmp_path: Path
) -> None:
    repo.git("tag", "--annotate", "--message", "m", "v1.0.0")
    assert (await ask()).observed["tag_signed"] == "unsigned"
    key, _ = ssh_key(tmp_path, "ann")
    signed_tag(repo, key)
    codes = [
        subprocess.run(
            ["git", "-c", "gpg.format=ssh", "verify-tag", tag], cwd=repo.path, env=ENVIRON, capture_output=True
        ).returncode
        for tag in ("v1.0.0", "v1.4.0")
    ]
    assert codes == [1, 1]
    seen = await ask()
    assert seen.observed["tag_signed"] == "unknown"
    assert any("allowed_signers" in note for note in seen.notes)
    missing = await ask(allowed_signers="nowhere")
    assert missing.observed["tag_signed"] == "unknown"


async def test_a_strangers_signature_is_bad(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    _, line = ssh_key(tmp_path, "ann")
    stranger, _ = ssh_key(tmp_path, "eve")
    (tmp_path / "signers").write_text(line)
    signed_tag(repo, stranger)
    assert (await ask(allowed_signers=str(tmp_path / "signers"))).observed["tag_signed"] == "bad"


async def test_a_key_that_had_expired_when_it_signed_is_bad(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    key, line = ssh_key(tmp_path, "ann")
    who, _, rest = line.partition(" ")
    (tmp_path / "signers").write_text(f'{who} valid-before="20200101" {rest}')
    signed_tag(repo, key)
    assert (await ask(allowed_signers=str(tmp_path / "signers"))).observed["tag_signed"] == "bad"


def written_again(repo: Repo, old: str, new: str, name: str) -> None:
    """The signed tag v1.4.0 with other words, under `name`."""
    data = subprocess.run(
        ["git", "cat-file", "tag", "v1.4.0"], cwd=repo.path, env=ENVIRON, capture_output=True, check=True
    ).stdout
    made = subprocess.run(
        ["git", "hash-object", "-t", "tag", "-w", "--stdin", "--literally"],
        cwd=repo.path,
        env=ENVIRON,
        input=data.replace(old.encode(), new.encode(), 1),
        capture_output=True,
        check=True,
    )
    repo.git("update-ref", f"refs/tags/{name}", made.stdout.decode().strip())


async def test_a_tag_that_was_changed_after_it_was_signed_is_bad(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    key, line = ssh_key(tmp_path, "ann")
    (tmp_path / "signers").write_text(line)
    signed_tag(repo, key)
    written_again(repo, "\n\nm\n", "\n\nM\n", "v1.4.0")
    assert (await ask(allowed_signers=str(tmp_path / "signers"))).observed["tag_signed"] == "bad"


async def test_a_good_signature_moved_under_another_name_is_bad(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    key, line = ssh_key(tmp_path, "ann")
    (tmp_path / "signers").write_text(line)
    signed_tag(repo, key)
    written_again(repo, "", "", "v9.9.9")
    seen = await ask(allowed_signers=str(tmp_path / "signers"))
    assert (seen.observed["tag"], seen.observed["tag_signed"]) == ("v9.9.9", "bad")
    assert any("was signed as v1.4.0" in note for note in seen.notes)


async def test_the_released_tag_is_judged_where_a_commit_has_several(repo: Repo, ask: Ask, tmp_path: Path) -> None:
    key, line = ssh_key(tmp_path, "ann")
    (tmp_path / "signers").write_text(line)
    signed_tag(repo, key)
    repo.git("tag", "v9.0.0")
    keys = {"allowed_signers": str(tmp_path / "signers")}
    assert (await ask(**keys)).observed["tag_signed"] == "unsigned"
    seen = await ask(release=Release("1.4.0", tag="v1.4.0"), **keys)
    assert (seen.observed["tag"], seen.observed["tag_signed"]) == ("v1.4.0", "good")


async def test_no_tag_is_no_signature(ask: Ask) -> None:
    assert (await ask()).observed["tag_signed"] == "none"


async def test_row_41_the_repositorys_own_signing_programs_and_signers_are_not_used(
    repo: Repo, ask: Ask, tmp_path: Path
) -> None:
    stranger, line = ssh_key(tmp_path, "eve")
    signed_tag(repo, stranger)
    ran = tmp_path / "ran"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{ran}'\necho 'Good \"git\" signature'\n")
    trap.chmod(0o755)
    (tmp_path / "signers").write_text(line)
    for key in ("gpg.program", "gpg.ssh.program", "gpg.x509.program", "gpg.ssh.defaultKeyCommand"):
        repo.git("config", key, str(trap))
    repo.git("config", "gpg.ssh.allowedSignersFile", str(tmp_path / "signers"))
    assert (await ask()).observed["tag_signed"] == "unknown"
    assert not ran.exists()


async def test_a_pgp_tag_is_unknown_without_its_key_good_with_it_and_leaves_nothing_behind(
    repo: Repo, ask: Ask, tmp_path: Path
) -> None:
    need("gpg", None if shutil.which("gpg") else "not installed")
    home = tmp_path / "signer"
    (home / ".gnupg").mkdir(mode=0o700, parents=True)
    environ = {**ENVIRON, "HOME": str(home)}

    def gpg(*arguments: str) -> bytes:
        argv = ["gpg", "--batch", "--passphrase", "", *arguments]
        return subprocess.run(argv, env=environ, check=True, capture_output=True).stdout

    try:
        gpg("--quick-generate-key", "Ann <ann@example.com>", "ed25519", "sign", "never")
        argv = ["git", "-c", "user.signingkey=ann@example.com", "tag", "--sign", "--message", "m", "v1.4.0"]
        subprocess.run(argv, cwd=repo.path, env=environ, check=True, capture_output=True)
        assert (await ask(home=home)).observed["tag_signed"] == "good"
        empty = tmp_path / "nobody"
        empty.mkdir()
        assert (await ask(home=empty)).observed["tag_signed"] == "unknown"
        assert list(empty.iterdir()) == []
        written_again(repo, "\n\nm\n", "\n\nM\n", "v1.4.0")
        assert (await ask(home=home)).observed["tag_signed"] == "bad"
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=environ, check=False, capture_output=True)


async def test_work_in_the_stash_is_counted(repo: Repo, ask: Ask) -> None:
    for text in ("one\n", "two\n"):
        repo.write("shop.py", text)
        repo.git("stash")
    seen = (await ask()).observed
    assert (seen["stash"], seen["dirty"]) == (2, 0)
