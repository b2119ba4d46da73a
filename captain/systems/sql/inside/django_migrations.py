"""Run by the project's own Python through `manage.py shell`: what its migrations are, as one line of JSON.

Reads only. Knows nothing of captain, and must run with every Django since 4.2. What crashes is told by part, so that
a database that does not answer hides nothing of what the files say.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connections, migrations
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState


def said(error: Any) -> Any:
    """The end of a traceback as one line, which is what a person looks at first."""
    return " ".join("".join(traceback.format_exception_only(type(error), error)).split())[:500]


def report(asked: Any) -> Any:
    told: dict[str, Any] = {"tool": "django", "errors": {}}
    wanted = set(asked["files"])
    loader = part(told, "files", lambda: MigrationLoader(None, ignore_no_migrations=True))
    if loader is None:
        return told
    told["known"] = len(loader.disk_migrations)
    told["conflicts"] = len(loader.detect_conflicts())
    told["new"] = sorted(name(key) for key, one in loader.disk_migrations.items() if of(one, wanted))
    told["found"] = sorted(file for file in wanted if any(of(one, {file}) for one in loader.disk_migrations.values()))
    unapplied = part(told, "database", lambda: applied(asked["database"], told))
    part(told, "models", lambda: drift(loader, told))
    looked_at = {*told["new"], *(unapplied or ())}
    part(told, "operations", lambda: told.update(findings=findings(loader, looked_at), looked_at=sorted(looked_at)))
    return told


def part(told: Any, what: Any, work: Any) -> Any:
    """One part of the report; a crash of it is told and keeps the others."""
    try:
        return work()
    except (Exception, SystemExit) as error:
        told["errors"][what] = said(error)
        return None


def name(key: Any) -> Any:
    return f"{key[0]}.{key[1]}"


def of(migration: Any, files: Any) -> Any:
    """Whether the migration's module is one of those files, wherever the project lies in the repository."""
    path = type(migration).__module__.replace(".", "/") + ".py"
    return any(file == path or file.endswith("/" + path) for file in files)


def applied(database: Any, told: Any) -> Any:
    """Asks the database what it has; the names of what it lacks, in the order they would be applied."""
    connection = connections[database]
    path = str(connection.settings_dict.get("NAME") or "")
    if connection.vendor == "sqlite" and path and path != ":memory:" and not path.startswith("file:"):
        # Connecting would make an empty file.
        Path(path).open("rb").close()
    executor = MigrationExecutor(connection)
    executor.loader.check_consistent_history(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    unapplied = [name((one.app_label, one.name)) for one, _ in plan]
    known = {*executor.loader.disk_migrations, *executor.loader.graph.nodes}
    known |= {old for one in executor.loader.disk_migrations.values() for old in one.replaces}
    there = executor.recorder.applied_migrations()
    told["applied"] = len(there)
    told["foreign"] = sorted(name(key) for key in there if key not in known and key[0] in executor.loader.migrated_apps)
    told["unapplied"] = unapplied
    return unapplied


def drift(loader: Any, told: Any) -> Any:
    """Changes of the models that no migration file has."""
    questioner = MigrationQuestioner(specified_apps=set(), dry_run=True)
    detector = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps), questioner)
    changes = detector.changes(graph=loader.graph)
    told["drift"] = [
        f"{label}: {operation.describe()}"
        for label, made in sorted(changes.items())
        for one in made
        for operation in one.operations
    ]


def findings(loader: Any, looked_at: Any) -> Any:
    found = []
    for key in sorted(loader.disk_migrations):
        if name(key) not in looked_at:
            continue
        migration = loader.disk_migrations[key]
        state = loader.project_state(key, at_end=False) if key in loader.graph.nodes else None
        for operation, in_database, in_state in flat(migration.operations):
            for kind, reason in judged(key[0], operation, state) if in_database else ():
                found.append({"migration": name(key), "op": type(operation).__name__, "kind": kind, "reason": reason})
            if in_state and state is not None:
                operation.state_forwards(key[0], state)
    return found


def flat(operations: Any) -> Any:
    """Each operation with whether it happens in the database and whether in the models."""
    for operation in operations:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            # Django takes the whole for reversible, whatever is in it.
            for inner, in_database, _ in flat(operation.database_operations):
                yield inner, in_database, False
            for inner, _, in_state in flat(operation.state_operations):
                yield inner, False, in_state
        else:
            yield operation, True, True


def judged(app: Any, operation: Any, state: Any) -> Any:
    """What stands in the way back from one operation, as (kind, reason)."""
    if not operation.reversible:
        yield "irreversible", "cannot be undone: " + operation.describe()
    if isinstance(operation, migrations.RunSQL) and operation.reverse_sql is None:
        yield "destructive", "SQL without reverse_sql"
    elif isinstance(operation, migrations.DeleteModel):
        yield "destructive", f"the table of {operation.name} and its rows are gone"
    elif isinstance(operation, migrations.RemoveField):
        yield "destructive", f"{operation.model_name}.{operation.name} and its values are gone"
    elif isinstance(operation, (migrations.RenameField, migrations.RenameModel)):
        yield "breaking", "the release before knows the old name only"
    elif isinstance(operation, migrations.AddField):
        field = operation.field
        default = getattr(field, "db_default", None)
        given = default is not None and getattr(default, "__name__", "") != "NOT_PROVIDED"
        if not field.null and not field.many_to_many and not given:
            yield (
                "breaking",
                f"{operation.model_name}.{operation.name} is required, which the release before does not know",
            )
    elif isinstance(operation, migrations.AlterField):
        reason = narrowed(app, operation, state)
        if reason:
            yield "destructive", reason


def narrowed(app: Any, operation: Any, state: Any) -> Any:
    """Why fewer values fit into a field than before, None where they all do."""
    model = state.models.get((app, operation.model_name.lower())) if state is not None else None
    before = model.fields.get(operation.name) if model is not None else None
    after, where = operation.field, f"{operation.model_name}.{operation.name}"
    if before is None:
        return f"{where} is altered, and what it was is not known"
    if before.get_internal_type() != after.get_internal_type():
        return f"{where} becomes {after.get_internal_type()}, was {before.get_internal_type()}"
    if before.null and not after.null:
        return f"{where} takes no NULL any more"
    if after.unique and not before.unique:
        return f"{where} must be unique now"
    for limit in ("max_length", "max_digits", "decimal_places"):
        old, new = getattr(before, limit, None), getattr(after, limit, None)
        if new is not None and (old is None or new < old):
            return f"{where} has {limit} {new}, had {old}"
    return None


def main(asked: Any) -> None:
    """Answer; called with the question by what captain puts behind this text."""
    sys.stdout.write("\n" + asked["mark"] + json.dumps(report(asked)) + "\n")
    sys.stdout.flush()
