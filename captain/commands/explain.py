"""captain explain: what a probe or a rollback strategy takes, sees and expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from captain.loader.explaining import Explained, Row


@click.command("explain")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Explain a kind of probe or a rollback strategy; without NAME list them all."""
    from captain.loader.explaining import explain_probe, explain_strategy
    from captain.loader.kinds import NOT_YET, Kinds
    from captain.loader.problems import nearest
    from captain.probes import RESERVED, probes
    from captain.rollbacks import RESERVED as RESERVED_STRATEGIES
    from captain.rollbacks import strategies

    if name is None:
        _list()
        return
    kind, strategy = probes.find(name), strategies.find(name)
    pages = [_page(explain_probe(kind))] if kind is not None else []
    pages += [_page(explain_strategy(strategy))] if strategy is not None else []
    if not pages and name in RESERVED | RESERVED_STRATEGIES:
        family = "probe" if name in RESERVED else "rollback strategy"
        pages = [f"{name} ({family}): {NOT_YET}. Files may name it; a step that does is unknown."]
    if not pages:
        from captain.errors import UsageError
        from captain.safe import safe

        known = [*Kinds.names(), *Kinds.strategy_names()]
        raise UsageError(
            f'nothing is called "{safe(name, 60)}"', hint=nearest(name, known) or "captain explain lists all"
        )
    click.echo("\n\n".join(pages))


def _list() -> None:
    from captain.loader.wording import summary
    from captain.probes import RESERVED, probes
    from captain.rollbacks import RESERVED as RESERVED_STRATEGIES
    from captain.rollbacks import strategies

    for title, registry, later in (
        ("Probes", probes, RESERVED),
        ("Rollback strategies", strategies, RESERVED_STRATEGIES),
    ):
        click.echo(title)
        names = registry.names()
        for name in names:
            click.echo(f"  {name:<14}{summary(registry.find(name) or object)}")
        rest = sorted(later - set(names))
        if rest:
            click.echo(f"  not yet: {', '.join(rest)}")
        click.echo()
    click.echo("captain explain NAME says what it takes, what it sees, and shows an example.")


def _page(found: Explained) -> str:
    """One kind on one page."""
    parts = [f"{found.name} ({found.family})", found.text]
    parts += [f"Takes\n{_table(found.parameters)}"] if found.parameters else []
    parts += [f"Sees\n{_table(found.observes)}"] if found.observes else []
    parts += [f"Expects, where you say nothing\n{_indented(found.default_expect)}"] if found.default_expect else []
    parts += [f"Knows\n{_indented(found.facts)}"] if found.facts else []
    parts += [f"Example\n{_indented(found.example.splitlines())}"] if found.example else []
    return "\n\n".join(part for part in parts if part)


def _table(rows: tuple[Row, ...]) -> str:
    names = max(len(row.name) for row in rows)
    kinds = min(max(len(row.type) for row in rows), 28)
    lines = []
    for row in rows:
        if row.default == "required":
            rest = ["required", row.sentence]
        else:
            rest = [row.sentence, f"(default {row.default})" if row.default else ""]
        lines.append(f"  {row.name:<{names}}  {row.type:<{kinds}}  {'  '.join(filter(None, rest))}".rstrip())
    return "\n".join(lines)


def _indented(lines: tuple[str, ...] | list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)
