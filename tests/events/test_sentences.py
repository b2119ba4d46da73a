"""What the log says in plain words."""

from __future__ import annotations

from typing import Any

from captain.events import Actor, Recorded
from captain.events.sentences import _SENTENCES, attempt_titles, sentence, span
from captain.events.shapes import ENTRY_TYPES, Shape, shape_of

KAREN = Actor("karen@example.com", "git", "karen", 1000, "bastion")
DIGEST = "9f3c" + "0" * 60


def entry(of: str, /, **data: Any) -> Recorded:
    return Recorded(1, "0" * 32, "2026-11-23T14:02:07.123456Z", 1, "boot", KAREN, of, "shop-production-1.4.0", data)


def example(shape: Shape) -> Any:
    """The smallest value of a shape."""
    what, detail, nullable = shape
    if nullable:
        return None
    if what == "object":
        return {key: example(inner) for key, inner in detail.items()}
    if what == "word":
        return sorted(detail)[0]
    empty: dict[str, Any] = {"list": [], "map": {}, "I": 1, "B": False, "H": DIGEST, "V": "pass"}
    return empty.get(what, "2026-11-23T14:02:07.123456Z" if what == "S" else "text")


def test_every_entry_type_has_a_sentence_even_where_everything_optional_is_missing() -> None:
    assert set(_SENTENCES) == set(ENTRY_TYPES)
    for kind in ENTRY_TYPES:
        shape = shape_of(kind)
        assert shape is not None
        said = sentence(entry(kind, **{key: example(inner) for key, inner in shape.items()}))
        assert said and said != kind
        assert "None" not in said, (kind, said)


def test_an_entry_of_a_later_captain_shows_its_type() -> None:
    assert sentence(entry("drill.done")) == "drill.done"


def test_a_go_tells_risk_and_the_typed_name() -> None:
    event = entry(
        "gate.decision",
        section="pre",
        decision="go",
        note="",
        counted=[],
        risk=["lint: fail"],
        overridden=[],
        confirmed="production",
        no_way_back=None,
        opens="deploy",
    )
    assert (
        sentence(event, {"pre": "Pre-deployment"}) == "go for Pre-deployment, with risk: lint: fail, typed production"
    )


def test_an_attempt_is_told_by_the_title_of_its_step() -> None:
    intent = entry("action.intent", attempt="a1", step="roll-out", part=None)
    ended = entry(
        "action.finished",
        attempt="a1",
        outcome="exited",
        exit_code=0,
        signal=None,
        duration_ms=108_000,
        survivors=[],
    )
    titles = attempt_titles([intent], {"roll-out": "Roll out the new version"})
    assert sentence(ended, titles) == "Roll out the new version exited with 0 after 1 m 48 s"


def test_row_50_outside_text_stays_one_displayable_line() -> None:
    said = sentence(entry("step.note", step=None, text="[b]x[/]\n\x1b[2J\u202e", evidence=[]))
    assert said == "note: [b]x[/]␊␛[2J\\u{202e}"


def test_lengths_of_time_read_as_people_say_them() -> None:
    assert [span(ms) for ms in (812, 1500, 41_000, 108_000, 120_000, 7_500_000, 12 * 86_400_000)] == [
        "812 ms",
        "1.5 s",
        "41 s",
        "1 m 48 s",
        "2 m",
        "2 h 5 m",
        "12 d",
    ]
