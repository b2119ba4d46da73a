"""Real Django and Alembic projects for tests, made in a folder that is a git repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.git_repo import Repo

MANAGE = """\
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
from django.core.management import execute_from_command_line
print("something that a project prints")
execute_from_command_line(sys.argv)
"""
SETTINGS = """\
import os
SECRET_KEY = "x"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
if os.environ.get("SHOP_DATABASE"):
    host, port, name, user, password = os.environ["SHOP_DATABASE"].split(" ")
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": host, "PORT": port, "NAME": name,
                             "USER": user, "PASSWORD": password}}
else:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shop.sqlite")
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}}
"""
MODELS = """\
from django.db import models
class Order(models.Model):
    state = models.CharField(max_length=20)
"""
FIRST = """\
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.CreateModel("Order", [
        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("state", models.CharField(max_length=20)),
    ])]
"""


@dataclass
class Project:
    """One project in `root`/`folder`."""

    root: Path
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self) -> str:
        """Commit everything; the commit's id."""
        repo = Repo(self.root)
        repo.git("add", "--all")
        repo.git("commit", "--quiet", "--allow-empty", "--message", "work")
        return repo.git("rev-parse", "HEAD")

    def python(self, *arguments: str) -> None:
        """Run the project's Python in its folder."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **self.env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def migration(self, name: str, operations: str, after: str = "0001_first") -> None:
        """A migration of Django's app shop; `operations` are the elements of its list."""
        self.write(
            f"shop/migrations/{name}.py",
            "from django.db import migrations, models\n"
            "def work(apps, editor): pass\n"
            "class Migration(migrations.Migration):\n"
            f"    dependencies = [('shop', '{after}')]\n"
            f"    operations = [{operations}]\n",
        )

    def revision(self, name: str, up: str, down: str, after: str | None, head: str = "") -> None:
        """A revision of Alembic's."""
        self.write(
            f"alembic/versions/{name}_x.py",
            f"from alembic import op\nimport sqlalchemy as sa\nrevision = {name!r}\ndown_revision = {after!r}\n{head}\n"
            f"def upgrade():\n    {up}\n\ndef downgrade():\n    {down}\n",
        )


def django_project(root: Path, env: Mapping[str, str] | None = None) -> Project:
    """A project with one model and its first migration, committed; its database has nothing yet."""
    made = Project(_repository(root), root / "backend", env or {})
    made.write("manage.py", MANAGE)
    made.write("site_settings.py", SETTINGS)
    made.write("shop/__init__.py", "")
    made.write("shop/models.py", MODELS)
    made.write("shop/migrations/__init__.py", "")
    made.write("shop/migrations/0001_first.py", FIRST)
    made.commit()
    return made


ENV = """\
from alembic import context
from sqlalchemy import create_engine
import models
print("something that a project prints")
engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=models.metadata)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
TABLES = """\
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))
"""


def alembic_project(root: Path) -> Project:
    """A project with one table and its first revision `aaa1`, committed; its database has nothing yet."""
    made = Project(_repository(root), root / "backend")
    made.write("alembic.ini", "[alembic]\nscript_location = alembic\nsqlalchemy.url = sqlite:///shop.sqlite\n")
    made.write("alembic/env.py", ENV)
    made.write("models.py", TABLES)
    table = "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))"
    made.revision("aaa1", table, "op.drop_table('orders')", None)
    made.commit()
    return made


def _repository(root: Path) -> Path:
    Repo(root).write(".gitignore", "*.sqlite\n__pycache__\n")
    return root
