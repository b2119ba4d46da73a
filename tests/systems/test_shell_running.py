"""What a line of a CI script is said to run: the program in the end, and nothing that it only names."""

from __future__ import annotations

import pytest

from captain.systems.ci.shell_lines import Shell, commands, meant, read_lines, read_shell
from captain.systems.patterns import finder

RUNS = [
    "pytest -q",
    "PYTHONPATH=. CI=1 pytest",
    "python -m pytest",
    "python3.12 -W error -m pytest -q",
    ".venv/bin/pytest",
    '"$VENV/bin/pytest" -q',
    "./node_modules/.bin/pytest",
    "uv run pytest",
    "uv run --frozen --with coverage -m pytest",
    "poetry run pytest",
    "pipenv run -- pytest",
    "hatch run pytest",
    "npx --yes pytest",
    "pnpm exec pytest",
    "npm run pytest",
    "yarn pytest",
    "make -C app pytest",
    "tox -e pytest",
    "nox -s pytest -- -x",
    "pre-commit run pytest --all-files",
    "coverage run --source=app -m pytest",
    "sudo -E -u app pytest",
    "env -i PATH=/bin pytest",
    "timeout -k 5 600 pytest",
    "xvfb-run -a pytest",
    "time nice -n 5 pytest",
    "docker run --rm -v $PWD:/app -w /app --network=host image pytest -q",
    "docker compose -f ci.yml run --rm web pytest",
    "docker-compose exec -T web pytest",
    "docker run --rm image sh -c 'cd app && pytest'",
    "bash -euo pipefail -c 'pytest; ok'",
    "pytest.exe",
    "pytest ${{ github.ref == 'refs/heads/main' && '|| true' || '' }}",
]
NAMES = [
    "pip install pytest",
    "pip3 install -U pytest",
    "python -m pip install pytest",
    "uv pip install pytest",
    "uv add --dev pytest",
    "poetry add pytest",
    "npm install pytest",
    "npx npm i -g pytest",
    "cargo install pytest",
    "apt-get install -y pytest",
    "sudo apt-get install -y pytest",
    "cat pytest.ini",
    "docker run --rm image cat pytest.ini",
    "docker run --rm --name pytest image true",
    "docker pull pytest",
    "cp pytest.ini /tmp && rm -rf .pytest_cache",
    "git commit -m 'pytest'",
    "grep -q pytest requirements.txt",
    "pytest --help",
    "python -m pytest --collect-only -q",
    "uv run --with pytest python app.py",
    "pytest/bin/python --check",
    "env PYTEST_ADDOPTS=-q true",
    "${{ inputs.pytest }}",
    "which pytest",
    "make -n pytest",
]
UNCLEAR = [
    "mytool pytest",
    "ssh host pytest",
    "uv run --brand-new pytest python app.py",
    "docker run -d image pytest",
    "python tools/all.py pytest",
    "python -c 'pytest.main()'",
    "find . -name x && parallel pytest ::: a b",
    "$RUN pytest",
]


def said(line: str, pattern: str = "pytest", shell: Shell | None = None) -> list[str]:
    found = commands(read_lines(line, "ci.yml", 1), shell or Shell())
    return [why for one in found if (why := meant(one, finder(pattern))) is not None]


@pytest.mark.parametrize("line", RUNS)
def test_a_program_is_found_behind_what_runs_it(line: str) -> None:
    assert said(line) == [""]


@pytest.mark.parametrize("line", NAMES)
def test_a_name_among_the_words_of_a_line_runs_nothing(line: str) -> None:
    assert said(line) == []
    assert "" not in said(line, ".*pytest")


@pytest.mark.parametrize("line", UNCLEAR)
def test_what_no_list_knows_is_unclear_and_not_believed(line: str) -> None:
    assert said(line) == ["unclear"]


@pytest.mark.parametrize(
    ("line", "pattern", "found"),
    [
        ("python manage.py makemigrations --check --dry-run", "makemigrations --check", [""]),
        ("uv run ./manage.py test", "manage.py test", [""]),
        ("npm test -- --ci", "pytest|npm test", [""]),
        ("npm ci", "npm test", []),
        ("npm ci", "npm ci", [""]),
        ("pip install --require-hashes -r requirements.txt", "pip install --require-hashes", [""]),
        ("coverage report --fail-under=80", "--fail-under", [""]),
        ("mytool --ignore=--fail-under", "--fail-under", []),
        ("git diff --exit-code", "git diff --exit-code", [""]),
        ("pytest --collect-only", "pytest --collect-only", [""]),
        ("python -m pytest", "python -m pytest", [""]),
        ("npx size-limit --json", "size-limit|bundlewatch", [""]),
        ("vue-tsc --noEmit", "mypy|pyright|tsc", [""]),
        ("docker run --rm aquasec/trivy image shop", "trivy (image|fs)", [""]),
        ("docker run --rm aquasec/trivy", "trivy", ["unclear"]),
        ("docker run --rm pytest-image true", "pytest", ["unclear"]),
        ("trivy --quiet image shop", "trivy.*image", [""]),
    ],
)
def test_a_pattern_may_name_a_program_its_command_or_an_option(line: str, pattern: str, found: list[str]) -> None:
    assert said(line, pattern) == found


@pytest.mark.parametrize(
    ("shell", "script", "found"),
    [
        ("pwsh", "pytest", [""]),
        ("pwsh", "pytest\necho done", ["shell"]),
        ("cmd", "echo x\npytest", [""]),
        ("pwsh", "pytest; exit 0", ["shell"]),
        ("pwsh", "exit 0\npytest", ["shell"]),
        ("pwsh", "@'\npytest", ["shell"]),
        ("pwsh", "x\n" * 5000 + "pytest\nx\nx", []),
        ("pwsh", "x\n" * 4999 + "pytest\nx\nx", ["shell"]),
        ("python", "import pytest", ["shell"]),
        ("perl {0}", "pytest", ["shell"]),
        ("${{ matrix.shell }}", "pytest", ["shell"]),
        ("bash", "case x in", []),
        ("bash", "pytest )", ["shell"]),
        ("bash", "( " * 100 + "pytest" + " )" * 100, ["shell"]),
        ("bash", "pytest\n" + "x\n" * 6000, ["shell"]),
    ],
)
def test_a_script_that_captain_cannot_read_is_not_believed(shell: str, script: str, found: list[str]) -> None:
    made = commands(read_lines(script, "ci.yml", 1), read_shell(shell))
    assert [one.soft for one in made if "pytest" in one.text] == found


@pytest.mark.parametrize(
    ("written", "shell"),
    [
        ("", Shell()),
        ("bash", Shell(pipefail=True)),
        ("bash {0}", Shell(errexit=False)),
        ("bash -u {0}", Shell(errexit=False)),
        ("bash -e {0}", Shell()),
        ("bash -leo pipefail {0}", Shell(pipefail=True)),
        ("/usr/bin/env bash --noprofile --norc -eo pipefail {0}", Shell(pipefail=True)),
        ("bash -e +e {0}", Shell(errexit=False)),
        ("python", Shell(known=False)),
    ],
)
def test_the_shell_that_github_starts_is_read(written: str, shell: Shell) -> None:
    assert read_shell(written) == shell
