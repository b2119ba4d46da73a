"""What the migrations probe tells about real Django and Alembic projects and about plain files."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import json
import sqlite3
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import captain
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.migrations import MigrationsProbe
from captain.release import Release
from captain.systems.sql.migration_files import standing, ups, version_of, without_way_back
from tests.docker_engine import Box
from tests.migration_projects import Project, alembic_project, django_project
from tests.postgres_server import PASSWORD, Postgres
from tests.probes.sql_part import context, verdict

REVERSIBLE = "migrations.RunPython(work, migrations.RunPython.noop)"


async def ask(project: Project, tool: str = "django", *, seconds: float = 60, **keys: Any) -> Measurement:
    run = [sys.executable, "manage.py"] if tool == "django" else [sys.executable]
    around = keys.pop("around", {})
    keys = {"tool": tool, "cwd": "backend", "run": run, "env": dict(project.env), **keys}
    asked = dataclasses.replace(context(seconds, project.root), repo=project.root, **around)
    return await MigrationsProbe.model_validate(keys).measure(asked)


def judged(seen: Measurement, *conditions: str) -> str:
    return verdict(MigrationsProbe, seen, *conditions)


def between(earlier: str, later: str) -> dict[str, Any]:
    return {"previous": Release("1.3.9", earlier), "release": Release("1.4.0", later)}


def reasons(seen: Measurement) -> list[tuple[str, str, str]]:
    found = seen.observed["findings"]
    assert isinstance(found, list)
    return [(str(one["op"]), str(one["kind"]), str(one["reason"])) for one in found if isinstance(one, dict)]


@pytest.fixture
def django(tmp_path: Path) -> Project:
    return django_project(tmp_path / "repo")


@pytest.fixture
def alembic(tmp_path: Path) -> Project:
    return alembic_project(tmp_path / "repo")


async def test_a_project_whose_database_has_everything_passes_by_itself(django: Project) -> None:
    django.python("manage.py", "migrate", "--verbosity=0")
    seen = await ask(django)
    assert judged(seen) == judged(seen, "model_drift == 0", "!crashed", "foreign == 0", "conflicts == 0") == "pass"
    assert seen.observed["unapplied"] == 0 and int(str(seen.observed["applied"])) >= 3
    assert not list(django.folder.rglob("__pycache__"))
    assert "which migrations the release adds is not known: no previous release and no `range`" in seen.notes


async def test_what_waits_is_told_by_name_and_compared_with_what_may_wait(django: Project) -> None:
    django.python("manage.py", "migrate", "--verbosity=0")
    django.migration("0002_more", REVERSIBLE)
    seen = await ask(django)
    assert (seen.observed["unapplied"], seen.observed["plan"]) == (1, ["shop.0002_more"])
    assert judged(seen) == "fail"
    assert judged(await ask(django, expected_unapplied=["shop.0002_more"])) == "pass"
    assert judged(await ask(django, expected_unapplied=["shop.0002_more", "shop.0003_gone"])) == "fail"
    assert judged(await ask(django, expected_unapplied="any")) == "unknown"


async def test_f17_unapplied_is_told_from_a_database_that_is_not_there(django: Project) -> None:
    """`migrate --check` ends with 1 for both."""
    seen = await ask(django)
    assert not (django.folder / "shop.sqlite").exists(), "asking must not make the file"
    assert seen.observed["crashed"] is True and "unapplied" not in seen.observed
    assert judged(seen) == "unknown" and judged(seen, "!crashed") == "fail"
    assert any("the part about the database ended with: FileNotFoundError" in note for note in seen.notes)
    assert seen.observed["model_drift"] == 0, "the files are judged all the same"


async def test_f17_a_model_without_its_migration_is_drift_although_nothing_is_unapplied(django: Project) -> None:
    django.python("manage.py", "migrate", "--verbosity=0")
    models = (django.folder / "shop/models.py").read_text()
    django.write("shop/models.py", models + "    price = models.IntegerField()\n")
    seen = await ask(django)
    assert (seen.observed["unapplied"], seen.observed["model_drift"]) == (0, 1)
    assert seen.observed["drift"] == ["shop: Add field price to order"]
    assert judged(seen, "as_expected && model_drift == 0") == "fail"


async def test_f18_operations_without_a_way_back_are_found(django: Project) -> None:
    before = django.commit()
    django.migration(
        "0002_ops",
        "migrations.RunPython(work), " + REVERSIBLE + ", migrations.RunSQL('select 1'),"
        "migrations.RunSQL('select 1', reverse_sql='select 1'),"
        "migrations.SeparateDatabaseAndState(database_operations=[migrations.RunPython(work)]),"
        "migrations.AddField('order', 'note', models.TextField(null=True)),"
        "migrations.AddField('order', 'price', models.IntegerField(default=0)),"
        "migrations.AddField('order', 'tax', models.IntegerField(db_default=0)),"
        "migrations.AlterField('order', 'state', models.CharField(max_length=10)),"
        "migrations.AlterField('order', 'state', models.CharField(max_length=30)),"
        "migrations.AlterField('order', 'note', models.TextField(default='')),"
        "migrations.RenameField('order', 'note', 'remark'), migrations.RemoveField('order', 'remark'),"
        "migrations.DeleteModel('Order')",
    )
    seen = await ask(django, around=between(before, django.commit()))
    assert seen.observed["new_names"] == ["shop.0002_ops"] and seen.observed["new_in_release"] == 1
    found = reasons(seen)
    assert [op for op, kind, _ in found if kind == "irreversible"] == ["RunPython", "RunSQL", "RunPython"]
    assert [(op, why) for op, kind, why in found if kind == "destructive"] == [
        ("RunSQL", "SQL without reverse_sql"),
        ("AlterField", "order.state has max_length 10, had 20"),
        ("AlterField", "order.note takes no NULL any more"),
        ("RemoveField", "order.remark and its values are gone"),
        ("DeleteModel", "the table of Order and its rows are gone"),
    ]
    assert [op for op, kind, _ in found if kind == "breaking"] == ["AddField", "RenameField"]
    assert (seen.observed["irreversible"], seen.observed["destructive"], seen.observed["breaking"]) == (3, 5, 7)
    assert judged(seen, "irreversible == 0") == "fail"


async def test_a_release_that_only_adds_can_be_undone(django: Project) -> None:
    django.migration("0002_once", "migrations.RunPython(work)")
    before = django.commit()
    django.migration("0003_note", "migrations.AddField('order', 'note', models.TextField(null=True))", "0002_once")
    django.python("manage.py", "migrate", "--verbosity=0")
    seen = await ask(django, range=f"{before}..{django.commit()}")
    assert judged(seen, "irreversible == 0", "destructive == 0", "breaking == 0", "new_in_release == 1") == "pass"
    assert seen.observed["looked_at"] == 1


async def test_where_the_migrations_of_the_release_are_not_known_none_is_reversible(django: Project) -> None:
    django.migration("0002_once", "migrations.RunPython(work)")
    after = django.commit()
    waiting = await ask(django)
    assert "irreversible" not in waiting.observed, "without a database nobody knows what waits"
    django.python("manage.py", "migrate", "--verbosity=0", "shop", "0001")
    assert (await ask(django)).observed["irreversible"] == 1
    django.python("manage.py", "migrate", "--verbosity=0")
    deployed = await ask(django, around={"deployed_at": datetime.now(UTC)})
    assert judged(deployed, "irreversible == 0") == "unknown"
    gone = await ask(django, around=between("0" * 40, after))
    assert judged(gone, "new_in_release == 0") == judged(gone, "irreversible == 0") == "unknown"
    assert "new_in_release" not in gone.observed and any("no commit here" in note for note in gone.notes)
    before = django.commit()
    django.migration("0003_more", "migrations.RunPython(work)", "0002_once")
    later = django.commit()
    (django.folder / "shop/migrations/0003_more.py").unlink()
    lacking = await ask(django, around=between(before, later))
    assert "irreversible" not in lacking.observed and "new_in_release" not in lacking.observed
    assert any("lacks 1 migrations of the release: backend/shop/migrations/0003_more.py" in n for n in lacking.notes)


async def test_a_project_without_migrations_passes_by_nothing(django: Project) -> None:
    settings = (django.folder / "site_settings.py").read_text()
    django.write("site_settings.py", settings.replace('["django.contrib.contenttypes", "shop"]', "[]"))
    with contextlib.closing(sqlite3.connect(django.folder / "shop.sqlite")) as file:
        file.execute("create table x (i)")
    seen = await ask(django)
    assert seen.observed == {"crashed": False}
    assert judged(seen) == "unknown" and "the project has no migration: nothing was looked at" in seen.notes


async def test_migrations_that_only_the_database_knows_are_foreign(django: Project) -> None:
    django.migration("0002_newer", REVERSIBLE)
    django.python("manage.py", "migrate", "--verbosity=0")
    (django.folder / "shop/migrations/0002_newer.py").unlink()
    seen = await ask(django)
    assert (seen.observed["foreign"], seen.observed["foreign_names"]) == (1, ["shop.0002_newer"])


async def test_two_branches_of_migrations_are_a_conflict(django: Project) -> None:
    django.migration("0002_left", REVERSIBLE)
    django.migration("0002_right", REVERSIBLE)
    assert (await ask(django)).observed["conflicts"] == 1


async def test_a_crash_of_the_projects_code_is_unknown_with_its_last_line(django: Project) -> None:
    django.write("shop/models.py", "import no_such_module\n")
    with pytest.raises(ProbeError) as raised:
        await ask(django)
    assert raised.value.fault == "unclear"
    assert raised.value.message.endswith(
        "the project did not load: ModuleNotFoundError: No module named 'no_such_module'"
    )
    django.write("shop/models.py", "")
    django.write("shop/migrations/0002_broken.py", "raise RuntimeError('half written')\n")
    with pytest.raises(ProbeError, match="the migrations did not load: RuntimeError: half written"):
        await ask(django)
    with pytest.raises(ProbeError, match="is in no folder of PATH") as missing:
        await ask(django, run=["no-such-python", "manage.py"])
    assert missing.value.fault == "instrument"


async def test_a_project_that_does_not_end_is_stopped(django: Project) -> None:
    django.write("shop/models.py", "import time\ntime.sleep(60)\n")
    began = time.monotonic()
    with pytest.raises(ProbeError, match="did not end in time and was stopped") as raised:
        await ask(django, seconds=1)
    assert time.monotonic() - began < 2.5 and raised.value.fault == "unclear"


async def test_a_project_that_prints_a_hundred_megabytes_is_no_answer(django: Project) -> None:
    django.write(
        "shop/models.py", "import sys\nfor _ in range(100): sys.stdout.write('x' * 1000000)\nraise ValueError('no')\n"
    )
    with pytest.raises(ProbeError, match="the project did not load: ValueError: no"):
        await ask(django)


async def test_django_on_postgresql_is_asked_without_showing_its_password(
    tmp_path: Path, postgres_server: Postgres, postgres_database: str
) -> None:
    where = f"127.0.0.1 {postgres_server.port} {postgres_database} app {PASSWORD}"
    project = django_project(tmp_path / "repo", {"SHOP_DATABASE": where})
    empty = await ask(project)
    assert judged(empty) == "fail" and "shop.0001_first" in str(empty.observed["plan"])
    tables = "select count(*) from pg_class where relname = 'django_migrations'"
    assert postgres_server.run(tables, database=postgres_database) == [(0,)], "asking made a table"
    project.python("manage.py", "migrate", "--verbosity=0")
    good = await ask(project)
    assert judged(good) == "pass"
    down = await ask(project, env={"SHOP_DATABASE": f"127.0.0.1 1 {postgres_database} app {PASSWORD}"})
    assert judged(down) == "unknown" and any("OperationalError" in note for note in down.notes)
    assert PASSWORD not in repr((empty, good, down))
    assert MigrationsProbe(tool="django", env={"A": PASSWORD}).programs()[0].env == ("A",)


# ---------------------------------------------------------------- Alembic


async def test_alembic_is_asked_through_its_own_environment(alembic: Project) -> None:
    before = alembic.commit()
    nothing = await ask(alembic, "alembic")
    assert judged(nothing) == "unknown" and not (alembic.folder / "shop.sqlite").exists()
    alembic.python("-m", "alembic", "upgrade", "head")
    good = await ask(alembic, "alembic")
    assert judged(good) == judged(good, "model_drift == 0", "!crashed") == "pass"
    column = "op.add_column('orders', sa.Column('price', sa.Integer, nullable=False))"
    alembic.revision("bbb2", column, "pass", "aaa1")
    alembic.revision("ccc3", "op.drop_column('orders', 'price')", "raise NotImplementedError", "bbb2")
    alembic.revision("ddd4", "op.execute('DELETE FROM orders')", "op.execute('select 1')", "ccc3")
    alembic.revision("eee5", "pass", "pass", "ddd4")
    seen = await ask(alembic, "alembic", around=between(before, alembic.commit()))
    assert seen.observed["plan"] == ["bbb2", "ccc3", "ddd4", "eee5"] and seen.observed["new_in_release"] == 4
    assert reasons(seen) == [
        ("downgrade", "irreversible", "downgrade() does nothing"),
        ("add_column", "breaking", "the column is required, which the release before does not know"),
        ("downgrade", "irreversible", "downgrade() raises"),
        ("drop_column", "destructive", "the column and its values are gone"),
        ("execute", "destructive", "SQL that drops or deletes"),
    ]
    assert "model_drift" not in seen.observed
    assert judged(await ask(alembic, "alembic", expected_unapplied=["bbb2", "ccc3", "ddd4", "eee5"])) == "pass"


async def test_alembic_tells_drift_branches_and_a_database_that_is_ahead(alembic: Project) -> None:
    alembic.python("-m", "alembic", "upgrade", "head")
    alembic.write(
        "models.py",
        (alembic.folder / "models.py").read_text() + "sa.Table('x', metadata, sa.Column('i', sa.Integer))\n",
    )
    drifted = await ask(alembic, "alembic")
    assert (drifted.observed["unapplied"], drifted.observed["model_drift"]) == (0, 1)
    alembic.revision("bbb2", "pass", "pass", "aaa1")
    alembic.revision("bbb3", "pass", "pass", "aaa1")
    assert (await ask(alembic, "alembic")).observed["conflicts"] == 1
    with contextlib.closing(sqlite3.connect(alembic.folder / "shop.sqlite", isolation_level=None)) as file:
        file.execute("update alembic_version set version_num = 'fff9'")
    ahead = await ask(alembic, "alembic")
    assert ahead.observed["foreign_names"] == ["fff9"] and "unapplied" not in ahead.observed
    alembic.write("alembic/env.py", "raise SystemExit('no settings')\n")
    crashed = await ask(alembic, "alembic")
    assert crashed.observed["crashed"] is True and judged(crashed) == "unknown"
    alembic.write("alembic/versions/zzz.py", "import no_such_module\n")
    with pytest.raises(ProbeError, match="the migrations did not load: ModuleNotFoundError"):
        await ask(alembic, "alembic")


# ---------------------------------------------------------------- files beside a table


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("0001_a.up.sql", "0001_a.down.sql", "0002_b.up.sql", "0003_c.up.sql", "0003_c.down.sql"):
        (tmp_path / name).write_text("select 1;")
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.sqlite", isolation_level=None)) as file:
        file.execute("create table schema_migrations (version integer)")
        file.execute("insert into schema_migrations values (1)")
    return tmp_path


async def beside(folder: Path, **keys: Any) -> Measurement:
    probe = MigrationsProbe.model_validate(
        {"tool": "table", "engine": "sqlite", "path": "shop.sqlite", "files": "*.sql", **keys}
    )
    return await probe.measure(context(root=folder))


async def test_files_are_compared_with_the_table_of_applied_ones(files: Path) -> None:
    seen = await beside(files)
    assert seen.observed["plan"] == ["0002_b.up.sql", "0003_c.up.sql"] and judged(seen) == "fail"
    assert (seen.observed["irreversible"], seen.observed["looked_at"]) == (1, 2)
    with contextlib.closing(sqlite3.connect(files / "shop.sqlite", isolation_level=None)) as file:
        file.execute("insert into schema_migrations values (2), (3), (4)")
    done = await beside(files)
    assert judged(done) == "pass" and done.observed["foreign_names"] == ["4"]
    with pytest.raises(ProbeError, match="no file matches"):
        await beside(files, files="elsewhere/*.sql")
    with pytest.raises(ProbeError, match="no such table"):
        await beside(files, table="migrations")


async def test_the_table_of_a_real_postgresql_is_read_by_its_secret(
    files: Path, postgres_server: Postgres, postgres_database: str
) -> None:
    postgres_server.run(
        *("create table schema_migrations (version bigint)", "insert into schema_migrations values (2)"),
        "grant select on schema_migrations to plain",
        database=postgres_database,
    )
    probe = MigrationsProbe(tool="table", dsn_env="DATABASE_URL", files="*.sql", keeps="latest")
    seen = await probe.measure(context(root=files, DATABASE_URL=postgres_server.dsn("plain", postgres_database)))
    assert seen.observed["plan"] == ["0003_c.up.sql"] and "foreign" not in seen.observed
    assert PASSWORD not in repr(seen)
    with pytest.raises(ProbeError) as raised:
        await probe.measure(context(root=files, DATABASE_URL=postgres_server.dsn("nobody", postgres_database)))
    assert raised.value.fault == "instrument" and PASSWORD not in str(raised.value)


def test_names_of_many_tools_are_understood() -> None:
    assert version_of("V1_2__add.sql") == (1, 2) and version_of("V2.0.1__x.sql") == (2, 0, 1)
    assert version_of("20260102030405_add_x.rb") == (20260102030405,) and version_of("add.sql") is None
    assert ups(["1.up.sql", "1.down.sql", "U1__x.sql", "V1__x.sql"]) == ("1.up.sql", "V1__x.sql")
    assert without_way_back(["V1__x.sql"]) is None and without_way_back(["1.up.sql"]) == ("1.up.sql",)
    flyway = standing(["V1__a.sql", "V1_1__b.sql", "V2__c.sql"], ["1", "1.1"], latest=False)
    assert (flyway.unapplied, flyway.foreign) == (("V2__c.sql",), ())
    named = standing(["first.sql", "second.sql"], ["first.sql"], latest=False)
    assert (named.unapplied, named.unread) == ((), ("second.sql",))
    assert standing(["1_a.sql"], [], latest=True).unapplied == ("1_a.sql",)


def test_a_step_that_cannot_be_is_refused_when_files_are_read() -> None:
    for sentence, keys in {
        "starts no program": {"tool": "table", "container": "x", "files": "*", "dsn_env": "X"},
        "needs .files.": {"tool": "table", "dsn_env": "X"},
        "needs .dsn_env.": {"tool": "table", "files": "*.sql", "engine": "sqlite", "dsn_env": "X"},
        "with tool: table only": {"tool": "django", "dsn_env": "X"},
        "has no effect without container": {"tool": "django", "host": "x"},
        "is no pattern within": {"tool": "table", "files": "../*.sql", "dsn_env": "X"},
        "is not two commits": {"tool": "django", "range": "v1"},
        "is not the name of a table": {"tool": "table", "files": "*", "dsn_env": "X", "table": 'x"; drop'},
    }.items():
        with pytest.raises(ValidationError, match=sentence):
            MigrationsProbe.model_validate(keys)


ECHO = """t=${3##*\\"mark\\": \\"}
echo "noise ${t%%\\"*}{\\"known\\": 1, \\"unapplied\\": [\\"shop.0001\\"], \\"errors\\": {}}" """


