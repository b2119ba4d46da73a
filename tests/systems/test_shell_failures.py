"""What captain says a failing command does to a script is what bash does with it."""

from __future__ import annotations

import os
import random
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from captain.systems.ci.shell_lines import Shell, commands, meant, read_lines, read_shell, soft
from captain.systems.patterns import finder

SHELLS = ["bash -e {0}", "bash --noprofile --norc -eo pipefail {0}", "bash {0}", "bash -u {0}"]
"""GitHub's own, the one that `shell: bash` names, and two that people write themselves."""


CALL = re.compile(r"\bf\b")


@dataclass(frozen=True)
class Bench:
    """A folder of programs in which `pytest` fails, and leaves word that it ran, and everything else succeeds."""

    folder: Path

    def run(self, script: str, shell: str) -> tuple[int, bool]:
        """How the script ends, and whether pytest ran its tests."""
        (self.folder / "script").write_text(script)
        (self.folder / "ran").unlink(missing_ok=True)
        done = subprocess.run(
            [str(self.folder / "script") if word == "{0}" else word for word in shell.split()],
            cwd=self.folder,
            env={"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "RAN": str(self.folder / "ran")},
            capture_output=True,
            timeout=10,
            check=False,
        )
        return done.returncode, (self.folder / "ran").exists()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    programs = {
        "pytest": 'case $* in *--version*|*--collect-only*) exit 0;; esac; echo x >> "$RAN"; exit 1',
        "python": '[ "$1" = -m ] && { shift; exec "$@"; }; exit 0',
        **dict.fromkeys(("npx", "sudo"), 'exec "$@"'),
        **dict.fromkeys(("pip", "ok", "make"), "exit 0"),
    }
    (folder / "bin").mkdir()
    for name, body in programs.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / "bin" / name).chmod(0o755)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return Bench(folder)


def judged(script: str, shell: Shell) -> list[str]:
    """Of every command that is pytest: why its failure changes nothing, empty where it does."""
    find = finder("pytest")
    found = []
    for command in commands(read_lines(script, "ci.yml", 1), shell):
        unclear = meant(command, find)
        if unclear is not None:
            found.append(soft(command, {}) or unclear)
    return found


HARD = [
    "pytest",
    "ok\npytest\nok",
    "cd . && pytest\nok",
    "pytest || exit",
    "pytest || exit 1",
    "pytest || exit $?",
    "pytest || { exit; }",
    "pytest || { echo no; exit 1; }",
    "pytest || { rc=$?; echo no; exit $rc; }",
    'pytest || { rc=$?; echo no; exit "${rc}"; }',
    "pytest || (echo no; exit 3)",
    "pytest || false",
    "pytest ||\n  exit 1",
    "ok | pytest",
    "(ok; pytest)\nok",
    "{ pytest; ok; }\nok",
    "if ok; then pytest; fi\nok",
    "for one in 1 2; do pytest; done\nok",
    "case x in a|b) ok;; *) pytest;; esac\nok",
    "OUT=$(pytest)\nok",
    "OUT=`pytest`\nok",
    "set +e\nset -e\npytest\nok",
    "set +e\npytest",
    "(set +e)\npytest\nok",
    "[[ -f pytest.ini && ! -f x ]] && pytest\nok",
    "A=1 pytest -k 'a || true' # || true\nok",
    "env A=1 python -m pytest\nok",
    "npx sudo pytest\nok",
    "time pytest\nok",
    "exec pytest\nok",
    "bash -c 'pytest'\nok",
    'bash -ec "pytest; ok"\nok',
    "eval 'pytest'\nok",
    "pytest \\\n  -q\nok",
    "trap 'echo bye' EXIT\npytest\nok",
    "trap 'exit 1' ERR\npytest\nok",
    "cat <<EOF\nit's ok\nEOF\npytest\nok",
    "f() { ok; }\nf\npytest",
    "set -x; pytest; ok",
    "pytest 2>&1 >out\nok",
    "ok & pytest\nok",
    "echo pytest; pytest\nok",
]
SOFT = [
    "if pytest; then ok; fi",
    "if ! pytest; then echo failed; fi",
    "if ok && pytest; then ok; else ok; fi",
    "while pytest; do ok; done",
    "until ! pytest; do ok; done",
    "! pytest",
    "pytest &",
    "pytest & wait",
    'echo "$(pytest)"',
    "export OUT=$(pytest)",
    "OUT=$(pytest; ok)",
    "cat <(pytest)",
    "pytest || python notify.py",
    "pytest || true",
    "pytest || exit 0",
    "pytest || exit 256",
    "pytest || { echo no; exit; }",
    "pytest || { rc=$?; rc=0; exit $rc; }",
    "pytest || { echo no; rc=$?; exit $rc; }",
    "pytest || { ok && exit 0; exit 1; }",
    "pytest ||\n  true",
    "pytest || ok || exit 1",
    "pytest && ok\nok",
    "pytest && ok || ok",
    "(pytest; ok) || ok",
    "{ pytest; ok; } && ok",
    "{ pytest; exit 0; } || exit 1",
    "set +e; pytest; echo x",
    "if ok; then set +e; fi\npytest\nok",
    "trap 'exit 0' ERR\npytest",
    "trap 'ok; exit 0' EXIT\npytest\nok",
    "bye() { exit 0; }\ntrap bye EXIT\npytest",
    "trap -- 'exec true' EXIT\npytest",
    "pytest() { :; }\npytest",
    "bash -c 'pytest; ok'\nok",
    "eval 'pytest || ok'",
    "f() { pytest; }\nf || ok",
    "pytest | ok &\nok",
    "set +e\nfor one in 1 2; do pytest; ok; done",
]
ABSENT = [
    "pip install pytest mypy",
    "python -m pip install pytest",
    "sudo pip install pytest",
    "cat pytest.ini",
    "pytest --version",
    "pytest --collect-only",
    "python -m pytest --version",
    "cat <<EOF\npytest\nEOF",
    "cat <<-'EOF' && ok\n\tpytest\n\tEOF\nok",
    "echo pytest",
    "printf '%s' pytest | cat",
    "ok # pytest",
    "exit 0\npytest",
    "exec ok\npytest",
    "false && pytest",
    "true || pytest",
    "if false; then pytest; fi",
    "if true; then ok; else pytest; fi",
    "command -v pytest",
    "test -f pytest.ini",
    "[ -d tests/pytest ]",
    "make --version pytest",
    'echo "\npytest\n"',
]


