"""What would make an item known that captain cannot measure here: said beside each question."""

from __future__ import annotations

from collections.abc import Sequence

from captain.probes import probes
from captain.scaffold.catalogue import Item
from captain.scaffold.offer import Offer
from captain.scaffold.offers import variable
from captain.scaffold.survey import Survey

_KINDS = {
    "infra": ("docker",),
    "db": ("sql",),
    "sec": ("report", "workflow"),
    "ci": ("workflow", "ci"),
    "mon": ("prometheus", "metrics"),
    "log": ("logs",),
    "perf": ("http",),
    "dr": ("backup",),
    "doc": ("docs", "file"),
    "scal": ("docker", "service"),
    "add": ("metrics", "http", "drill"),
    "db.backup-scripts": ("backup", "file"),
    "db.restore": ("backup", "record"),
    "db.migration-rollback": ("migrations",),
    "sec.multi-stage": ("dockerfile",),
    "sec.image-secrets": ("image",),
    "sec.named-users": ("docker", "image"),
    "sec.dockerignore": ("ignore",),
    "sec.gitignore-env": ("ignore",),
    "sec.tls-external": ("tls", "source"),
    "ci.migration-check": ("migrations", "workflow"),
    "ci.rollback": ("record",),
    "ci.zero-downtime": ("service",),
    "mon.cache": ("redis", "metrics"),
    "mon.tasks": ("queue",),
    "mon.uptime": ("ci",),
    "log.rotation": ("docker",),
    "perf.cache": ("redis",),
    "perf.image-size": ("image",),
    "perf.bundle-ci": ("workflow",),
    "dr.rto-rpo": ("record", "sql"),
    "dr.runbook": ("docs",),
    "dr.incident": ("docs",),
    "doc.api": ("http", "docs"),
    "scal.queue": ("queue",),
    "scal.lb": ("http",),
}


def lacking(item: Item, found: Survey, offers: Sequence[Offer]) -> str:
    """One or two sentences: what is missing, and what to write once it is there."""
    return f"{_missing(item, found, offers)} {_instead(item)}"


def _missing(item: Item, found: Survey, offers: Sequence[Offer]) -> str:
    absent = [kind for offer in offers for kind in offer.kinds if probes.find(kind) is None]
    if absent:
        return f"The kind {absent[0]} of another version measures it in what was found: {offers[0].why}."
    name = variable(found, "database")
    if item.about & {"postgres", "database"} and item.section == "db" and name not in found.set_variables:
        return f"Once {name} is set, captain init in a fresh copy asks the database itself."
    cache = variable(found, "redis")
    if item.about & {"redis", "queue"} and cache not in found.set_variables:
        return f"Once {cache} is set, captain init in a fresh copy asks Redis itself."
    if "containers" in item.about and found.compose and not found.containers:
        return "Once the containers run (docker compose up -d), captain init in a fresh copy asks the engine itself."
    if item.section in ("ci", "add", "sec") and not found.pipelines and "code" in item.about:
        return "No file of CI was found: once there is one, captain reads it."
    if item.section == "doc" and item.id not in found.docs:
        return "No such page was found below docs."
    return "Nothing that was found here shows it to captain."


def _instead(item: Item) -> str:
    kinds = _KINDS.get(item.id) or _KINDS[item.section]
    here = [kind for kind in kinds if probes.find(kind) is not None]
    by_hand = "A signature with evidence answers it until then"
    if not here:
        return f"{by_hand}."
    return f"{by_hand}; a probe in place of `manual` measures it: captain explain {here[0]}."
