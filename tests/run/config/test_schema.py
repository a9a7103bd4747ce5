"""An editor that has the JSON Schema says of a file what `chapiteau check` says of its form."""

from __future__ import annotations

import copy
import functools
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.cli.groups import SECTIONS
from chapiteau.run.config.load import SCHEMA_URL, check_config, config_schema, load_config
from tests.house.test_docs import of
from tests.support import ROOT
from tools.gen_docs import load

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERS = {name: load(target) for name, target in SECTIONS.items()}
TEMPLATE = ROOT / "src/chapiteau/service/cli/template/chapiteau.toml"
WHOLE = [*sorted(ROOT.glob("examples/*/chapiteau.toml")), TEMPLATE]
# What `read` alone can't know, and no schema either: the rest is said by check only.
PIECES = [p.values[0].body for p in of("toml")]  # type: ignore[attr-defined]


@functools.cache
def validator() -> Any:
    schema = config_schema(OTHERS)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check(folder: Path, data: dict[str, Any]) -> list[str]:
    """What check says of a file with this content."""
    (folder / "chapiteau.toml").write_text(toml(data))
    return [problem.what for problem in check_config(folder / "chapiteau.toml", OTHERS)]


def toml(data: dict[str, Any]) -> str:
    """As one line for each section: TOML's inline tables are JSON with other marks."""
    return "".join(f"{name} = {_inline(value)}\n" for name, value in data.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def ours(text: str) -> dict[str, Any]:
    data = tomllib.loads(text)
    known = {*config_schema(OTHERS)["properties"]}
    return data if data and set(data) <= known else {}


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.parent.name)
def test_a_whole_file_is_right_for_both(path: Path, tmp_path: Path) -> None:
    data = tomllib.loads(path.read_text().replace("@package@", "shop"))
    assert [e.message for e in validator().iter_errors(data)] == []
    assert check(tmp_path, data) == []


def test_what_the_documentation_shows_is_right_for_the_schema() -> None:
    files = [data for text in PIECES if (data := ours(text))]
    assert len(files) > 40
    for data in files:
        assert [(e.message, data) for e in validator().iter_errors(data)] == []


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each setting; not of the names that people choose."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield path


def mistakes() -> list[tuple[dict[str, Any], tuple[Any, ...]]]:
    """A file that is right, and one of its settings."""
    found = [tomllib.loads(path.read_text().replace("@package@", "shop")) for path in WHOLE]
    return [(data, path) for data in found for path in leaves(data) if "env" not in path]


def put(data: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    made = copy.deepcopy(data)
    place: Any = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return made


@given(where=st.sampled_from(mistakes()), value=st.sampled_from([[[]], {"unknown": 1}, [{"x": 1}]]))
def test_a_value_of_a_wrong_kind_is_wrong_for_both(
    tmp_path_factory: pytest.TempPathFactory, where: Any, value: object
) -> None:
    wrong = put(*where, value)
    assert check(tmp_path_factory.mktemp("wrong"), wrong)
    assert not validator().is_valid(wrong)


@given(where=st.sampled_from(mistakes()), name=st.sampled_from(["unknown", "Port", "comand", ""]))
def test_a_name_that_is_none_is_wrong_for_both(
    tmp_path_factory: pytest.TempPathFactory, where: Any, name: str
) -> None:
    data, path = where
    wrong = put(data, (*path[:-1], name), "x")
    assert check(tmp_path_factory.mktemp("wrong"), wrong)
    assert not validator().is_valid(wrong)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("processes", -1),
        ("processes", "2"),
        ("stop_timeout", "10 sec"),
        ("stop_timeout", -1),
        ("stop_timeout", ""),
        ("restart", {"policy": "sometimes"}),
        ("stdin", "file"),
        ("sockets", "web"),
        ("one_shot", 1),
        ("command", 3),
        ("limits", {"memory": "64 megs"}),
        ("log", {"size": "1Mo"}),
        ("env", {"A": 1}),
        ("threads", 0),
        ("needs", [1]),
    ],
)
def test_a_wrong_value_is_wrong_for_both(key: str, value: object, tmp_path: Path) -> None:
    wrong = {"service": {"web": {"command": "true", key: value}}}
    assert check(tmp_path, wrong)
    assert not validator().is_valid(wrong)


@pytest.mark.parametrize("given", ["", "9100"])
def test_a_number_may_come_from_the_environment(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", given) if given else monkeypatch.delenv("PORT", raising=False)
    data = {
        "socket": {"web": {"port": "${env.PORT:-8000}", "nodelay": "${env.NODELAY:-false}"}},
        "service": {"web": {"command": "true", "stdin": "${env.STDIN:-pipe}", "sockets": ["web"]}},
    }
    assert [e.message for e in validator().iter_errors(data)] == []
    assert check(tmp_path, data) == []
    spec = load_config(tmp_path / "chapiteau.toml").spec
    assert (spec.socket["web"].port, spec.socket["web"].nodelay) == (int(given or 8000), False)


def test_a_variable_that_is_no_number_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "http")
    data = {"socket": {"web": {"port": "${env.PORT}"}}}
    assert check(tmp_path, data) == ["socket.web.port: must be a whole number, not 'http'"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stop_timeout", "1m30s"),
        ("stop_timeout", 2.5),
        ("stop_timeout", " 10 s "),
        ("limits", {"memory": "64MiB"}),
        ("command", ["sleep", "1"]),
        ("env", {"A": "b", "C": {"env": "D"}}),
        ("hooks", {"before_start": ["true"]}),
    ],
)
def test_a_right_value_is_right_for_both(key: str, value: object, tmp_path: Path) -> None:
    right = {"service": {"web": {"command": "true", key: value}}}
    assert [e.message for e in validator().iter_errors(right)] == []
    assert check(tmp_path, right) == []


def test_an_editor_finds_nothing_in_a_right_file_and_the_place_in_a_wrong_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "chapiteau.schema.json").write_text(json.dumps(config_schema(OTHERS)))
    head = "#:schema ./chapiteau.schema.json\n"
    for number, path in enumerate(WHOLE):
        text = path.read_text().replace(f"#:schema {SCHEMA_URL}\n", "")
        (tmp_path / f"right{number}.toml").write_text(head + text)
    (tmp_path / "wrong.toml").write_text(f"{head}[service.web]\ncommand = 'x'\nproceses = 2\n")
    said = lint(tmp_path)
    assert f"{len(WHOLE)} files linted successfully" in said
    assert "wrong.toml:4:1" in said
    assert "1 file failed" in said


def lint(folder: Path) -> str:
    command = [Path(sys.executable).with_name("tombi"), "lint", "--offline", "."]
    return subprocess.run(
        command, cwd=folder, text=True, timeout=60,
        env={**os.environ, "NO_COLOR": "1"}, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ).stdout  # fmt: skip


def test_a_new_project_names_the_schema() -> None:
    assert TEMPLATE.read_text().startswith(f"#:schema {SCHEMA_URL}\n")
