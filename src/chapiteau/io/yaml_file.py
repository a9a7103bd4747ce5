"""YAML with the line of every value, so that a complaint can say where. Needs chapiteau[import]."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.core.fields import Path as KeyPath

__all__ = ["YamlText", "read_yaml"]

# The core schema of YAML 1.2 (yaml.org/spec/1.2.2, 10.3.2): `no` and `on` are words, as in the
# readers of Go and JavaScript; PyYAML alone would make booleans of them.
_NULL: Final = re.compile(r"null|Null|NULL|~|")
_BOOL: Final = {w: w.lower() == "true" for w in "true True TRUE false False FALSE".split()}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MOST: Final = 100_000  # values; aliases of aliases could ask for more than any memory
_LONGEST_NUMBER: Final = 400  # digits; longer ones stay text
_DEEPEST: Final = 100


@dataclass(frozen=True, slots=True)
class YamlText:
    """What a YAML document says, on which line each value stands, and which keys stood before."""

    data: Any
    lines: dict[KeyPath, int] = field(repr=False)
    repeated: tuple[tuple[int, KeyPath], ...] = ()  # the earlier ones; the last of equals counts


def read_yaml(text: str, name: str) -> YamlText:
    """The first document of a YAML text; `name` is the file's, for complaints.

    Nothing is ever constructed but mappings, lists and plain values. Raises UsageError with the
    line, or ChapiteauError when PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise ChapiteauError(
            f"{name}: reading YAML needs PyYAML, which is not installed",
            hint="pip install 'chapiteau[import]'",
        ) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise UsageError(
            f"{where}: not valid YAML: {exc.problem}", hint=exc.context or ""
        ) from None
    except yaml.YAMLError as exc:
        raise UsageError(f"{name}: not valid YAML: {exc}") from None
    except RecursionError:
        raise UsageError(f"{name}: is nested too deeply") from None
    building = _Building(name)
    data = None if node is None else building.value(node, ())
    return YamlText(data, building.lines, tuple(building.repeated))


class _Building:
    """Turns PyYAML's nodes into plain values and remembers lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.repeated: list[tuple[int, KeyPath]] = []
        self.count = 0

    def value(self, node: Any, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self.count += 1
        if self.count > _MOST or len(path) > _DEEPEST:
            raise UsageError(f"{self.name}:{line}: holds too many values, or too deep ones")
        if node.id == "mapping":
            return self.mapping(node, path)
        if node.id == "sequence":
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return _scalar(node)

    def mapping(self, node: Any, path: KeyPath) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, inner in node.value:
            key = str(key_node.value) if key_node.id == "scalar" else "?"
            if key == "<<" and not key_node.style:
                merged |= self.merge(inner, path)
                continue
            if key in made:
                self.repeated.append((self.lines[(*path, key)], (*path, key)))
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            made[key] = self.value(inner, (*path, key))
        return {**merged, **made}

    def merge(self, node: Any, path: KeyPath) -> dict[str, Any]:
        """`<<: *base`, or a list of them, of which the first wins."""
        parts = node.value if node.id == "sequence" else [node]
        found: dict[str, Any] = {}
        for part in reversed(parts):
            value = self.value(part, (*path, "<<"))
            if isinstance(value, dict):
                found |= value
        return found


def _scalar(node: Any) -> Any:
    text = str(node.value)
    if node.style or (node.tag == "tag:yaml.org,2002:str" and not _looks_typed(text)):
        return text
    if _NULL.fullmatch(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INTEGER.fullmatch(text) and len(text) <= _LONGEST_NUMBER:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _looks_typed(text: str) -> bool:
    # PyYAML resolves by YAML 1.1, where for example 0o17 is a word.
    return bool(_INTEGER.fullmatch(text) or _FLOAT.fullmatch(text))
