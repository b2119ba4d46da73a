"""captain init: the first five minutes in a repository, whatever lies there already."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain import scaffold
from captain.__main__ import main
from captain.errors import CaptainError, UsageError
from captain.loader import lint
from captain.loader.schema import schema
from captain.loader.shelf import shipped
from captain.systems.search.files import BUILT_IN
from tests.git_repo import Repo

ROOT = Path(__file__).parents[2]
LISTS = ["checklists/deploy.yaml", "checklists/readiness.yaml"]
WRITTEN = ["captain.yaml", *LISTS, ".captain/captain.schema.json", ".captain/checklist.schema.json"]


def captain(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CAPTAIN_", "XDG_"))}
    environ |= {"PYTHONPATH": str(ROOT), "HOME": str(folder.parent), "CAPTAIN_LOG": str(folder.parent / "log.sqlite")}
    done = subprocess.run(
        [sys.executable, "-m", "captain", *arguments],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    return made


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; .git left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def init(root: Path, url: str = "http://127.0.0.1:8000/healthz") -> list[scaffold.Wrote]:
    """What the command does, in this process."""
    schemas = {name: json.dumps(schema(name)) for name in ("captain", "checklist")}
    files = scaffold.planned(scaffold.survey(root, {}), shipped("deploy"), None, beside=None)
    return list(scaffold.write(root, scaffold.look(root), url, files, schemas))


def test_an_empty_folder_gets_files_that_lint_clean(folder: Path) -> None:
    done = captain(folder, "init")
    assert done.stdout.splitlines() == [f"wrote  {path}" for path in WRITTEN]
    assert "service  shop  (from the folder's name)" in done.stderr
    assert sorted(tree(folder)) == sorted(WRITTEN)
    assert captain(folder, "lint").stdout == ""
    assert "\nnext     captain check readiness -e staging" in done.stderr, "nothing is to be committed here"


def test_editors_find_the_schemas_beside_the_files(folder: Path) -> None:
    captain(folder, "init")
    for name in WRITTEN[:3]:
        first, _, _ = (folder / name).read_text().partition("\n")
        assert first.startswith("# yaml-language-server: $schema=")
        assert (folder / name).parent.joinpath(first.partition("=")[2]).resolve().is_file()
        schema_path = (folder / name).parent / first.partition("=")[2]
        check = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema_path), str(folder / name)]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = {"/healthz": b"{}", "/version": b'{"version": "1.4.0"}', "/metrics": b"# TYPE up gauge\nup 1\n"}
        found = body.get(self.path)
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/json" if self.path != "/metrics" else "text/plain")
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_it_writes_measures_a_service_at_once(folder: Path, service: str) -> None:
    """Machines answer for what they can see; the rest waits for people, which is no failure and no go."""
    repo = Repo(folder)
    captain(folder, "init", "--health-url", f"{service}/healthz")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "captain")
    wanted = ["no-uncommitted-changes", "metrics-collecting", "tests-passing"]
    measured = check(folder, *wanted, code=4)
    assert measured == {"no-uncommitted-changes": "pass", "metrics-collecting": "pass", "tests-passing": "unknown"}
    (folder / "new.py").write_text("")
    assert check(folder, *wanted, code=1)["no-uncommitted-changes"] == "fail"
    said = captain(folder, "check", "deploy", "-e", "staging", "--step", "no-uncommitted-changes", code=1).stdout
    assert "untracked == 0: untracked = 1; new.py\n" in said, "only the condition that is false is named"


def test_the_command_it_names_next_says_what_waits_for_whom(folder: Path) -> None:
    repo = Repo(folder)
    repo.commit()
    said = captain(folder, "init").stderr
    assert "next     commit these files first" in said, "untracked, they would be the first thing that fails"
    assert "\n         captain check deploy -e staging --phase pre, then captain run" in said
    captain(folder, "check", "deploy", "-e", "staging", "--phase", "pre", code=1)
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "captain")
    done = captain(folder, "check", "deploy", "-e", "staging", "--phase", "pre", code=4)
    assert "Rollback plan tested" in done.stdout


def check(folder: Path, *steps: str, code: int) -> dict[str, str]:
    """Measure these steps as CI does: the verdict of each."""
    chosen = [word for step in steps for word in ("--step", step)]
    done = captain(folder, "check", "deploy", "-e", "staging", *chosen, "--format", "json", code=code)
    return {one["id"]: one["verdict"] for section in json.loads(done.stdout)["sections"] for one in section["steps"]}


def test_nothing_is_ever_overwritten(folder: Path) -> None:
    (folder / "checklists").mkdir()
    mine = "checklist: deploy\ntitle: Mine\nsections: [{ id: s, title: S, phase: pre, steps: [%s] }]\n"
    mine %= "{ id: a, title: A, manual: look }"
    (folder / "checklists" / "deploy.yaml").write_text(mine)
    done = captain(folder, "init")
    assert "kept  checklists/deploy.yaml" in done.stdout
    assert (folder / "checklists" / "deploy.yaml").read_text() == mine
    before = tree(folder)
    assert "wrote" not in captain(folder, "init").stdout
    assert tree(folder) == before


def test_where_captain_yaml_is_there_only_schemas_are_added(folder: Path) -> None:
    (folder / "captain.yml").write_text("service: mine\nenvironments: { live: {} }\n")
    done = captain(folder, "init")
    assert done.stdout.splitlines() == ["kept  captain.yml", *(f"wrote  {path}" for path in WRITTEN[3:])]
    assert (folder / "captain.yml").read_text().startswith("service: mine")


def test_problems_of_the_files_that_were_there_are_told(folder: Path) -> None:
    (folder / "captain.yaml").write_text("sevice: mine\n")
    done = captain(folder, "init", code=2)
    assert 'captain.yaml:1:1: error: "sevice" is not a key' in done.stdout


def test_schemas_of_another_captain_are_kept_and_named(folder: Path) -> None:
    captain(folder, "init")
    (folder / ".captain" / "checklist.schema.json").write_text("{}")
    assert "kept  .captain/checklist.schema.json  (of another captain" in captain(folder, "init").stdout
    assert (folder / ".captain" / "checklist.schema.json").read_text() == "{}"


def test_the_name_comes_from_pyproject_else_the_remote_else_the_folder(folder: Path) -> None:
    assert scaffold.look(folder) == scaffold.Found("shop", "the folder's name", False)
    repo = Repo(folder)
    repo.git("remote", "add", "origin", "https://karen:s3cr3t@git.example.com/acme/web-shop.git")
    assert scaffold.look(folder) == scaffold.Found("web-shop", "the git remote", True, "main")
    (folder / "pyproject.toml").write_text('[project]\nname = "Acme.Shop_2"\n')
    assert scaffold.look(folder).service == "acme.shop_2"
    done = captain(folder, "init")
    assert "a work tree on main" in done.stderr
    assert b"s3cr3t" not in b"".join(tree(folder).values()) + done.stdout.encode() + done.stderr.encode()


@pytest.mark.parametrize(
    "remote", ["https://karen:s3cr3t@git.example.com", "karen@git.example.com:", "s3cr3t@", "http://[::1", ""]
)
def test_a_remote_without_a_path_names_nothing(folder: Path, remote: str) -> None:
    repo = Repo(folder)
    repo.git("config", "remote.origin.url", remote)
    assert scaffold.look(folder).why == "the folder's name"


@pytest.mark.parametrize("text", ["[project", "project = 1", "[project]\nname = 7\n", "\x00", "[[[[" * 5000])
def test_a_broken_pyproject_is_passed_over(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)
    assert scaffold.look(folder).why == "the folder's name"


@pytest.mark.parametrize(
    "name",
    [
        "no",
        "1.10",
        "-rf",
        "…",
        "a' b: [",
        "x" * 200,
        "\x1b[2J",
        "Größe",
        "a\nb",
        "${{ x }}",
        "..shop..",
        "null",
        "a\u202eb",
    ],
)
def test_hostile_folder_names_become_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["init", "--no-input"]) == 0
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said and "\u202e" not in said
    assert main(["lint"]) == 0
    name_line = next(line for line in (folder / "captain.yaml").read_text().splitlines() if line.startswith("service:"))
    assert scaffold.as_id(name_line.partition(":")[2].strip().strip("'"))


@given(st.text(max_size=90))
@settings(max_examples=60, deadline=None)
def test_any_name_becomes_an_id_or_nothing_and_an_id_stays_itself(name: str) -> None:
    found = scaffold.as_id(name)
    assert found == "" or scaffold.as_id(found) == found


@given(st.text(alphabet="aé/:@?#&=%'\"\\{}[] \n\x00.0", max_size=30))
@settings(max_examples=40, deadline=None)
def test_whatever_is_taken_for_a_url_lints(tail: str) -> None:
    url = f"http://shop.example.com/{tail}"
    try:
        scaffold.check_url(url)
    except UsageError:
        return
    with tempfile.TemporaryDirectory() as made:
        init(Path(made), url)
        assert [str(problem) for problem in lint(cwd=Path(made))] == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop",
        "ftp://shop/",
        "file:///etc/passwd",
        "http://",
        "http://a:b:c/",
        "http://[::1/",
        "http://a b/",
        "http://a/'",
        "http://a/\n",
        "https://karen:s3cr3t@shop.example.com/",
        "https://karen:s3cr3t@shop example.com/",
        "http://a/${{ env.X }}",
        "http://a:0/",
        "http://ä/",
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.chdir(folder)
    assert main(["init", "--health-url", url]) == 2
    said = "".join(capsys.readouterr())
    assert "the health URL" in said
    assert "s3cr3t" not in said
    assert tree(folder) == {}


def test_a_service_name_that_is_no_id_is_refused(folder: Path) -> None:
    assert "is no id" in captain(folder, "init", "--service", "My Shop", code=2).stderr
    assert tree(folder) == {}
    captain(folder, "init", "--service", "my-shop")
    assert "service: my-shop\n" in (folder / "captain.yaml").read_text()


def test_a_linked_captain_yaml_is_kept_also_where_the_link_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    (folder / "captain.yaml").symlink_to(elsewhere)
    captain(folder, "init", code=2)
    assert not elsewhere.exists()
    elsewhere.write_text("service: mine\nenvironments: { live: {} }\n")
    before = elsewhere.read_text()
    assert "kept  captain.yaml" in captain(folder, "init").stdout
    assert elsewhere.read_text() == before


@pytest.mark.parametrize("name", ["checklists", ".captain"])
def test_a_linked_folder_leads_out_of_the_repository_and_gets_nothing(folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / name).symlink_to(outside)
    done = captain(folder, "init", code=2)
    assert "cannot be written: a part of its path is a link or no folder" in done.stderr
    assert list(outside.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_said(folder: Path) -> None:
    (folder / "checklists").write_text("mine")
    assert "checklists/deploy.yaml cannot be written" in captain(folder, "init", code=2).stderr
    assert (folder / "checklists").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    folder = Path("/proc/self") if os.getuid() == 0 else tmp_path / "locked"
    if os.getuid() != 0:
        folder.mkdir(mode=0o500)
    done = captain(tmp_path, "-C", str(folder), "init", code=2)
    assert "captain.yaml cannot be written" in done.stderr and "nothing was overwritten" in done.stderr


def test_a_full_disk_leaves_no_half_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on file size stands for the disk: the write fails in the middle."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from pathlib import Path\n"
        "from captain.scaffold.files import write_new\n"
        "from captain.errors import CaptainError\n"
        "try:\n    write_new(Path(sys.argv[1]), 'captain.yaml', 'x' * 5000)\n"
        "except CaptainError as error:\n    print(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "captain.yaml cannot be written: File too large" in done.stdout, done.stderr
    assert tree(folder) == {}


def test_a_pipe_in_the_way_does_not_hang(folder: Path) -> None:
    (folder / ".captain").mkdir()
    os.mkfifo(folder / ".captain" / "captain.schema.json")
    done = captain(folder, "init")
    assert "kept  .captain/captain.schema.json" in done.stdout


def test_two_at_once_write_each_file_once(folder: Path) -> None:
    wrote: list[scaffold.Wrote] = []
    problems: list[BaseException] = []

    def one() -> None:
        try:
            wrote.extend(init(folder))
        except CaptainError as error:
            problems.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sorted(one.path for one in wrote if not one.kept) == sorted(WRITTEN)


def test_nothing_that_it_writes_has_the_shape_of_a_secret(folder: Path) -> None:
    """The shipped review searches the repository for secrets, these files among the others."""
    init(folder)
    for path, content in tree(folder).items():
        for name, regex in BUILT_IN.items():
            assert not re.search(regex, content.decode(), re.MULTILINE), (path, name)
