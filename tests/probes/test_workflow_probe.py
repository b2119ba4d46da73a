"""What the workflow probe reads from files of CI, and that a step which cannot fail is never taken for one that can."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.clock import SystemClock
from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.probes import Context
from captain.probes.workflow import WorkflowProbe
from captain.threads import on_daemon
from tests.judged import verdict

DATA = Path(__file__).parents[1] / "data" / "payloads"
FULL = "a" * 40
Ask = Callable[..., Awaitable[Measurement]]
Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    return made


@pytest.fixture
def write(root: Path) -> Write:
    def written(text: str, name: str = ".github/workflows/ci.yml") -> Path:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return written


@pytest.fixture
def ask(root: Path) -> Ask:
    async def asked(**keys: Any) -> Measurement:
        context = Context(
            root=root,
            repo=root,
            timeout=timedelta(seconds=10),
            environ={},
            secrets={},
            blocking=on_daemon,
            clock=SystemClock(),
        )
        return await WorkflowProbe.model_validate(keys).measure(context)

    return asked


def steps(*found: str, job: str = "", on: str = "[pull_request]", top: str = "") -> str:
    """A workflow with one job of those steps."""
    lines = "".join(f"      - {one}\n" for one in found)
    return f"on: {on}\n{top}jobs:\n  test:\n    runs-on: ubuntu-latest\n{job}    steps:\n{lines}"


# What a file says


async def test_f30_the_key_on_stays_text_and_the_careless_file_fails(write: Write, ask: Ask) -> None:
    write((DATA / "workflow_ci.yml").read_text())
    seen = await ask()
    assert seen.observed["triggers"] == ["pull_request", "push", "schedule"]
    assert (seen.observed["soft_failures"], seen.observed["unpinned_actions"]) == (2, 1)
    assert seen.observed["cron_interval"] == timedelta(days=1)
    assert seen.observed["cron"] == ["17 3 * * *"]
    assert seen.observed["jobs"] == ["test", "types", "scan", "deploy"]
    assert verdict(WorkflowProbe, seen) is Verdict.FAIL
    where = ".github/workflows/ci.yml"
    assert seen.observed["findings"] == [
        {"file": where, "line": 15, "rule": "or-true"},
        {"file": where, "line": 20, "rule": "continue-on-error"},
        {"file": where, "line": 20, "rule": "unpinned aquasecurity/trivy-action@master"},
    ]


async def test_a_chosen_step_is_judged_alone(write: Write, ask: Ask) -> None:
    write((DATA / "workflow_ci.yml").read_text())
    tests = await ask(step="pytest|npm test", on=["pull_request"], needs_of="deploy")
    assert verdict(WorkflowProbe, tests, "found == 1", "gating", "in_needs_of_deploy") is Verdict.PASS
    types = await ask(step="mypy", needs_of="deploy")
    assert (types.observed["in_needs_of_deploy"], types.observed["gating"]) == (False, False)
    scan = await ask(uses="aquasecurity/trivy-action")
    assert (scan.observed["exit_code_set"], scan.observed["soft_failures"]) == (False, 1)
    assert verdict(WorkflowProbe, await ask(step="vitest")) is Verdict.FAIL
    assert verdict(WorkflowProbe, await ask(step="pytest", on=["release"])) is Verdict.FAIL


async def test_it_says_where_a_step_is_soft_and_in_which_files_none_was_found(write: Write, ask: Ask) -> None:
    write((DATA / "workflow_ci.yml").read_text())
    assert ".github/workflows/ci.yml:15: or-true" in (await ask(step="mypy")).notes
    assert "no step in .github/workflows/ci.yml runs what is asked for" in (await ask(step="vitest")).notes
    assert "no step in .github/workflows/ci.yml uses acme/scan" in (await ask(uses="acme/scan")).notes


async def test_no_file_at_all_is_a_failure_and_nothing_gates(ask: Ask) -> None:
    seen = await ask()
    assert seen.observed == {"files": 0, "found": 0}
    assert verdict(WorkflowProbe, seen) is Verdict.FAIL
    assert any("no file matches" in note for note in seen.notes)


@pytest.mark.parametrize("text", ["on: [push\n", "a: 1\na: 2\n", "", "- a\n", "x: !!binary [\n", "\tx: 1\n", "a: *b\n"])
async def test_a_file_that_ci_could_not_read_either_is_unknown(write: Write, ask: Ask, text: str) -> None:
    write(steps("run: pytest"), ".github/workflows/good.yml")
    write(text)
    with pytest.raises(ProbeError, match=r"\.github/workflows/ci\.yml") as caught:
        await ask()
    assert caught.value.fault == "instrument"


async def test_comments_echoes_and_dead_steps_run_nothing(write: Write, ask: Ask) -> None:
    write(
        steps(
            "run: |\n          # pytest\n          make  # then pytest\n          echo pytest passed",
            "{ run: pytest, if: false }",
            "{ run: pytest, if: '${{ false }}' }",
        )
    )
    assert (await ask(step="pytest")).observed["found"] == 0
    write(steps("run: pytest", job="    if: false\n"))
    assert (await ask(step="pytest")).observed["found"] == 0


async def test_a_workflow_that_only_others_call_counts_where_it_is_called(write: Write, ask: Ask) -> None:
    write(steps("run: pytest", on="workflow_call"), ".github/workflows/tests.yml")
    assert (await ask(step="pytest")).observed["found"] == 0
    write("on: pull_request\njobs:\n  all: { uses: ./.github/workflows/tests.yml }\n")
    seen = await ask(step="pytest", on=["pull_request"])
    assert (seen.observed["found"], seen.observed["triggers"]) == (1, ["pull_request"])
    assert seen.observed["jobs"] == ["all"]


async def test_composite_actions_of_the_repository_are_followed(write: Write, ask: Ask) -> None:
    write("runs:\n  using: composite\n  steps:\n    - run: pytest || true\n      shell: bash\n", "ci/test/action.yml")
    write(steps("uses: ./ci/test"))
    seen = await ask(step="pytest")
    assert seen.observed["findings"] == [{"file": "ci/test/action.yml", "line": 4, "rule": "or-true"}]
    write(steps("{ uses: ./ci/gone }"))
    assert any("called and not there: ./ci/gone" in note for note in (await ask(step="pytest")).notes)


async def test_what_lies_in_another_repository_is_said_to_be_unread(write: Write, ask: Ask) -> None:
    write(f"on: push\njobs:\n  scan: {{ uses: acme/ci/.github/workflows/scan.yml@{FULL} }}\n")
    seen = await ask(step="trivy")
    assert any("acme/ci/.github/workflows/scan.yml" in note for note in seen.notes)
    assert (await ask(uses="acme/ci/.github/workflows/scan.yml")).observed["found"] == 1


async def test_permissions_and_jobs_are_named(write: Write, ask: Ask) -> None:
    write(steps("run: pytest", job="    permissions: { pull-requests: write }\n", top="permissions: read-all\n"))
    assert (await ask()).observed["permissions"] == ["pull-requests: write", "read-all"]


# What cannot fail


@pytest.mark.parametrize(
    ("script", "rule"),
    [
        ("pytest || true", "or-true"),
        ("pytest || :", "or-true"),
        ("pytest || exit 0", "or-true"),
        ("pytest \\\n            -q || true", "or-true"),
        ('pytest || echo "failed"', "or-true"),
        ("pytest || { echo no; }", "or-true"),
        ("set +e\n          pytest\n          make clean", "set-e"),
        ("pytest | tee out.txt", "pipe"),
        ("pytest && echo fine\n          make clean", "and-list"),
        ("pytest --exit-zero", "never-fails"),
        ("pytest || exit 1", None),
        ('pytest || { echo "no"; exit 1; }', None),
        ("docker rm -f db || true\n          pytest", None),
        ('pytest -k "a || true"', None),
        ("pytest  # || true", None),
        ("set +e\n          set -e\n          pytest\n          make", None),
        ("set +e\n          pytest", None),
        ("set -o pipefail\n          pytest | tee out.txt", None),
        ("cd app && pytest", None),
        ("pytest && make", None),
    ],
)
async def test_a_failure_that_a_script_swallows_is_soft(write: Write, ask: Ask, script: str, rule: str | None) -> None:
    write(steps(f"run: |\n          {script}"))
    seen = await ask(step="pytest")
    assert seen.observed["found"] == 1
    findings: Any = seen.observed["findings"]
    assert [one["rule"] for one in findings] == ([rule] if rule else [])
    assert seen.observed["gating"] is (rule is None)


async def test_github_pipes_fail_only_with_bash_named(write: Write, ask: Ask) -> None:
    write(steps("{ run: pytest | tee out, shell: bash }"))
    assert (await ask(step="pytest")).observed["soft_failures"] == 0
    write(steps("{ run: pytest | tee out }", top="defaults: { run: { shell: bash } }\n"))
    assert (await ask(step="pytest")).observed["soft_failures"] == 0


@pytest.mark.parametrize(
    "script",
    [
        "pip install pytest mypy",
        "cat pytest.ini",
        "pytest --version",
        "pytest --collect-only",
        "cat <<EOF\n          pytest\n          EOF",
        "exit 0\n          pytest",
    ],
)
async def test_a_step_that_only_names_the_tests_is_not_found(write: Write, ask: Ask, script: str) -> None:
    write(steps(f"run: |\n          {script}"))
    seen = await ask(step="pytest|npm test", on=["pull_request"])
    assert (seen.observed["found"], seen.observed["gating"]) == (0, False)
    assert verdict(WorkflowProbe, seen, "found > 0", "gating") is Verdict.FAIL
    write(steps(f"run: |\n          {script}", "run: pytest"))
    assert verdict(WorkflowProbe, await ask(step="pytest|npm test"), "found > 0", "gating") is Verdict.PASS


@pytest.mark.parametrize(
    ("script", "rule"),
    [
        ("if pytest; then echo ok; fi", "condition"),
        ("if ! pytest; then echo failed; fi", "negated"),
        ("while pytest; do sleep 1; done", "condition"),
        ("! pytest", "negated"),
        ("pytest &", "background"),
        ("export OUT=$(pytest)", "substitution"),
        ("pytest || python notify.py", "or-else"),
        ("set +e; pytest; echo x", "set-e"),
        ("trap 'exit 0' ERR\n          pytest", "trap"),
        ("mytool pytest", "unclear"),
        ("pytest ||\n          true", "or-true"),
        ("pytest || exit", None),
        ("cat <<EOF\n          pytest || true\n          EOF\n          pytest", None),
    ],
)
async def test_a_failure_that_the_shell_loses_is_soft(write: Write, ask: Ask, script: str, rule: str | None) -> None:
    write(steps(f"run: |\n          {script}"))
    seen = await ask(step="pytest|npm test")
    findings: Any = seen.observed["findings"]
    assert [one["rule"] for one in findings] == ([rule] if rule else [])
    assert (seen.observed["found"], seen.observed["gating"]) == (1, rule is None)


@pytest.mark.parametrize(
    ("shell", "script", "rule"),
    [
        ("bash {0}", "pytest\n          echo done", "set-e"),
        ("bash -u {0}", "pytest\n          echo done", "set-e"),
        ("bash -u {0}", "echo begin\n          pytest", None),
        ("bash {0}", "set -e\n          pytest\n          echo done", None),
        ("bash -e {0}", "pytest\n          echo done", None),
        ("bash -e {0}", "pytest | tee out", "pipe"),
        ("pwsh", "pytest\n          echo done", "shell"),
        ("python", "pytest", "shell"),
    ],
)
async def test_the_shell_of_a_step_decides(write: Write, ask: Ask, shell: str, script: str, rule: str | None) -> None:
    for top, own in ((f"defaults: {{ run: {{ shell: '{shell}' }} }}\n", ""), ("", f"        shell: '{shell}'\n")):
        write(steps(f"run: |\n          {script}\n{own}", top=top))
        findings: Any = (await ask(step="pytest")).observed["findings"]
        assert [one["rule"] for one in findings] == ([rule] if rule else [])


async def test_a_job_on_windows_runs_powershell_where_it_names_no_shell(write: Write, ask: Ask) -> None:
    script = steps("run: |\n          pytest\n          echo done")
    write(script.replace("ubuntu-latest", "windows-latest"))
    assert (await ask(step="pytest")).observed["soft_failures"] == 1
    write(script)
    assert (await ask(step="pytest")).observed["soft_failures"] == 0


async def test_where_no_step_is_chosen_what_is_often_meant_so_does_not_count(write: Write, ask: Ask) -> None:
    script = ("if grep x y; then ls; fi", "[ -f x ] && ls", "server &", "! grep x y", "a || b", 'echo "$(x)"', "x | y")
    write(steps("run: |\n" + "".join(f"          {line}\n" for line in (*script, "make"))))
    assert (await ask()).observed["soft_failures"] == 0


@pytest.mark.parametrize("value", ["true", "${{ matrix.experimental }}"])
async def test_continue_on_error_is_soft_in_a_step_and_in_its_job(write: Write, ask: Ask, value: str) -> None:
    write(steps(f"{{ run: pytest, continue-on-error: '{value}' }}"))
    assert (await ask(step="pytest")).observed["soft_failures"] == 1
    write(steps("run: pytest", job=f"    continue-on-error: {value}\n"))
    assert (await ask(step="pytest")).observed["soft_failures"] == 1
    write(steps("{ run: pytest, continue-on-error: false }"))
    assert (await ask(step="pytest")).observed["soft_failures"] == 0


@pytest.mark.parametrize(
    ("step", "sets"),
    [
        (f"uses: aquasecurity/trivy-action@{FULL}", False),
        (f"{{ uses: aquasecurity/trivy-action@{FULL}, with: {{ exit-code: 0 }} }}", False),
        (f"{{ uses: aquasecurity/trivy-action@{FULL}, with: {{ exit-code: '1' }} }}", True),
        (f"{{ uses: aquasecurity/trivy-action@{FULL}, env: {{ TRIVY_EXIT_CODE: 1 }} }}", True),
        ("run: trivy image shop", False),
        ("run: trivy image --exit-code 0 shop", False),
        ("run: trivy --quiet image --exit-code=1 shop", True),
    ],
)
async def test_a_trivy_whose_exit_code_stays_zero_cannot_fail(write: Write, ask: Ask, step: str, sets: bool) -> None:
    write(steps(step))
    for seen in (await ask(uses="aquasecurity/trivy-action", step="trivy (image|fs)"), await ask()):
        if seen.observed["found"]:
            assert seen.observed["exit_code_set"] is sets
            assert seen.observed["soft_failures"] == (0 if sets else 1)


@pytest.mark.parametrize(
    ("uses", "loose"),
    [
        (f"actions/checkout@{FULL}", 0),
        ("actions/checkout@v4", 1),
        ("actions/checkout@" + "a" * 7, 1),
        ("actions/checkout", 1),
        ("./ci/test", 0),
        ("docker://alpine:3", 1),
        ("docker://alpine@sha256:" + "a" * 64, 0),
    ],
)
async def test_an_action_is_pinned_by_a_full_commit_only(write: Write, ask: Ask, uses: str, loose: int) -> None:
    write(steps(f"uses: {uses}"))
    assert (await ask()).observed["unpinned_actions"] == loose


@pytest.mark.parametrize(
    ("deploy", "gates"),
    [
        ("needs: [build]", True),
        ("needs: test", True),
        ("needs: [other]", False),
        ("needs: test\n    if: always()", False),
        ("needs: test\n    if: ${{ !cancelled() }}", False),
        ("needs: test\n    if: github.ref == 'refs/heads/main'", True),
    ],
)
async def test_a_step_gates_what_waits_for_it_and_only_that(write: Write, ask: Ask, deploy: str, gates: bool) -> None:
    others = "  build:\n    needs: test\n    steps: [{ run: make }]\n  other:\n    steps: [{ run: make }]\n"
    write(f"{steps('run: pytest')}{others}  deploy:\n    {deploy}\n    steps: [{{ run: ./deploy.sh }}]\n")
    seen = await ask(step="pytest", needs_of="deploy")
    assert seen.observed["gating"] is gates
    assert (await ask(step="pytest", needs_of="ship")).observed["gating"] is False


# Schedules


@pytest.mark.parametrize(
    ("crons", "gap"),
    [
        (["*/10 * * * *"], timedelta(minutes=10)),
        (["* * * * *"], timedelta(minutes=5)),
        (["0 9-17 * * MON-FRI"], timedelta(days=2, hours=16)),
        (["0 3 * * 0"], timedelta(days=7)),
        (["0 3 * * 7"], timedelta(days=7)),
        (["0 0 1 * *"], timedelta(days=31)),
        (["0 0 29 2 *"], timedelta(days=4 * 365 + 1)),
        (["0 0 1 * MON"], timedelta(days=7)),
        (["0 3 * * *", "0 15 * * *"], timedelta(hours=12)),
        (["0 3 * * 1-5", "0 15 * * 6"], timedelta(days=1, hours=12)),
    ],
)
async def test_the_longest_gap_of_a_schedule_is_found(write: Write, ask: Ask, crons: list[str], gap: timedelta) -> None:
    write(steps("run: pytest", on="{ schedule: [" + ", ".join(f"{{ cron: '{one}' }}" for one in crons) + "] }"))
    assert (await ask()).observed["cron_interval"] == gap


@pytest.mark.parametrize("cron", ["@daily", "0 3 * *", "61 * * * *", "0 3 * * FUNDAY", "*/0 * * * *", "0 0 30 2 *"])
async def test_a_schedule_that_never_runs_has_no_interval(write: Write, ask: Ask, cron: str) -> None:
    write(steps("run: pytest", on=f"{{ schedule: [{{ cron: '{cron}' }}] }}"))
    seen = await ask()
    assert "cron_interval" not in seen.observed
    assert verdict(WorkflowProbe, seen, 'cron_interval <= duration("24h")') is Verdict.UNKNOWN


# GitLab

GITLAB = """\
stages: [test, deploy]
.base: &base
  before_script: [pip install .]
