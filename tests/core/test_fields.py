"""Settings declared once: reading, complaining, reference lines and JSON Schema."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.fields import (
    Duration,
    Rate,
    Setting,
    Size,
    json_schema,
    read,
    setting,
    settings,
)
from chapiteau.core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    file: str = setting("", help="A file.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    name: str = setting(help="Its name.")
    wait: Duration = setting("90s", help="How long.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    needed: int = setting(help="Must be there.", low=0, high=10)
    text: str = setting("x", help="Some text.")
    flag: bool = setting(False, help="On or off.")
    ratio: float = setting(0.5, help="A share.", low=0, high=1)
    wait: Duration = setting("1m30s", help="A time.", low=1)
    room: Size = setting("64MiB", help="A size.")
    pace: Rate = setting("30/min", help="A rate.")
    kind: Literal["a", "b", 3, True] = setting("a", help="One of them.")
    words: tuple[str, ...] = setting(("p", "q"), help="Some words.", example='words = ["w"]')
    times: tuple[Duration, ...] = setting((), help="Some times.")
    command: str | tuple[str, ...] = setting("", help="Text or list.")
    env: dict[str, str | Reference] = setting(factory=dict, help="Variables.")
    inner: Inner | None = setting(None, help="A table.")
    table: Reference = setting(factory=Reference, help="A table that is always there.")
    tables: dict[str, Inner] = setting(factory=dict, help="Tables by name.")
    anything: Any = setting(None, help="Whatever it is.")
    label: Annotated[str, "a note"] = setting("", help="An annotated string.")
    computed: str = field(default="no setting", init=False)


def problems_of(raw: object) -> dict[str, str]:
    value, found = read(Everything, raw)
    assert (value is None) == bool(found)
    return {problem.where: problem.what for _, problem in found}


def good(**more: object) -> Everything:
    value, found = read(Everything, {"needed": 1, **more})
    assert value is not None, found
    return value


def test_defaults_are_read_as_people_would_write_them() -> None:
    value = good()
    assert (value.wait, value.room, value.pace) == (90.0, 64 << 20, 0.5)
    assert (value.command, value.env, value.inner, value.table) == ("", {}, None, Reference())


def test_values_are_read_with_their_units() -> None:
    value = good(wait="2m", room="1K", pace=5, ratio=1, times=["1s", 2], anything=[1])
    assert (value.wait, value.room, value.pace, value.ratio) == (120.0, 1024, 5.0, 1.0)
    assert value.times == (1.0, 2.0)
    assert isinstance(value.ratio, float)


@pytest.mark.parametrize("command", ["a b", ["a", "b"]])
def test_a_union_takes_the_branch_that_fits(command: object) -> None:
    assert good(command=command).command == (command if command == "a b" else ("a", "b"))


def test_tables_become_dataclasses() -> None:
    value = good(inner={"name": "n"}, tables={"t": {"name": "m", "wait": 3}}, env={"A": "x"})
    assert value.inner == Inner(name="n", wait=90.0)
    assert value.tables == {"t": Inner(name="m", wait=3.0)}
    assert good(env={"A": {"file": "f"}}).env == {"A": Reference(file="f")}


def test_a_dataclass_that_is_ready_is_taken_as_it_is() -> None:
    ready = Inner(name="n", wait=1.0)
    assert good(inner=ready).inner is ready


@pytest.mark.parametrize(
    ("raw", "where", "what"),
    [
        ({}, "needed", "must be given"),
        ({"needed": True}, "needed", "must be a whole number, not True"),
        ({"needed": 1.5}, "needed", "must be a whole number, not 1.5"),
        ({"needed": 11}, "needed", "must be 10 or less, not 11"),
        ({"needed": -1}, "needed", "must be 0 or more, not -1"),
        ({"text": 1}, "text", "must be a string, not 1"),
        ({"flag": "yes"}, "flag", "must be true or false, not 'yes'"),
        ({"flag": 1}, "flag", "must be true or false, not 1"),
        ({"ratio": True}, "ratio", "must be a number, not True"),
        ({"ratio": 2}, "ratio", "must be 1 or less, not 2.0"),
        ({"ratio": math.nan}, "ratio", "must be a finite number, not nan"),
        ({"wait": math.inf}, "wait", "inf is no finite number"),
        ({"wait": "1ms"}, "wait", "must be 1 or more, not 0.001"),
        ({"kind": "c"}, "kind", "must be one of 'a', 'b', 3, True, not 'c'"),
        ({"kind": 1}, "kind", "must be one of 'a', 'b', 3, True, not 1"),
        ({"kind": []}, "kind", "must be one of 'a', 'b', 3, True, not []"),
        ({"words": "w"}, "words", "must be a list, not 'w'"),
        ({"words": ["w", 1]}, "words.1", "must be a string, not 1"),
        ({"command": 5}, "command", "must be a string or a list, not 5"),
        ({"command": ["a", 5]}, "command.1", "must be a string, not 5"),
        ({"env": []}, "env", "must be a table, not a list"),
        ({"env": {"A": 5}}, "env.A", "must be a string or a table, not 5"),
        ({"env": {"A": {"fil": ""}}}, "env.A.fil", "is not a known setting"),
        ({"inner": {}}, "inner.name", "must be given"),
        ({"inner": 5}, "inner", "must be a table, not 5"),
        ({"tables": {"t": {"name": 5}}}, "tables.t.name", "must be a string, not 5"),
        ({"tables": {"t": 1}}, "tables.t", "must be a table, not 1"),
        ({"computed": "x"}, "computed", "is not a known setting"),
    ],
)
def test_each_complaint_has_its_path(raw: dict[str, object], where: str, what: str) -> None:
    assert problems_of({**({"needed": 1} if raw else {}), **raw}) == {where: what}


def test_a_file_that_is_no_table_is_one_problem() -> None:
    assert problems_of([1]) == {"": "must be a table, not a list"}


def test_an_unlike_pair_of_complaints_is_told_one_after_the_other() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        odd: Duration | Literal["off"] = setting("off", help="A time or off.")

    _, found = read(Odd, {"odd": "on"})
    assert [str(p).partition("; or ")[2] for _, p in found] == ["must be one of 'off', not 'on'"]


def test_every_problem_is_found_at_once() -> None:
    raw = {
        "text": 1,
        "tex": 1,
        "words": [1, "w", 2],
        "env": {"A": 1, "B": 2},
        "inner": {"name": 1, "wait": "x"},
    }
    assert set(problems_of(raw)) == {
        "needed",
        "text",
        "tex",
        "words.0",
        "words.2",
        "env.A",
        "env.B",
        "inner.name",
        "inner.wait",
    }


def test_a_mistyped_key_names_the_nearest_known_one() -> None:
    _, found = read(Everything, {"needed": 1, "comand": "x"})
    assert [(path, p.hint) for path, p in found] == [(("comand",), "did you mean 'command'?")]


def test_a_setting_that_must_be_given_says_what_it_is() -> None:
    _, found = read(Everything, {}, ("service", "web"))
    assert [(p.where, p.hint) for _, p in found] == [("service.web.needed", "Must be there.")]


def test_an_unreadable_kind_is_named_by_its_own_name() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Hidden:
        key: Secret = setting(help="A secret.")

    _, found = read(Hidden, {"key": "plain"})
    assert "must be a secret" in found[0][1].what
    assert read(Hidden, {"key": Secret("x")})[0] == Hidden(key=Secret("x"))


# ── reference lines ──────────────────────────────────────────────────────────────────────────
def test_settings_tell_name_type_default_help_and_example() -> None:
    lines = {line.name: line for line in settings(Everything)}
    assert lines["needed"] == Setting(
        name="needed",
        type="integer",
        default="",
        help="Must be there.",
        example="",
        required=True,
    )
    assert lines["words"].example == 'words = ["w"]'
    assert "computed" not in lines


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("text", "string", '"x"'),
        ("flag", "boolean", "false"),
        ("ratio", "number", "0.5"),
        ("wait", "duration", '"1m30s"'),
        ("room", "size", '"64MiB"'),
        ("pace", "rate", '"30/min"'),
        ("kind", '"a" | "b" | 3 | true', '"a"'),
        ("words", "list of string", '["p", "q"]'),
        ("times", "list of duration", "[]"),
        ("command", "string or list of string", '""'),
        ("env", "table of string or table", "{}"),
        ("inner", "table", ""),
        ("table", "table", ""),
        ("anything", "any", ""),
        ("label", "string", '""'),
    ],
)
def test_types_and_defaults_are_shown_as_toml(name: str, kind: str, default: str) -> None:
    line = next(line for line in settings(Everything) if line.name == name)
    assert (line.type, line.default) == (kind, default)


def test_numbers_with_units_are_shown_with_them() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Bare:
        wait: Duration = setting(90.0, help="…")
        room: Size = setting(1024, help="…")
        cap: Size | None = setting(None, help="…")
        on: bool = setting(True, help="…")

    assert [line.default for line in settings(Bare)] == ['"1m30s"', '"1KiB"', "", "true"]


# ── JSON Schema ──────────────────────────────────────────────────────────────────────────────
def test_the_schema_is_valid_and_carries_help_and_what_is_required() -> None:
    schema = json_schema(Everything)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["needed"]
    assert schema["properties"]["needed"]["description"] == "Must be there."
    assert schema["additionalProperties"] is False


def test_a_field_without_help_is_in_the_schema_but_not_on_the_reference_page() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Quiet:
        key: int = 3

    assert json_schema(Quiet)["properties"]["key"]["default"] == 3
    assert list(settings(Quiet)) == []


words = st.text(max_size=3)
numbers = st.one_of(st.integers(-3, 12), st.floats(-1, 12), st.booleans())
anything = st.one_of(st.none(), numbers, words, st.lists(words, max_size=2), st.just({}))
valid = st.fixed_dictionaries(
    {"needed": st.integers(0, 10)},
    optional={
        "text": words,
        "flag": st.booleans(),
        "ratio": st.floats(0, 1) | st.integers(0, 1),
        "wait": st.sampled_from(["90s", "2m", 7]),
        "room": st.sampled_from(["1K", 3]),
        "kind": st.sampled_from(["a", "b", 3, True]),
        "words": st.lists(words, max_size=3),
        "command": words | st.lists(words, max_size=3),
        "env": st.dictionaries(words, words | st.builds(lambda f: {"file": f}, words), max_size=2),
        "inner": st.fixed_dictionaries({"name": words}),
    },
)


@given(valid)
def test_what_is_valid_reads_and_the_schema_agrees(raw: dict[str, object]) -> None:
    assert problems_of(raw) == {}
    jsonschema.validate(raw, json_schema(Everything))


@given(st.dictionaries(st.sampled_from([*Everything.__dataclass_fields__, "unknown"]), anything))
def test_whatever_is_read_satisfies_the_schema(raw: dict[str, object]) -> None:
    value, found = read(Everything, raw)
    assert (value is None) == bool(found)
    if value is not None:
        jsonschema.validate(raw, json_schema(Everything))


def test_a_table_that_can_not_be_left_out_is_a_defect_and_says_so() -> None:
    @dataclass(frozen=True)
    class Inner:
        must: int = setting(help="x")

    @dataclass(frozen=True)
    class Outer:
        inner: Inner = setting(factory=Inner, help="x")

    with pytest.raises(AssertionError, match=r"Outer\.inner: a default that can't be"):
        read(Outer, {})
