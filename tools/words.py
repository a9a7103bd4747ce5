"""Words that the house does not use for public names, and sentences that help and pages don't say.

    python tools/words.py [FOLDER]    prints every place where one stands; exit code 1 then

A name is what people of the field would look for (docs/glossary.md): a noun for a thing, a verb
that says the effect for a function. `REMAINDER` counts what is left of earlier names; it only
shrinks: lower a number when you rename one, and delete its line when none is left.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MODULES", "NAMES", "REMAINDER", "SENTENCES", "TYPES", "refused"]

MODULES: Final = frozenset(
    "ahead answering around beside byways choosing common conduct crew crowd dealing deaths "
    "deeds drops farewell finding ground handed happening hearing helpers inside intake "
    "knocks lane lanes ledger leftovers levelling lingering lot manager meeting memo misc "
    "parcels partly past patience picture plumbing reception renewal rescue rhythm room shelf "
    "slot spread strays succession surroundings team telling term turned utils waldb walk".split()
)

TYPES: Final = frozenset(
    "Ahead Around Arriving Beside Book Broken Byways Center Crew Crowd Cure Deaths Deed Door "
    "Drops Ending FastLane Following Gate Ground Hand Happening Hearing Intake Kit Knocks "
    "Lane Ledger Lingering Older Onlooker Past Patience PerProcess Play Port Postman "
    "Reception Remark Rhythm Roll Room RowTotal Shelf Slot Spare Spread Surroundings Tally "
    "Team Term Trouble UnkeptCapture Volume Walk Wanted Watchman".split()
)

# Of functions, methods and parameters.
NAMES: Final = frozenset(
    "ask asked asking beside calm conduct deed deeds end_leftovers farewell finding hear "
    "heard hearing in_brief keeper_words last_words let_go likely_cause look make_way meeting "
    "own_services papers partly picture put_away say speak strays take_handed tell telling "
    "told together turned who words written".split()
)

# How many places still have such a name.
REMAINDER: Final[dict[str, int]] = {
    "ask": 6,
    "asked": 3,
    "beside": 1,
    "farewell": 1,
    "finding": 1,
    "hear": 2,
    "heard": 1,
    "look": 6,
    "meeting": 1,
    "say": 7,
    "tell": 5,
    "told": 6,
    "turned": 2,
    "who": 32,
    "words": 9,
    "written": 2,
}

SENTENCES: Final = (
    "At most so many",
    "Be at a process",
    "Become the supervisor in this",
    "brought out",
    "can't act now",
    "can't be wanted",
    "Empty this server",
    "Ends by themselves",
    "Every problem of a chapiteau.toml",
    "failures in a row count",
    "Give up waiting after",
    "Go on with what comes",
    "half a character",
    "info and worse",
    "Is this machine fit",
    "is not possible here",
    "Know thyself",
    "known to nobody",
    "Many servers on one page",
    "No server fits",
    "papers stay good",
    "Say how a service should be",
    "slip of the finger",
    "So many more (",
    "So much more",
    "somehow",
    "Take up work again",
    "Teach your shell",
    "The supervisor: every other command",
    "this hub can look",
    "Want nothing of",
    "went under water",
    "What runs, and what is wrong",
    "with a door for nodes",
)
_READ: Final = (
    "src/chapiteau",
    "docs/how-to",
    "docs/tutorial",
    "docs/reference",
    "docs/explanation",
    "ui/src",
)


def refused(root: Path) -> list[str]:
    """Each place below `root` with a refused word: `path: what`."""
    found: list[str] = []
    names: Counter[str] = Counter()
    for path in sorted((root / "src/chapiteau").rglob("*.py")):
        place = str(path.relative_to(root))
        found += [
            f"{place}: module {part}" for part in path.with_suffix("").parts if part in MODULES
        ]
        for kind, name in _public(ast.parse(path.read_text(encoding="utf-8"))):
            if kind == "type" and name in TYPES:
                found.append(f"{place}: class {name}")
            elif kind == "name" and name in NAMES:
                names[name] += 1
    for name, count in sorted(names.items()):
        if count > REMAINDER.get(name, 0):
            found.append(f"src/chapiteau: {name}: {count} times, at most {REMAINDER.get(name, 0)}")
    sentence = re.compile("|".join(map(re.escape, SENTENCES)))
    for folder in _READ:
        for path in sorted(
            p for p in (root / folder).rglob("*.*") if p.suffix in {".py", ".md", ".tsx", ".ts"}
        ):
            text = path.read_text(encoding="utf-8")
            found += [f"{path.relative_to(root)}: {m[0]!r}" for m in sentence.finditer(text)]
    return found


def _public(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Classes, functions, methods and their parameters that don't begin with an underscore."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            if node.name[0] != "_":
                yield "type", node.name
                yield from _public(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name[0] != "_":
                yield "name", node.name
                given = node.args
                for one in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                    yield "name", one.arg
        elif isinstance(node, ast.If | ast.Try):
            yield from _public(node)


def main(folder: str = ".") -> int:
    """Print what is refused; 1 when there is any such thing."""
    found = refused(Path(folder).resolve())
    for one in found:
        print(one)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
