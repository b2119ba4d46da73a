"""The house keeps its shape: arrows point down, doors stay doors, and a command loads only what it uses."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest

from captain.commands import VERBS

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS: list[dict[str, Any]] = PYPROJECT["tool"]["importlinter"]["contracts"]
SCREEN = {"textual"}
CLIENTS = {"docker", "git", "httpx"}
HEAVY = {*SCREEN, *CLIENTS, "pydantic", "sqlite_utils", "cel_expr_python", "yaml"}

RUN = """
import json, sys
from captain.__main__ import main
loaded = {}
for argv in json.loads(sys.argv[1]):
    code = main(argv)
    loaded[" ".join(argv)] = [code, sorted({name.partition(".")[0] for name in sys.modules})]
print(json.dumps(loaded), file=sys.stderr)
"""


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("captain", include_external_packages=True, cache_dir=None)


def test_every_import_contract_is_kept() -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in found.stdout


def test_the_brackets_around_a_layer_fall_when_its_module_is_there() -> None:
    layers = next(contract for contract in CONTRACTS if contract["type"] == "layers")["layers"]
    names = [name.strip() for line in layers for name in line.split("|")]
    there = {path.stem for path in (ROOT / "captain").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert [name for name in names if name.startswith("(") and name.strip("()") in there] == []
    assert [name for name in names if not name.startswith("(") and name not in there] == []
    assert {name.strip("()") for name in names} >= there - {"__init__", "__main__", "__pycache__", "checklists"}


def test_every_library_that_captain_imports_is_one_it_declares() -> None:
    project = PYPROJECT["project"]
    extras = [
        one for name, some in project["optional-dependencies"].items() if name not in ("dev", "all") for one in some
    ]
    written = [*project["dependencies"], *extras]
    declared = {re.split(r"[\[<>=!~; ]", one, maxsplit=1)[0].lower() for one in written}
    modules = {
        "cel-expr-python": "cel_expr_python",
        "dnspython": "dns",
        "gitpython": "git",
        "prometheus-client": "prometheus_client",
        "pyyaml": "yaml",
        "sqlite-utils": "sqlite_utils",
        "textual-plotext": "textual_plotext",
    }
    assert set(modules) <= declared
    own = {modules.get(name, name) for name in declared}
    outside = {name.partition(".")[0] for name in graph().modules} - {"captain"} - sys.stdlib_module_names
    brought_along = {"httpcore", "pydantic_core"}  # by httpx and pydantic, and never without them
    assert outside - own - brought_along == set()


@pytest.mark.parametrize(
    "library",
    ["textual", "cel_expr_python", "sqlite_utils", "httpx", "httpcore", "truststore", "docker", "git", "click"],
)
def test_a_library_that_is_used_stands_behind_a_door(library: str) -> None:
    assert library in graph().modules
    protected = {name for one in CONTRACTS if one["type"] == "protected" for name in one["protected_modules"]}
    assert library in protected


def test_pydantic_and_yaml_are_read_nowhere_near_the_screen() -> None:
    direct = graph().find_modules_that_directly_import
    assert {name for name in direct("yaml") if not name.startswith("captain.documents")} == set()
    assert {name for name in direct("pydantic") if name.startswith(("captain.tui", "captain.commands"))} == set()


def loads(folder: Path, *commands: list[str]) -> dict[str, tuple[int, set[str]]]:
    """Run commands one after another in a fresh process: by command its exit code and the modules loaded so far."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("CAPTAIN_", "XDG_", "PYTEST_"))
    }
    environ |= {"PYTHONPATH": str(ROOT), "HOME": str(folder), "CAPTAIN_LOG": str(folder / "state" / "log.sqlite")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stderr.splitlines()[-1])
    return {name: (code, set(modules)) for name, (code, modules) in said.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service that asks files only, and one step that asks HTTP."""
    (tmp_path / "captain.yaml").write_text("service: s\nenvironments: { staging: {} }\nchecklists: [files.yaml]\n")
    (tmp_path / "files.yaml").write_text(
        "checklist: files\ntitle: F\nsections:\n  - id: pre\n    title: P\n    phase: pre\n    steps:\n"
        "      - { id: there, title: There, file: { path: captain.yaml }, expect: [exists] }\n"
    )
    (tmp_path / "web.yaml").write_text(
        "checklist: web\ntitle: W\nsections:\n  - id: pre\n    title: P\n    phase: pre\n    steps:\n"
        "      - { id: up, title: Up, http: { url: 'http://127.0.0.1:9/' }, expect: [status == 200] }\n"
    )
    return tmp_path


def test_every_verb_of_the_table_is_a_module_and_every_module_a_verb() -> None:
    modules = {path.stem for path in (ROOT / "captain" / "commands").glob("*.py")} - {"__init__"}
    assert {*VERBS} == modules


def test_help_and_version_load_nothing_heavy(folder: Path) -> None:
    for name, (code, modules) in loads(folder, ["--version"], ["--help"]).items():
        assert code == 0, name
        assert modules & {*HEAVY, "asyncio", "rich"} == set(), name


def test_the_help_of_every_verb_loads_nothing_heavy(folder: Path) -> None:
    for name, (code, modules) in loads(folder, *([verb, "--help"] for verb in VERBS)).items():
        assert code == 0, name
        assert modules & HEAVY == set(), name


def test_commands_about_files_load_no_screen_no_client_and_no_log(folder: Path) -> None:
    for name, (code, modules) in loads(folder, ["lint"], ["schema"], ["explain"], ["explain", "http"]).items():
        assert code == 0, name
        assert modules & {*SCREEN, *CLIENTS, "sqlite_utils"} == set(), name


def test_init_loads_no_screen_no_log_and_asks_nobody(tmp_path: Path) -> None:
    code, modules = loads(tmp_path, ["init", "--no-input", "--no-check"])["init --no-input --no-check"]
    assert code == 0
    assert modules & {*SCREEN, "docker", "httpx", "sqlite_utils"} == set()


def test_the_first_look_of_init_loads_no_screen_and_no_client_it_does_not_use(tmp_path: Path) -> None:
    code, modules = loads(tmp_path, ["init", "--no-input"])["init --no-input"]
    assert code == 0
    assert modules & {*SCREEN, "docker", "httpx"} == set()


def test_a_check_loads_the_clients_of_its_own_steps_and_no_other(folder: Path) -> None:
    code, modules = loads(folder, ["check", "files", "-e", "staging"])["check files -e staging"]
    assert code == 0
    assert modules & {*SCREEN, *CLIENTS} == set()
    code, modules = loads(folder, ["check", "./web.yaml", "-e", "staging"])["check ./web.yaml -e staging"]
    assert code == 1 or code == 3
    assert modules & {*SCREEN, *CLIENTS} == {"httpx"}


def test_commands_about_the_log_load_no_screen_and_no_client(folder: Path) -> None:
    wanted = [
        ["check", "files", "-e", "staging"],
        ["status"],
        ["history"],
        ["verify"],
        ["export", "--format", "jsonl", "-o", "-"],
        ["trust"],
    ]
    for name, (code, modules) in loads(folder, *wanted).items():
        assert code == 0, name
        assert modules & {*SCREEN, *CLIENTS} == set(), name


def modules() -> list[Path]:
    return sorted((ROOT / "captain").rglob("*.py"))


def test_no_module_is_long_and_most_are_short() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert [f"{path}: {count}" for path, count in lines.items() if count > 400] == []
    assert sorted(lines.values())[len(lines) // 2] < 150


def test_every_module_says_what_it_knows() -> None:
    assert [path for path in modules() if path.stat().st_size and not ast.get_docstring(tree(path))] == []


def test_nothing_is_written_past_the_voices_of_captain_and_no_shell_is_handed_a_text() -> None:
    demo = ROOT / "captain" / "demo" / "shop"  # a program of the demo's own repository
    for path in modules():
        if path.is_relative_to(demo):
            continue
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        names = {ast.unparse(call.func) for call in calls}
        assert not names & {"print", "os.system", "os.popen", "eval", "exec"}, path
        keywords = {keyword.arg for call in calls for keyword in call.keywords}
        assert "shell" not in keywords, path


def test_styles_name_colours_by_their_role() -> None:
    for path in (ROOT / "captain").rglob("*.tcss"):
        assert re.findall(r"(?<![\w-])#[0-9a-fA-F]{3,8}\b(?=\s*;)", path.read_text(encoding="utf-8")) == [], path


def test_the_top_of_the_repository_holds_what_the_documents_say_and_no_more() -> None:
    there = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    wanted = {"CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "pyproject.toml"}
    wanted |= {"captain", "checklists", "screenshots", "tests"}
    made = {"build", "dist", "snapshot_report.html"}
    assert {name for name in there if not name.endswith(".egg-info")} - made == wanted


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
