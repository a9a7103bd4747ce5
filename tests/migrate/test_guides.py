"""The migration guides say what the code does: their examples are imported, their tables are made.

RENEW_GOLDEN=1 writes both anew.
"""

from __future__ import annotations

import importlib
import re

import click
import pytest

from chapiteau.cli.groups import COMMANDS
from tests.migrate.guides import TABLES, tables
from tests.migrate.importing import RENEW, convert
from tests.support import ROOT

KINDS = sorted(TABLES)
_BLOCK = re.compile(r"`(?P<name>[\w.-]+)`:\n\n```\w+\n(?P<source>.*?)```", re.DOTALL)
_RESULT = re.compile(r"(?<=```toml\n).*?(?=```)", re.DOTALL)
_TABLES = re.compile(r"<!-- tables -->\n.*\Z", re.DOTALL)


def page(kind: str) -> str:
    return (ROOT / "docs/how-to" / f"migrate-from-{kind}.md").read_text()


def renew(kind: str, text: str) -> None:
    if RENEW:
        (ROOT / "docs/how-to" / f"migrate-from-{kind}.md").write_text(text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_is_what_the_import_makes(kind: str) -> None:
    text = page(kind)
    example = _BLOCK.search(text)
    assert example is not None
    made = convert(kind, example["source"], example["name"])
    renew(kind, _RESULT.sub(lambda _: made.toml, text, count=1))
    found = _RESULT.search(page(kind))
    assert found is not None
    assert found[0] == made.toml


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_are_those_of_the_code(kind: str) -> None:
    wanted = f"<!-- tables -->\n\n{tables(kind)}\n"
    renew(kind, _TABLES.sub(lambda _: wanted, page(kind)))
    found = _TABLES.search(page(kind))
    assert found is not None
    assert found[0] == wanted


def test_every_rule_has_words_for_its_row() -> None:
    unsaid = [
        f"{kind} {title} {name}"
        for kind, parts in TABLES.items()
        for title, rules in parts.items()
        for name, rule in rules.items()
        if not rule.description
    ]
    assert unsaid == []


def test_only_commands_that_exist_are_recommended() -> None:
    group = importlib.import_module("chapiteau.run.cli.group").group
    inside = set(group.list_commands(click.Context(group)))
    folder = ROOT / "src/chapiteau/migrate"
    code = [path for path in folder.rglob("*.*") if path.suffix in (".py", ".toml")]
    texts = [path.read_text() for path in code if path.name != "protocol.py"]
    texts += [page(kind) for kind in KINDS]
    named = {m for text in texts for m in re.findall(r"\bchapiteau (run )?([a-z]+)\b(?! →)", text)}
    unknown = {name for run, name in named if name not in (inside if run else COMMANDS)}
    assert unknown == set()
