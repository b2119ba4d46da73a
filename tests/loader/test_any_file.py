"""Whatever is written into the files, the answer is a Target or problems, never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from captain.errors import CaptainError
from captain.loader import lint, load

EXAMPLES = Path(__file__).resolve().parent.parent / "data" / "examples"
FILES = {
    "captain.yaml": (EXAMPLES / "captain.yaml").read_text(),
    "checklists/deploy.yaml": (EXAMPLES / "deploy.yaml").read_text(),
    "checklists/readiness.yaml": (EXAMPLES / "readiness.yaml").read_text(),
}
PIECES = [
    *"{}[]:,-'\"|>&*!#? \n",
    "  ",
    "\n  ",
    "expect: ",
    "${{ ",
    "}}",
    "[]",
    "{}",
    ": ",
    "- ",
    "id: ",
    "when: ",
    "x",
    "1",
]
PIECES += [
    "alias: x",
    "params: ",
    "steps:\n",
    "sections: ",
    "http: ",
    "é",
    "\x00",
    "sign_off: ",
    "plan: ",
    "environments: ",
]
PIECES += ["extends: checklists/deploy.yaml\n", "needs: ", "probes: ", "action: ", "observe: ", "disabled: "]


def damaged(text: str, chance: random.Random) -> str:
    """The text with a few pieces put in, taken out or moved."""
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.choice((0, 1, 3, 10, 40)))
        other = chance.randrange(len(text))
        piece = chance.choice((chance.choice(PIECES), "", text[other : other + chance.choice((5, 20, 80))]))
        text = text[:start] + piece + text[end:]
    return text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**9))
@example(999999999)  # a quoted text over two lines where a duration belongs
def test_damaged_files_give_problems_with_places(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    (tmp_path / "checklists").mkdir(exist_ok=True)
    (tmp_path / ".git").mkdir(exist_ok=True)
    for name, text in FILES.items():
        (tmp_path / name).write_text(damaged(text, chance))
    found = lint([], cwd=tmp_path)
    for problem in found:
        assert problem.line >= 1
        assert problem.column >= 1
        assert not {"\x00", "\x1b", "\n"} & {*str(problem)}
    for checklist, environment in (("deploy", "production"), ("checklists/readiness.yaml", "staging")):
        try:
            target = load(checklist, environment, cwd=tmp_path)
        except CaptainError as error:
            assert error.message
        else:
            assert target.environment == environment
            assert target.files