async def test_a_project_in_a_container_is_asked_there(docker_box: Box) -> None:
    docker_box.start("web", Cmd=["sleep", "300"])
    keys = {"tool": "django", "container": docker_box.name("web"), "run": ["sh", "-c", ECHO, "python"]}
    probe = MigrationsProbe.model_validate({**keys, "host": docker_box.engine.host, "cwd": "/www"})
    seen = await probe.measure(context(30))
    assert seen.observed["plan"] == ["shop.0001"] and judged(seen) == "fail"
    with pytest.raises(ProbeError, match="cannot start no-such-python"):
        await probe.model_copy(update={"run": ("no-such-python",)}).measure(context(30))


@pytest.mark.parametrize("tool", ["django", "alembic"])
def test_what_runs_inside_a_project_is_understood_by_its_older_pythons(tool: str) -> None:
    text = (Path(captain.__file__).parent / "systems" / "inside" / f"{tool}_migrations.py").read_text()
    ast.parse(text, feature_version=(3, 8))
    assert len(text) < 32 * 1024, "it is one argument of a program"


def test_a_container_makes_it_active_and_is_shown_before_it_is_trusted() -> None:
    probe = MigrationsProbe(tool="django", container="shop_backend")
    assert (probe.safety, probe.programs()[0].container) == ("active", "shop_backend")
    assert probe.programs()[0].run == ("python", "manage.py")
    assert MigrationsProbe(tool="django").safety == "read"
    assert json.dumps(probe.asks()) == '"django migrations of python manage.py in . of shop_backend"'
