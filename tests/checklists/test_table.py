"""checklists/README.md tells the truth: every row of the checklist has a step that proves something.

`CAPTAIN_WRITE_README=1 pytest tests/checklists/test_table.py` writes the tables anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from captain.checklist import Checklist, SignOffRule, Step
from captain.documents import read_yaml
from captain.errors import CaptainError
from captain.loader import lint, load
from captain.loader.sheets import shipped_files
from tests.checklists.rows import DEPLOYMENT, WAITS, Row, how, rows

README = Path(__file__).parents[2] / "checklists" / "README.md"
WRITE = os.environ.get("CAPTAIN_WRITE_README") == "1"
SECRETS = "DATABASE_URL, REDIS_URL, GITHUB_TOKEN, SCRATCH_DATABASE_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
SERVICE = f"""\
service: shop
vars: {{ health_url: 'http://127.0.0.1/', version_url: 'http://127.0.0.1/', metrics_url: 'http://127.0.0.1/' }}
secrets: [{SECRETS}]
environments: {{ staging: {{}} }}
"""


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checklist]:
    """The shipped checklists, by id."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "captain.yaml").write_text(SERVICE)
    return {name: load(name, "staging", cwd=folder).checklist for name in ("deploy", "readiness")}


def table(head: tuple[str, ...], found: Iterator[tuple[str, ...]]) -> str:
    lines = ("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in found)
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines])


def answered(row: Row, lists: dict[str, Checklist]) -> tuple[str, str]:
    """The step of a row and how it is answered. Raises ValueError where it is not."""
    if (section := row.computed) is not None:
        review = lists["readiness"]
        if section and review.section(section) is None:
            raise ValueError(f"{row.id}: there is no section {section}")
        return f"captain score: {section or 'the whole'}", "computed"
    name, _, step_id = row.step.partition("/")
    found = lists[name].find(step_id)
    if found is None:
        raise ValueError(f"{row.id}: there is no step {row.step}")
    return row.step, how(row, found[1], lists)


def row_table(lists: dict[str, Checklist]) -> str:
    def cells() -> Iterator[tuple[str, ...]]:
        for row in rows():
            try:
                step, said = answered(row, lists)
            except ValueError as error:
                step, said = row.step, f"**not answered**: {error}"
            yield str(row.line), row.title, f"`{step}`", said

    return table(("line", "item", "step", "how"), cells())


def param_table(lists: dict[str, Checklist]) -> str:
    def cells() -> Iterator[tuple[str, ...]]:
        for name in ("readiness", "deploy"):
            text = shipped_files()[name].read_text(encoding="utf-8")
            root = read_yaml(text.encode(), f"{name}.yaml").root
            assert root is not None
            lines = text.splitlines()
            for param, node in (root.get("params") or root).mapping.items():
                assert re.search(rf"params\.{param}\b", text), f"{name} never reads its param {param}"
                remark = re.search(r"(?<=['\w)] )\s*# (.*)$", lines[node.line - 1])
                yield f"`{param}`", name, f"`{node.text}`", remark[1] if remark else ""

    return table(("param", "list", "default", "remark"), cells())


BLOCKS = {"rows": row_table, "params": param_table}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_table_is_what_the_checklists_say(name: str, lists: dict[str, Checklist]) -> None:
    pattern = re.compile(rf"(<!-- {name}: begin [^>]*-->\n)(.*?)(<!-- {name}: end -->)", re.DOTALL)
    text = README.read_text(encoding="utf-8")
    found = pattern.search(text)
    assert found is not None, f"README.md has no block {name}"
    now = BLOCKS[name](lists) + "\n"
    if WRITE:
        README.write_text(pattern.sub(lambda match: match[1] + now + match[3], text), encoding="utf-8")
        return
    assert found[2] == now, f"the table {name} is stale: CAPTAIN_WRITE_README=1 pytest tests/checklists/test_table.py"


def test_every_row_is_there_once() -> None:
    found = rows()
    assert len(found) == len({row.id for row in found}) == len({row.line for row in found}) == 121
    assert len([row for row in found if row.computed is not None]) == 11
    assert {*DEPLOYMENT, *WAITS} <= {row.id for row in found}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_a_row_is_measured_computed_or_waits_with_evidence(row: Row, lists: dict[str, Checklist]) -> None:
    answered(row, lists)


@pytest.mark.parametrize(
    "rule", [None, SignOffRule(), SignOffRule(evidence="required"), SignOffRule(evidence="optional", valid_for="1d")]
)
def test_a_bare_tick_box_is_no_answer(rule: SignOffRule | None) -> None:
    step = Step(id="x", title="X", manual="Look.", sign_off=() if rule is None else (rule,))
    with pytest.raises(ValueError, match="bare tick-box"):
        how(Row("post.baseline", 1, "X"), step, {})


def test_a_question_says_what_it_waits_for() -> None:
    rule = SignOffRule(evidence="required", valid_for="1d")
    step = Step(id="x", title="X", manual="Look.", sign_off=(rule,))
    with pytest.raises(ValueError, match="nothing says what it waits for"):
        how(Row("infra.limits", 1, "X"), step, {})
    assert how(Row("post.baseline", 1, "X"), step, {}) == "manual, with evidence and expiry; waits for: comparison"


def test_every_step_says_why_it_matters_and_what_to_do(lists: dict[str, Checklist]) -> None:
    for checklist in lists.values():
        for _, step in checklist.steps():
            assert step.why and step.help, f"{checklist.checklist}/{step.id}"


def test_the_shipped_lists_have_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "captain.yaml").write_text(SERVICE)
    for name, path in shipped_files().items():
        found = [one for one in lint([str(path)], cwd=tmp_path) if one.severity == "error"]
        assert [str(one) for one in found] == [], name


def examples() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_over_the_shipped_review_lints_and_changes_it(tmp_path: Path) -> None:
    service, mine = examples()
    (tmp_path / "captain.yaml").write_text(service)
    (tmp_path / "checklists").mkdir()
    (tmp_path / "checklists" / "readiness.yaml").write_text(mine)
    try:
        assert [str(one) for one in lint(cwd=tmp_path) if one.severity == "error"] == []
        made = load("readiness", "staging", cwd=tmp_path).checklist
    except CaptainError as error:
        pytest.fail(str(error))
    steps = {step.id: step for _, step in made.steps()}
    assert steps["add.cb.providers"].disabled == "we ask no providers"
    assert steps["add.infra.metric-count"].title == "40 total metrics (was 15)"
    assert steps["ours.status-page"].asks