unit:
  <<: *base
  stage: test
  script: [pytest]
sast:
  stage: test
  allow_failure: true
  script: [trivy fs --exit-code 1 .]
deploy:
  stage: deploy
  script: [./deploy.sh]
  rules: [{ if: '$CI_PIPELINE_SOURCE == "schedule" || $CI_PIPELINE_SOURCE == "merge_request_event"' }]
"""


async def test_a_gitlab_file_is_read_with_stages_anchors_and_soft_jobs(write: Write, ask: Ask) -> None:
    write(GITLAB, ".gitlab-ci.yml")
    seen = await ask(step="pytest", needs_of="deploy")
    assert verdict(WorkflowProbe, seen, "found == 1", "gating", "in_needs_of_deploy") is Verdict.PASS
    scan = await ask(step="trivy fs")
    assert (scan.observed["soft_failures"], scan.observed["exit_code_set"]) == (1, True)
    assert scan.observed["findings"] == [{"file": ".gitlab-ci.yml", "line": 11, "rule": "allow-failure"}]
    assert (await ask()).observed["triggers"] == ["push", "schedule", "merge_request_event"]


async def test_gitlab_extends_includes_and_references_are_followed(write: Write, ask: Ask) -> None:
    write(".test:\n  script:\n    - pytest || true\n  allow_failure: true\n", "ci/base.yml")
    write(
        "include: [{ local: /ci/*.yml }, { project: acme/ci, file: x.yml, ref: main }]\n"
        "one: { extends: .test, allow_failure: false }\n"
        "two:\n  script: [make, !reference [.test, script]]\n",
        ".gitlab-ci.yml",
    )
    seen = await ask(step="pytest")
    assert seen.observed["jobs"] == ["one", "two"]
    assert seen.observed["findings"] == [{"file": "ci/base.yml", "line": 3, "rule": "or-true"}]
    assert any("acme/ci" in note for note in seen.notes)
    assert (await ask()).observed["unpinned_actions"] == 1


@pytest.mark.parametrize(
    ("job", "soft"),
    [
        ("{ script: [pytest], when: manual }", 1),
        ("{ script: [pytest], when: manual, allow_failure: false }", 0),
        ("{ script: [pytest], allow_failure: { exit_codes: 5 } }", 1),
        ("{ script: [pytest], rules: [{ when: on_success, allow_failure: true }] }", 1),
        ("{ script: [make], after_script: [pytest] }", 1),
        ("{ script: ['pytest | tee out'] }", 0),
    ],
)
async def test_a_gitlab_job_that_holds_nothing_up_is_soft(write: Write, ask: Ask, job: str, soft: int) -> None:
    write(f"unit: {job}\n", ".gitlab-ci.yml")
    seen = await ask(step="pytest")
    assert (seen.observed["found"], seen.observed["soft_failures"]) == (1, soft)


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("unit: { script: [pytest], rules: [{ when: never }] }", 0),
        ("unit: { script: [pytest], rules: [{ if: $X, when: never }, { if: $Y, when: never }] }", 0),
        ("unit: { script: [pytest], rules: [{ when: never }, { when: always }] }", 0),
        ("unit: { script: [pytest], rules: [{ if: $X, when: never }, { when: on_success }] }", 1),
        ("unit: { script: [pytest], rules: [{ if: $X }] }", 1),
        ("workflow: { rules: [{ when: never }] }\nunit: { script: [pytest] }", 0),
    ],
)
async def test_a_gitlab_job_that_nothing_adds_is_not_found(write: Write, ask: Ask, file: str, found: int) -> None:
    write(f"{file}\nother: {{ script: [make] }}\n", ".gitlab-ci.yml")
    seen = await ask(step="pytest")
    assert (seen.observed["found"], seen.observed["gating"]) == (found, found > 0)


@pytest.mark.parametrize(
    ("job", "soft"),
    [
        ("{ script: ['set +e', pytest, 'echo done'] }", 1),
        ("{ before_script: ['set +e'], script: [pytest, 'echo done'] }", 1),
        ("{ script: [pytest, 'echo done'] }", 0),
        ("{ script: [pytest], when: on_failure }", 1),
        ("{ script: [pytest], rules: [{ when: on_failure }] }", 1),
    ],
)
async def test_a_gitlab_script_is_one_shells(write: Write, ask: Ask, job: str, soft: int) -> None:
    write(f"unit: {job}\n", ".gitlab-ci.yml")
    seen = await ask(step="pytest")
    assert (seen.observed["found"], seen.observed["soft_failures"]) == (1, soft)


# Hostile files


def loud(depth: int) -> str:
    """Anchors that stand for ten times as much each."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines) + "\n"


