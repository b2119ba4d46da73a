"""What holds for every verb: help, common options, errors in sentences, nothing loaded that is not used."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import captain
from captain.commands import VERBS
from captain.commands.shared.group import verbs
from captain.diagnostics import ExitCode
from tests.commands.conftest import Captain
from tests.shop import Shop

HEAVY = ("textual", "docker", "git", "httpx")


def test_every_verb_of_the_table_is_a_file_with_a_command_and_its_help(captain_says: Captain) -> None:
    listed = captain_says("--help").out
    for name, sentence in VERBS.items():
        assert f"  {name} " in listed
        assert sentence.split(".")[0][:30] in " ".join(listed.split())
        said = captain_says(name, "--help")
        assert said.code == 0, name
        assert "--log PATH" in said.out, f"{name} takes the common options"
    assert "Exit codes: 0 go" in listed


def test_every_option_says_what_it_does() -> None:
    for name in VERBS:
        command = importlib.import_module(f"captain.commands.{name}").command
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


def test_verbs_are_listed_without_importing_one() -> None:
    code = (
        "import sys; from captain.__main__ import main; main(['--help']); "
        "loaded = [name for name in sys.modules if name.startswith('captain.')]; "
        "assert set(loaded) <= {'captain.commands', 'captain.__main__', 'captain.diagnostics', "
        "'captain.commands.shared', 'captain.commands.shared.group', 'captain.commands.shared.options'}, loaded"
    )
    assert fresh(code).returncode == 0, fresh(code).stderr


def fresh(code: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own."""
    root = Path(captain.__file__).parent.parent
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=cwd or root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "also"),
    [
        (["--help"], ("pydantic", "sqlite_utils", "asyncio", "rich")),
        (["check", "--help"], ("pydantic", "sqlite_utils", "asyncio", "rich")),
        (["lint"], ("sqlite_utils",)),
        (["verify"], ("pydantic",)),
        (["history"], ("pydantic", "asyncio")),
        (["status"], ()),
        (["export", "--format", "jsonl", "-o", "-"], ("pydantic", "asyncio")),
    ],
)
def test_a_verb_loads_nothing_heavy_that_it_does_not_use(
    shop: Shop, captain_says: Captain, words: list[str], also: tuple[str, ...]
) -> None:
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    code = (
        f"import sys; from captain.__main__ import main; code = main({words!r}); "
        f"found = [name for name in {(*HEAVY, *also)!r} if name in sys.modules]; "
        "print(found, file=sys.stderr); sys.exit(9 if found else code)"
    )
    done = fresh(code, shop.root)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("place", ["before", "behind"])
def test_common_options_stand_before_or_behind_the_verb(
    shop: Shop, captain_says: Captain, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "other.sqlite"
    common = ["-C", str(shop.root), "--log", str(log), "--as", "bob@example.com", "-q"]
    verb = ["check", "deploy", "-e", "staging"]
    said = captain_says(*common, *verb) if place == "before" else captain_says(*verb, *common)
    assert said.code == 4
    assert said.err == "", "-q"
    assert log.exists()
    assert not shop.settings.log.exists()
    monkeypatch.setenv("CAPTAIN_LOG", str(log))
    assert captain_says("history", "--kind", "check", "--json").json[0]["by"] == "bob@example.com"


def test_behind_the_verb_wins(shop: Shop, captain_says: Captain, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    captain_says("--log", str(first), "check", "deploy", "-e", "staging", "--log", str(second))
    assert (first.exists(), second.exists()) == (False, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["chekc"], "did you mean check?"),
        (["check"], "Missing argument 'CHECKLIST'"),
        (["check", "deploy", "--fial-on", "warn"], "No such option"),
        (["-C", "/nowhere/at/all", "history"], "-C: cannot go to"),
        (["check", "deploy"], "declared are production, staging"),
        (["check", "deploy", "-e", "stagin"], "did you mean staging?"),
        (["check", "depoly", "-e", "staging"], "deploy"),
        (["run", "deploy", "-r", "1.5.0", "-e", "staging"], "captain check"),
        ([], "captain status"),
        (["sign", "x"], "--approve"),
        (["gate", "x"], "--go"),
        (["resolve", "x"], "--applied"),
        (["run", "deploy", "-r", "1/2", "-e", "staging", "--no-screen"], "is no version"),
        (["run", "deploy", "-e", "staging", "--no-screen"], "-r VERSION"),
        (["run", "deploy", "-r", "1", "-e", "staging", "--no-screen", "--image", "web"], "NAME=REF"),
        (["run", "deploy", "-r", "1", "-e", "staging", "--no-screen", "--image", "web=x"], "no such image"),
    ],
)
def test_what_cannot_be_meant_is_2_with_a_sentence_on_stderr(
    shop: Shop, captain_says: Captain, words: list[str], sentence: str
) -> None:
    said = captain_says(*words)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_every_problem_of_a_file_is_told_at_once(shop: Shop, captain_says: Captain) -> None:
    path = shop.root / "checklists" / "deploy.yaml"
    path.write_text(path.read_text().replace("manual:", "manuel:").replace("status == 200", "statuss == 200"))
    said = captain_says("check", "deploy", "-e", "staging")
    assert said.code == 2
    assert said.err.count("checklists/deploy.yaml:") == 3
    assert "captain: 3 problems in the files" in said.err


