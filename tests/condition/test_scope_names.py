"""Which names exist, and of which type: from what probes declare, params, vars and the run."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import pytest

from captain.condition import CelType, ConditionError, Scope, compile_condition, declare, observes
from captain.measurement import Value


class Inner(TypedDict):
    x: int


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (float, "double"),
        (bool, "bool"),
        (str, "string"),
        (timedelta, "duration"),
        (datetime, "timestamp"),
        (Any, "dyn"),
        (object, "dyn"),
        (Value, "dyn"),
        (int | None, "int"),
        (int | str, "dyn"),
        (list[int], "list(int)"),
        (list[list[str]], "list(list(string))"),
        (list, "list(dyn)"),
        (tuple[int, ...], "list(int)"),
        (dict[str, timedelta], "map(duration)"),
        (dict[str, Any], "map(dyn)"),
        (dict, "map(dyn)"),
        (Inner, "map(dyn)"),
        (list[Inner], "list(map(dyn))"),
        (Literal["a", "b"], "string"),
        (Literal["a", 1], "dyn"),
        (Colour, "string"),
        (Annotated[int | None, "sentence"], "int"),
        (NotRequired[Annotated[int, "sentence"]], "int"),
    ],
)
def test_an_annotation_becomes_a_type(annotation: Any, name: str) -> None:
    assert str(declare(annotation)) == name


@pytest.mark.parametrize("annotation", [bytes, complex, tuple[int, str], set[int], "int", 3])
def test_what_no_condition_can_read_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError, match="conditions cannot read"):
        declare(annotation)


class Observes(TypedDict, total=False):
    size: Annotated[int, "bytes of the image"]
    age: Required[Annotated[timedelta, "since it was built"]]
    bare: bool


def test_observations_come_with_their_sentences() -> None:
    declared = observes(Observes)
    assert {name: (str(entry.type), entry.sentence) for name, entry in declared.items()} == {
        "size": ("int", "bytes of the image"),
        "age": ("duration", "since it was built"),
        "bare": ("bool", ""),
    }


def test_the_names_of_a_run_are_there_in_every_scope() -> None:
    scope = Scope.of({"": {}}, {"max": "1"}, ["url"])
    compile_condition('release.version + release.commit + release.tag + previous.version == "" && signed', scope)
    compile_condition("release.images.x == release.digests.x && previous.images.x == environment && signed", scope)
    compile_condition("vars.url == environment && params.max == 1 && now > deploy.started_at && size(last) == 0", scope)


def test_an_observation_may_not_take_the_name_of_something_else() -> None:
    with pytest.raises(ValueError, match="signed"):
        Scope.of({"": {"signed": CelType("bool")}})


def test_observation_names_may_be_words_of_the_language() -> None:
    scope = Scope.of({"": {"duration": CelType("duration"), "size": CelType("int"), "matches": CelType("int")}})
    condition = compile_condition("duration < duration('2s') && size == matches", scope)
    assert condition.evaluate({"duration": timedelta(seconds=1), "size": 2, "matches": 2}).value is True


def test_a_bare_name_in_a_step_with_named_probes_points_to_its_probe(several: Scope) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition("latency < params.rto", several)
    assert caught.value.hint == "did you mean api.latency?"
    with pytest.raises(ConditionError) as caught:
        compile_condition("shop == 200", several)
    assert (caught.value.hint or "").startswith("write shop.exists, ")


def test_an_open_scope_still_knows_what_is_not_the_probes(open_scope: Scope) -> None:
    for text, hint in (
        ("total > params.mx", "did you mean params.max?"),
        ("release.vers == total", "did you mean release.version?"),
        ("totl(total)", None),
    ):
        with pytest.raises(ConditionError) as caught:
            compile_condition(text, open_scope)
        assert caught.value.hint == hint


def test_equal_scopes_are_equal_and_different_ones_are_not(kind: dict[str, CelType]) -> None:
    assert Scope.of({"": kind}, {"a": "1"}) == Scope.of({"": dict(reversed(kind.items()))}, {"a": "1"})
    assert Scope.of({"": kind}, {"a": "1"}) != Scope.of({"": kind}, {"a": "2"})
    assert Scope.of({"": kind}) != Scope.of({"shop": kind})
    assert len({Scope.of({"": kind}, {"a": "[1]"}), Scope.of({"": kind}, {"a": "[1]"})}) == 1
