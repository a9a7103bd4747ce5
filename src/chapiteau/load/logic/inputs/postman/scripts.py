"""The two things that test scripts of collections mostly do, read from their text, never run.

`pm.environment.set("token", json.access_token)` keeps a value of the answer for later requests;
`pm.response.to.have.status(201)` and `pm.response.code … 201` say which status is good.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Kept", "Script", "read_script", "value_at"]

_ANSWER: Final = re.compile(
    r"(?:const|let|var)\s+(\w+)\s*=\s*(?:pm\.response\.json\(\)|JSON\.parse\(\s*responseBody\s*\))"
)
_SET: Final = re.compile(
    r"""(?:pm\.(?:environment|collectionVariables|globals|variables)\.set"""
    r"""|postman\.set(?:Environment|Global)Variable)\(\s*["']([^"']+)["']\s*,\s*"""
    r"""(pm\.response\.json\(\)|\w+)((?:\??\.\w+|\[\d+\]|\[["'][^"']+["']\])+)"""
)
_STATUS: Final = re.compile(
    r"(?:to\.have\.status\(|responseCode\.code\s*===?\s*|response\.code\s*===?\s*"
    r"|response\.code\)\.to\.(?:eql|equal)\()\s*(\d{3})"
)
_STEP: Final = re.compile(r"""\.(\w+)|\[(\d+)\]|\[["']([^"']+)["']\]""")
# Whatever else a script calls is told as left out.
_ELSE: Final = re.compile(r"pm\.sendRequest|setNextRequest|pm\.execution|pm\.require|CryptoJS")


@dataclass(frozen=True, slots=True)
class Kept:
    """A variable that takes its value from an answer's JSON."""

    variable: str
    steps: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """What a request's scripts come to."""

    kept: tuple[Kept, ...] = ()
    statuses: frozenset[int] = frozenset()
    beyond: str = ""  # a call that is not followed


def read_script(text: str) -> Script:
    """What a script keeps and expects."""
    answers = {m[1] for m in _ANSWER.finditer(text)}
    kept = tuple(
        Kept(m[1], _steps(m[3]))
        for m in _SET.finditer(text)
        if m[2] in answers or m[2].startswith("pm.")
    )
    beyond = _ELSE.search(text)
    statuses = frozenset(int(m[1]) for m in _STATUS.finditer(text))
    return Script(kept, statuses, beyond[0] if beyond else "")


def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(int(m[2]) if m[2] else (m[1] or m[3]) for m in _STEP.finditer(path))


def value_at(answer: Any, steps: tuple[str | int, ...]) -> Any:
    """The value that the steps lead to; None when there is none."""
    node = answer
    for step in steps:
        if isinstance(node, Mapping) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return None
    return node