@pytest.mark.parametrize("script", HARD)
def test_a_failure_that_ends_the_script_is_known_to(bench: Bench, script: str) -> None:
    assert bench.run(script, SHELLS[0]) != (0, True)
    assert bench.run(script, SHELLS[0])[1]
    assert judged(script, read_shell("")) in ([""], ["", ""])


@pytest.mark.parametrize("script", SOFT)
def test_a_failure_that_changes_nothing_is_never_taken_for_one_that_does(bench: Bench, script: str) -> None:
    assert bench.run(script, SHELLS[0])[0] == 0 or "until" in script or "exit 1" in script
    assert [why for why in judged(script, read_shell("")) if why]


@pytest.mark.parametrize("script", ABSENT)
def test_what_is_named_and_not_run_is_not_found(bench: Bench, script: str) -> None:
    assert not bench.run(script, SHELLS[0])[1]
    assert judged(script, read_shell("")) == []


@pytest.mark.parametrize("script", [*HARD, *SOFT, *ABSENT])
@pytest.mark.parametrize("shell", SHELLS[1:])
def test_in_no_shell_is_more_said_than_is_so(bench: Bench, script: str, shell: str) -> None:
    why = judged(script, read_shell(shell))
    if why and not any(why):
        code, ran = bench.run(script, shell)
        assert code and ran


class Writer:
    """Writes scripts at random of everything that decides what a failure comes to."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def sequence(self, depth: int) -> str:
        lines = [self.chain(depth) for _ in range(self.random.randint(1, 3))]
        return "".join(line + self.random.choice(("\n", "\n", "; ")) for line in lines)

    def chain(self, depth: int) -> str:
        parts = [self.pipeline(depth)]
        for _ in range(self.random.choice((0, 0, 0, 1, 1, 2))):
            parts += [self.random.choice(("&&", "||")), self.pipeline(depth)]
        return " ".join(parts)

    def pipeline(self, depth: int) -> str:
        parts = [self.command(depth) for _ in range(self.random.choice((1, 1, 1, 1, 2)))]
        return self.random.choice(("", "", "", "", "", "! ")) + " | ".join(parts)

    def command(self, depth: int) -> str:
        if depth and self.random.random() < 0.4:
            inner = self.sequence(depth - 1)
            shapes = (
                f"({inner})",
                f"{{ {inner} }}",
                f"if {self.chain(0)}; then {inner} fi",
                f"if ok; then {inner} else {self.sequence(0)} fi",
                f"for one in 1; do {inner} done",
                f"case a in a) {inner} ;; esac",
                f"OUT=$({inner})",
                f"echo $({inner})",
                # Not one that calls itself.
                f"f() {{ {CALL.sub('ok', inner)} }}",
                f"eval '{inner}'" if "'" not in inner else "ok",
                f"bash -ec '{inner}'" if "'" not in inner else "ok",
            )
            return self.random.choice(shapes)
        simple = (
            "pytest",
            "pytest",
            "pytest",
            "ok",
            "ok",
            "ok",
            "true",
            "false",
            "set +e",
            "set -e",
            "exit 1",
            "exit 0",
        )
        return self.random.choice((*simple, "exit", "rc=$?", "exit $rc", "set -o pipefail", "f", "trap 'exit 0' EXIT"))


def test_of_scripts_written_at_random_nothing_is_said_that_bash_does_otherwise(bench: Bench) -> None:
    said = 0
    for seed in range(int(os.environ.get("CAPTAIN_TEST_SCRIPTS", "2500"))):
        script, shell = Writer(seed).sequence(2), SHELLS[seed % len(SHELLS)]
        why = judged(script, read_shell(shell))
        if why and not any(why):
            said += 1
            code, ran = bench.run(script, shell)
            # Conditions are taken to hold, so a command may not have run.
            assert code or not ran, (seed, shell, script)
    assert said > 50
