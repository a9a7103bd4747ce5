"""Any text at all gives a valid file or a clear error: never a crash, never a broken file."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.migrate.files import KINDS, detect
from chapiteau.run.config.load import read_spec
from tests.migrate.importing import ASSETS, CASES, convert

NAMES = {
    "circus": "x.ini",
    "supervisord": "x.conf",
    "procfile": "Procfile",
    "pm2": "x.config.js",
    "process-compose": "x.yaml",
    "systemd": "x.service",
}
SCRAPS = st.sampled_from(
    [
        *"[]{}()=:;,#%$'\"\\`-\n\t ",
        *"[watcher:a] [program:a] [Service] cmd command ExecStart processes: ... <<: true".split(),
        *"%(x)s %(process_num)d ${A} $(circus.x) 1e999 infinity -1 99999999999999999999".split(),
        "null",
        "&a *a",
        "\x00",
        "é",
        "  ",
    ]
)


def check(kind: str, text: str) -> None:
    try:
        made = convert(kind, text, NAMES[kind])
    except UsageError as error:
        complaint = str(error)
    else:
        complaint = ""
    if complaint:
        assert NAMES[kind] in complaint  # it says in which file
        return
    data = tomllib.loads(made.toml)
    assert read_spec(data)[1] == []
    made.toml.encode()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(text=st.text(max_size=80) | st.lists(SCRAPS, max_size=30).map("".join))
def test_scraps_give_a_file_or_an_error(kind: str, text: str) -> None:
    check(kind, text)


WHOLE = {kind: (ASSETS / paths[0]).read_text() for kind, paths in reversed(CASES.values())}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(data=st.data())
def test_a_damaged_configuration_gives_a_file_or_an_error(kind: str, data: st.DataObject) -> None:
    text = WHOLE[kind]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.sampled_from([0, 1, 5, 40]))
        text = text[:at] + data.draw(SCRAPS) + text[at + gone :]
    check(kind, text)


PLUGIN = "[watcher:a]\ncmd = sleep 1\n[plugin:p]\nuse = circus.plugins.{}\n"
BROKEN = {  # each of these once ended in a ValueError or TypeError
    "a window that is no number": ("circus", PLUGIN.format("flapping.Flapping") + "window = [ 2"),
    "attempts that are no number": ("circus", PLUGIN.format("flapping.Flapping") + "attempts = ("),
    "a number of 5000 digits": ("pm2", f"module.exports = {{apps: [{{instances: {'9' * 5000}}}]}}"),
    "a variable with dots in its name": (
        "pm2",
        "module.exports = {apps: [{name: 'a', script: 'b', env: {'a.b.c': 1, '': {c: 1}}}]}",
    ),
    "the same in YAML": ("process-compose", f"processes:\n  a:\n    replicas: {'9' * 5000}"),
    "a port that is a list": (
        "process-compose",
        "processes:\n  a:\n    command: b\n    readiness_probe: {http_get: {port: [1]}}",
    ),
    "no line to wait for": ("process-compose", "processes:\n  a: {command: b, ready_log_line: }"),
    "no place for the log": ("process-compose", "processes:\n  a: {command: b, log_location: }"),
    "a shell without a name": (
        "process-compose",
        "processes:\n  a: {command: 'b | c', shell: {shell_command: [1]}}",
    ),
    "a condition that is a list": (
        "process-compose",
        "processes:\n  a: {command: b, depends_on: {a: {condition: [1]}}}",
    ),
    "a check that is a word": ("process-compose", "processes:\n  a: {command: b, shutdown: x}"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_once_broke_the_import_is_told_now(case: str) -> None:
    kind, text = BROKEN[case]
    check(kind, text)
    assert convert(kind, text, NAMES[kind]).of("lost")


@given(st.text(max_size=60), st.text(max_size=20))
def test_the_kind_of_any_text_is_known_or_not(text: str, name: str) -> None:
    assert detect(name, text) in {"", *KINDS}


@pytest.mark.parametrize("kind", ["pm2", "process-compose"])
def test_deep_nesting_is_an_error_and_no_crash(kind: str) -> None:
    with pytest.raises(UsageError):
        convert(kind, "[" * 5000, NAMES[kind])


def test_aliases_of_aliases_do_not_eat_the_memory() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(UsageError, match="too many values"):
        convert("process-compose", "\n".join(rows), "x.yaml")
