"""What people install: a wheel that holds everything captain needs, and commands that start from it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

import captain
from tests.requirements import need

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]


def backend() -> str | None:
    try:
        version("hatchling")
    except PackageNotFoundError:
        return "hatchling is not installed"
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """captain's wheel, built by its own backend and without any network."""
    need("hatchling", backend())
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", build, folder], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_package_is_described_as_the_documents_promise() -> None:
    assert PYPROJECT["build-system"]["build-backend"] == "hatchling.build"
    assert PROJECT["name"] == "release-captain"
    assert PROJECT["requires-python"] == ">=3.11"
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["version"] == captain.__version__
    assert PROJECT["scripts"] == {"captain": "captain.__main__:main", "release-captain": "captain.__main__:main"}


def test_what_only_some_people_need_is_an_extra() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == {"postgres", "mysql", "redis", "objects", "dns", "notify", "serve", "all", "dev"}
    assert extras["all"] == ["release-captain[postgres,mysql,redis,objects,dns,notify,serve]"]


def test_tests_are_strict() -> None:
    options = PYPROJECT["tool"]["pytest"]["ini_options"]
    assert options["filterwarnings"] == ["error"]
    assert options["asyncio_mode"] == "auto"
    assert options["asyncio_default_fixture_loop_scope"] == "function"
    assert options["xfail_strict"] is True


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    ignored = {"__pycache__"}
    own = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "captain").rglob("*")
        if path.is_file() and not ignored & {*path.parts}
    }
    shipped = {f"captain/checklists/{path.name}" for path in (ROOT / "checklists").iterdir()}
    assert "captain/checklists/deploy.yaml" in shipped
    assert names == own | shipped


def test_the_wheel_names_both_commands_and_its_license(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        assert archive.read(about).decode().split() == [
            "[console_scripts]",
            "captain",
            "=",
            "captain.__main__:main",
            "release-captain",
            "=",
            "captain.__main__:main",
        ]
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel in it; the libraries are those of this one."""
    home = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    folder = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (folder / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for name, target in PROJECT["scripts"].items():
        module, function = target.split(":")
        script = home / "bin" / name
        script.write_text(f"#!{home}/bin/python\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        script.chmod(0o755)
    return home / "bin"


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(cwd), "CAPTAIN_LOG": str(cwd / "log.sqlite")}
    return subprocess.run([program, *arguments], cwd=cwd, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["captain", "release-captain"])
def test_the_installed_commands_start(installed: Path, tmp_path: Path, name: str) -> None:
    done = run(installed / name, "--version", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert captain.__version__ in done.stdout


def test_the_installed_captain_runs_from_its_own_files(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import captain; print(captain.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(installed.parent))


def test_shipped_checklists_travel_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "captain", "init", "--no-input", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Thirteen checks around one deployment" in (tmp_path / "checklists" / "deploy.yaml").read_text()
    assert run(installed / "captain", "lint", cwd=tmp_path).returncode == 0
