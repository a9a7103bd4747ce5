"""OpenAPI documents in several files → one: a `$ref` to a file becomes one within the document."""

import json
import posixpath
from collections.abc import Callable, Mapping
from typing import Any, Final

from chapiteau.core.problems import InvalidInputError, Problem
from chapiteau.load.inputs.openapi.reader import parse_document
from chapiteau.load.inputs.schema_references import MISSING_FILE, json_pointer
from chapiteau.load.inputs.url_encoding import unquote, url_origin

__all__ = ["bundle_document"]

_KEY: Final = "x-chapiteau-files"  # where the other files stand in the one that comes of it
_MOST: Final = 2_000  # files
_ENDINGS: Final = (".json", ".yaml", ".yml")

ReadText = Callable[[str], str]  # of a path relative to the document; raises OSError


def bundle_document(text: str, read: ReadText) -> tuple[str, tuple[Problem, ...]]:
    """The document with all that it refers to, and what could not be had.

    The text comes back as it is when it names no other file, or is no OpenAPI document at all.
    """
    if "$ref" not in text:
        return text, ()
    try:
        root = parse_document(text)
    except InvalidInputError:
        return text, ()  # whoever reads it next says what is wrong
    work = _Bundle(read)
    made = work.moved(root, "", "#")
    while work.pending:
        work.load(work.pending.pop())
    if not work.files:
        return text, tuple(work.problems)
    return json.dumps({**made, _KEY: work.files}), tuple(work.problems)


class _Bundle:
    def __init__(self, read: ReadText) -> None:
        self._read = read
        self.files: dict[str, Any] = {}
        self.pending: list[str] = []
        self.problems: list[Problem] = []
        self._asked: dict[str, str] = {}  # by which file each was referred to first

    def load(self, path: str) -> None:
        """Read a file, and move what it refers to."""
        try:
            raw: Any = parse_document(self._read(path), path)
        except OSError as exc:
            hint = f"{self._asked[path]} refers to it"
            self.problems.append(Problem(path, exc.strerror or str(exc), hint))
            self.files[path] = {MISSING_FILE: True}
        except InvalidInputError as exc:
            self.problems += [Problem(path, p.what, p.hint) for p in exc.problems]
            self.files[path] = {MISSING_FILE: True}
        else:
            self.files[path] = self.moved(raw, path, json_pointer(_KEY, path))

    def moved(self, node: Any, file: str, where: str) -> Any:
        """The same with references that hold in the one document; `file` is where it stood."""
        if isinstance(node, Mapping):
            made = {key: self.moved(value, file, where) for key, value in node.items()}
            if isinstance(node.get("$ref"), str):
                made["$ref"] = self.target(node["$ref"], file, where)
            names = node.get("mapping")
            if isinstance(names, Mapping) and isinstance(node.get("propertyName"), str):
                made["mapping"] = {  # of a discriminator: names of schemas, or references
                    key: self.target(to, file, where) if _is_reference(to) else to
                    for key, to in names.items()
                }
            return made
        if isinstance(node, list):
            return [self.moved(item, file, where) for item in node]
        return node

    def target(self, reference: str, file: str, where: str) -> str:
        """Where the reference leads to now; as it was, when that is beyond this machine's files."""
        path, _, fragment = reference.partition("#")
        if not path:
            return where + fragment if fragment.startswith("/") or not fragment else reference
        if url_origin(path) or path.startswith("/"):
            return reference
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), unquote(path)))
        if not path.lower().endswith(_ENDINGS):
            return reference
        if path not in self.files:
            if len(self.files) >= _MOST:
                return reference
            self.files[path] = {}
            self._asked[path] = file or "the document"
            self.pending.append(path)
        return json_pointer(_KEY, path) + (fragment if fragment.startswith("/") else "")


def _is_reference(text: Any) -> bool:
    return isinstance(text, str) and ("#" in text or text.lower().endswith(_ENDINGS))