def nested_calls(write: Write) -> None:
    """Twelve workflows that each call the next one fifty times."""
    for n in range(9):
        calls = "".join(f"  j{k}: {{ uses: ./.github/workflows/w{n + 1}.yml }}\n" for k in range(50))
        write(f"on: workflow_call\njobs:\n{calls}", f".github/workflows/w{n}.yml")
    write("on: push\njobs:\n  a: { uses: ./.github/workflows/w0.yml }\n")


def wide_references(write: Write) -> None:
    """Lists that refer to one another so that they stand for very many."""
    lines = [f".r{n}:\n  script: [{', '.join([f'!reference [.r{n + 1}, script]'] * 50)}]\n" for n in range(9)]
    write("".join(lines) + ".r9: { script: [] }\nunit: { script: [!reference [.r0, script]] }\n", ".gitlab-ci.yml")


def endless_scripts(write: Write) -> None:
    """A script of nearly a mebibyte that hundreds of steps run."""
    script = "\n".join(['        set +e; "x" || true # y'] * 30_000)
    write(f"runs:\n  steps:\n    - run: |\n{script}\n", "ci/long/action.yml")
    write(steps(*["uses: ./ci/long"] * 300))


HOSTILE: dict[str, Callable[[Write], object]] = {
    "anchors that grow": lambda write: write(loud(12)),
    "deep brackets": lambda write: write("[" * 100_000),
    "a workflow that calls itself": lambda write: write("on: push\njobs:\n  a: { uses: ./.github/workflows/ci.yml }\n"),
    "calls that multiply": nested_calls,
    "scripts that multiply": endless_scripts,
    "references that multiply": wide_references,
    "an include of itself": lambda write: write("include: .gitlab-ci.yml\na: { script: [x] }\n", ".gitlab-ci.yml"),
    "a large file": lambda write: write("# " + "x" * 2_000_000),
    "a call out of the repository": lambda write: write(steps("uses: ./../../secret")),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_no_file_holds_it_up_or_eats_the_memory(write: Write, ask: Ask, name: str) -> None:
    HOSTILE[name](write)
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(ProbeError) as caught:
        await ask()
    took, peak = time.monotonic() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.fault == "instrument"
    assert took < 5
    assert peak < 64 * 1024 * 1024


@pytest.mark.parametrize(
    "line",
    [
        'x="$(y',
        "((((((((",
        "a `b` \\",
        "if x; then",
        "${a{b{",
        "<<EOF",
        "(" * 3000,
        "'",
        "$((" * 1000,
        "a|" * 1900,
        "a&&\\" * 900,
        "- " * 1900,
    ],
)
async def test_a_long_script_of_anything_is_read_in_time(write: Write, ask: Ask, line: str) -> None:
    count = min(4500, 900_000 // (len(line) + 10))
    write("on: push\njobs:\n  a:\n    steps:\n    - run: |\n" + f"        {line}\n" * count)
    began = time.monotonic()
    assert (await ask(step="pytest")).observed["found"] == 0
    assert time.monotonic() - began < 5
    tracemalloc.start()
    await ask()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 96 * 1024 * 1024


async def test_extends_that_go_in_circles_end(write: Write, ask: Ask) -> None:
    write(".a: { extends: .b }\n.b: { extends: .a, script: [x] }\nunit: { extends: .a }\n", ".gitlab-ci.yml")
    assert (await ask()).observed["jobs"] == ["unit"]


async def test_nothing_outside_the_repository_is_read(write: Write, ask: Ask, root: Path) -> None:
    outside = root.parent / "outside.yml"
    outside.write_text(steps("run: pytest"))
    link = root / ".github" / "workflows" / "link.yml"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(ProbeError, match="points outside the repository"):
        await ask()
    link.unlink()
    os.mkfifo(root / ".github" / "workflows" / "pipe.yml")
    with pytest.raises(ProbeError, match="is no regular file"):
        await ask()


async def test_what_a_file_calls_its_jobs_cannot_dress_up_a_message(write: Write, ask: Ask) -> None:
    write("on: push\njobs:\n  a: { uses: 'evil/\\e[31m\\nrepo/x.yml@v1' }\n".replace("'", '"'))
    seen = await ask(step="x")
    assert all(note.isprintable() for note in seen.notes)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"paths": ["/etc/*"]}, "is no pattern of files below"),
        ({"paths": ["../x.yml"]}, "is no pattern of files below"),
        ({"step": "(a+)+"}, "repeats a group"),
        ({"step": "("}, "is not a pattern"),
    ],
)
def test_what_cannot_be_meant_is_a_lint_error(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        WorkflowProbe.model_validate(keys)


async def test_only_steps_of_the_job_that_is_named_count(write: Write, ask: Ask) -> None:
    write(
        "on: push\njobs:\n  build:\n    steps: [{ run: curl --fail https://get.example.com }]\n"
        "  smoke:\n    needs: build\n    steps: [{ run: echo fine }]\n"
    )
    write("on: schedule\njobs:\n  probe:\n    steps: [{ run: curl --fail https://shop.example.com }]\n", "x.yml")
    seen = await ask(step="curl", job="smoke")
    assert (seen.observed["found"], seen.observed["gating"], seen.observed["triggers"]) == (0, False, [])
    assert any("in a job smoke" in note for note in seen.notes)
    assert (await ask(step="curl", job="build")).observed["found"] == 1
    every = await ask(job="build")
    assert (every.observed["found"], every.observed["jobs"]) == (1, ["build", "smoke"])
