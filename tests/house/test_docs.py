"""Documentation can't lie: links lead somewhere, examples fit the code, nothing is left out.

Fenced blocks are checked by their language (CONTRIBUTING.md tells writers):
`python` compiles and its `chapiteau` imports exist; `toml` with a section of chapiteau.toml is read
by the real reader; in `console` every `$ chapiteau …` line is parsed by the real commands.
A comment `<!-- run -->` before a python block runs it; `<!-- not checked: why -->` leaves one out.
"""

import ast
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from chapiteau.cli.groups import COMMANDS, main
from chapiteau.core.fields import read
from chapiteau.dash.settings import Dash, HubSettings
from chapiteau.load.settings import LoadTest
from chapiteau.run.config.load import SECTIONS, read_spec
from tests.support import ROOT
from tools import gen_docs

DOCS = ROOT / "docs"
PAGES = sorted(
    [p for p in DOCS.rglob("*.md") if "_build" not in p.parts]
    + [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "bench/README.md")]
    + list(ROOT.glob("examples/*/README.md"))
)
_FENCE = re.compile(
    r"(?ms)^(?P<fill>`{3,}|:{3,})\s*(?P<lang>[\w{}-]*)[^\n]*\n(?P<body>.*?)^(?P=fill)\s*$"
)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    lang: str
    body: str
    before: str  # the line above it

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def checked(self) -> bool:
        return "<!-- not checked:" not in self.before


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            head = text[: match.start()]
            yield Block(
                page,
                head.count("\n") + 2,
                match["lang"],
                match["body"],
                (head.rstrip("\n").splitlines() or [""])[-1],
            )


def of(*langs: str) -> list[object]:
    found = [b for b in blocks() if b.lang in langs and b.checked]
    return [pytest.param(b, id=b.place) for b in found]


@pytest.mark.parametrize("block", of("python"))
def test_python_compiles_and_its_imports_exist(block: Block) -> None:
    tree = ast.parse(block.body, block.place)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chapiteau"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("chapiteau"):
                    importlib.import_module(alias.name)


@pytest.mark.parametrize("block", [p for p in of("python") if "<!-- run -->" in p.values[0].before])
def test_python_that_is_marked_runs(block: Block) -> None:
    subprocess.run([sys.executable, "-c", block.body], check=True, timeout=60, cwd=ROOT)


@pytest.mark.parametrize("block", of("toml"))
def test_chapiteau_toml_is_read_without_a_problem(block: Block) -> None:
    data = tomllib.loads(block.body)
    ours = {name: value for name, value in data.items() if name in SECTIONS}
    # A piece of a file may point to services and sockets that stand elsewhere in it.
    elsewhere = ("is not a", "does not exist", "unknown", "no such", "no socket", "no service")
    _, problems = read_spec(ours)
    assert [p for p in problems if not any(word in p.what for word in elsewhere)] == []
    for section, kind in (("dash", Dash), ("hub", HubSettings)):
        assert read(kind, data.get(section, {}))[1] == []
    for part in data.get("load", {}).values():
        assert read(LoadTest, part)[1] == []


def command_lines() -> Iterator[tuple[str, str]]:
    for block in blocks():
        if block.lang == "console" and block.checked:
            joined = block.body.replace("\\\n", " ")
            for line in joined.splitlines():
                if line.startswith(("$ chapiteau ", "# chapiteau ")):
                    yield block.place, line[2:]


@pytest.mark.parametrize(
    ("place", "line"), [pytest.param(*c, id=f"{c[0]} {c[1]}") for c in command_lines()]
)
def test_commands_are_what_the_command_line_takes(place: str, line: str) -> None:
    words = shlex.split(re.split(r"\s(?:\||>|2>|&&|&|;|#)\s?", line + " ")[0])[1:]
    command: click.Command = main
    context = click.Context(main, info_name="chapiteau")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        inner = command.get_command(context, name)
        assert inner is not None, f"{place}: no command {name!r}"
        command, context = inner, click.Context(inner, parent=context, info_name=name)
    if words and words[0] in getattr(command, "others", {}):  # `chapiteau import cornice`
        module, _, name = command.others[words.pop(0)].partition(":")  # type: ignore[attr-defined]
        command = getattr(importlib.import_module(module), name)
    known = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)} | {
        "--help",
        "-h",
        "--version",
    }
    for word in words:
        if word == "--":
            break
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"{place}: {command.name} has no {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in _LINK.finditer(text):
        target = match["target"].partition("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_of_the_documentation_has_one_title() -> None:
    for page in DOCS.rglob("*.md"):
        if "_build" in page.parts:
            continue
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, page


def test_reference_pages_are_as_fresh_as_the_code() -> None:
    # In a process of its own: what other tests leave in this one changes how help is laid out.
    script = ROOT / "tools" / "gen_docs.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(gen_docs.PAGES) <= {p.name for p in (DOCS / "reference").iterdir()}


def test_every_command_is_on_the_reference_page() -> None:
    page = (DOCS / "reference" / "commands.md").read_text()
    assert [name for name in COMMANDS if f"\n## chapiteau {name}\n" not in page] == []


def test_the_map_of_the_house_names_every_wing_and_folder() -> None:
    readme = (ROOT / "README.md").read_text()
    folders = [p.name for p in (ROOT / "src/chapiteau").iterdir() if (p / "__init__.py").exists()]
    assert [name for name in folders if f"{name}/" not in readme] == []
    for folder in ("docs", "examples", "bench", "tools", "tests", "ui", "changes"):
        assert f"{folder}/" in readme


def test_decisions_are_numbered_once() -> None:
    numbers = [p.name[:4] for p in (DOCS / "decisions").glob("[0-9]*.md")]
    assert len(numbers) == len(set(numbers))
    assert all(
        re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", p.name) for p in (DOCS / "decisions").glob("[0-9]*")
    )


def test_every_failure_of_the_catalogue_has_a_test_that_makes_it() -> None:
    page = (DOCS / "explanation" / "what-happens-when.md").read_text()
    rows = re.findall(r"(?m)^\| F(\d+) \|.*\| ([^|]*) \|$", page)
    # F54 and F55 are about new releases, which nothing brings onto servers yet.
    assert [int(number) for number, _ in rows] == [*range(1, 54), 56, 57, 58]
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"(?m)^(?:async )?def (test_\w+)\(", path.read_text())
    }
    for number, cell in rows:
        named = re.findall(r"`(test_\w+)`", cell)
        assert named, f"F{number} names no test"
        assert set(named) <= there, f"F{number}: {set(named) - there}"