@pytest.mark.parametrize("verb", [["act", "roll-out"], ["gate", "pre", "--go"], ["rollback"]])
def test_where_there_is_no_captain_yaml_nothing_is_started(
    shop: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: list[str]
) -> None:
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    monkeypatch.chdir(tmp_path)
    said = captain_says(*verb)
    assert said.code == 2
    assert "no captain.yaml here" in said.err
    noted = captain_says("note", "seen from elsewhere")
    assert noted.code == 0, noted.err


def test_another_services_folder_is_not_acted_from(
    shop: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    (tmp_path / "pay").mkdir()
    (tmp_path / "pay" / "captain.yaml").write_text("service: pay\nenvironments: { staging: {} }\n")
    monkeypatch.chdir(tmp_path / "pay")
    said = captain_says("gate", "shop", "pre", "--go")
    assert said.code == 2
    assert "shop-staging-1.5.0 belongs to shop; this is pay" in said.err


def test_an_error_nobody_foresaw_is_3_in_one_line_and_traced_only_with_debug(
    shop: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        secret = "hunter2"
        raise ZeroDivisionError(f"no {len(secret)}")

    monkeypatch.setattr("captain.commands.shared.runs.rows", broken)
    captain_says("check", "deploy", "-e", "staging")
    said = captain_says("history")
    assert said.code == ExitCode.UNKNOWN
    assert "captain itself failed: ZeroDivisionError: no 7" in said.err
    assert "--debug" in said.err
    assert "Traceback" not in said.err
    traced = captain_says("history", "--debug")
    assert "Traceback" in traced.err
    assert "hunter2'" not in traced.err


def test_row_64_code_in_the_working_directory_is_not_run(shop: Shop) -> None:
    for name in ("click", "yaml", "captain_plugin", "sitecustomize2", "junitparser"):
        (shop.root / f"{name}.py").write_text("raise SystemExit('code of the repository ran')")
    root = Path(captain.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "captain", "check", "deploy", "-e", "staging", "--no-manual", "--format", "junit"],
        cwd=shop.root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "code of the repository ran" not in done.stderr


def test_outside_text_cannot_move_the_cursor(shop: Shop, captain_says: Captain) -> None:
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    captain_says("--as", "eve\x1b[2J", "note", "look \x1b[31mred\x1b[0m \u202eevil")
    captain_says("sign", "on-call-told", "--reject", "--note", "\x9b2Jgone")
    for words in (["show"], ["status"], ["history"], ["verify"]):
        said = captain_says(*words)
        assert not set(said.out + said.err) & {"\x1b", "\x9b", "\u202e"}


def test_the_group_completes_verbs_and_options() -> None:
    context = click.Context(verbs, info_name="captain")
    assert [one.value for one in verbs.shell_complete(context, "ro")] == ["rollback"]
    assert "--no-input" in [one.value for one in verbs.shell_complete(context, "--no")]
