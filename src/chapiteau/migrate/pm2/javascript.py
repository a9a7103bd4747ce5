"""JavaScript files that export a value: their literals, and nothing that would have to run.

Strings, numbers, objects, lists, constants, templates, `+`, `||`, `??`, `process.env.NAME` and
`__dirname`, and `apps.push({…})`. What would have to run comes back as a `Dynamic`, so that one
computed value does not spoil the rest of the file. Needs chapiteau[import].
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.migrate.source import KeyPath, Source, Tree, unreadable

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["Conditional", "Dynamic", "EnvDefault", "node_hint", "read_javascript"]

_WORDS: Final = {"true": True, "false": False, "null": None, "undefined": None, "NaN": float("nan")}
_JSON: Final = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*[\[{]", re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r?\n|.)", re.DOTALL
)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_OWN_FOLDER: Final = re.compile(
    r"import\.meta\.dirname|(?:path\.)?dirname\(fileURLToPath\(import\.meta\.url\)\)"
)
_DEPTH: Final = 150  # deeper nesting is no configuration, and would exhaust Python's stack
_LONGEST_NUMBER: Final = 400  # digits: far beyond what any setting means


@dataclass(frozen=True, slots=True)
class Dynamic:
    """An expression that only a running JavaScript could work out."""

    code: str


@dataclass(frozen=True, slots=True)
class EnvDefault:
    """`process.env.NAME || "default"`: an environment variable with a value for its absence."""

    name: str
    default: Any

    def __str__(self) -> str:
        """As a variable of ours."""
        default = self.default if isinstance(self.default, str | int | float) else ""
        default = str(default).lower() if isinstance(default, bool) else str(default)
        return f"${{env.{self.name}:-{default}}}" if default else f"${{env.{self.name}}}"


@dataclass(frozen=True, slots=True)
class Conditional:
    """A member of a list that JavaScript takes or leaves: `condition && {…}`, `.filter(…)`."""

    value: Any
    code: str  # by what


class _NotStatic(Exception):  # noqa: N818 — never leaves this module
    """This expression can't be read without running it."""


def node_hint(source: Source) -> str:
    """The hint for a file whose value only node itself can tell."""
    name = source.name.rpartition("/")[2]
    line = f"node -p 'JSON.stringify(require(\"./{name}\"))' > apps.json"
    return f"let node do it, where it runs: `{line}`, then import apps.json"


def read_javascript(source: Source) -> Tree:
    """The exported value of a JavaScript file, or the value of a JSON file, with its lines.

    Raises UsageError with the line for what is not JavaScript or exports nothing, and
    ChapiteauError when the parser is not installed.
    """
    try:
        import tree_sitter
        import tree_sitter_javascript
    except ImportError:
        raise ChapiteauError(
            f"{source.name}: reading JavaScript needs tree-sitter, which is not installed",
            hint="pip install 'chapiteau[import]'",
        ) from None
    json = _JSON.match(source.text) is not None
    text = f"({source.text})" if json else source.text
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_javascript.language()))
    root = parser.parse(text.encode("utf-8", "surrogatepass")).root_node
    if root.has_error:
        raise _syntax_error(source, root)
    return _Reader(source).read(root, json=json)


def _syntax_error(source: Source, node: "Node") -> Exception:
    while inner := [c for c in node.children if c.has_error or c.is_missing or c.type == "ERROR"]:
        node = inner[0]
    what = "this is not valid JavaScript"
    if node.is_missing:
        what = f"{node.type.strip()!r} was expected here"
    last = node.children[-1] if node.children else node  # what was still understood
    return unreadable(source.where(last.start_point.row + 1), what)


def _text(node: "Node") -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _named(node: "Node") -> "list[Node]":
    return [child for child in node.named_children if child.type != "comment"]


class _Reader:
    """Follows the statements of a file up to its export."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: dict[str, Any] = {"__dirname": source.folder or "."}
        self.lines: dict[KeyPath, int] = {}
        self.repeated: list[tuple[int, KeyPath]] = []
        self.not_run: list[tuple[int, str]] = []  # line and code of what changes a known value
        self._depth = 0

    def read(self, root: "Node", *, json: bool) -> Tree:
        for statement in _named(root):
            exported = self._exported(statement, json=json)
            if exported is not None:
                return self._tree(self.value(exported, ()))
            self.statement(statement, [])
        raise unreadable(
            self.source.name,
            "exports nothing that can be read without running it",
            "write the value as a literal: module.exports = { apps: [ … ] }",
        )

    def _exported(self, statement: "Node", *, json: bool) -> "Node | None":
        inner = _named(statement)[0] if _named(statement) else None
        if statement.type == "export_statement":
            return statement.child_by_field_name("value")
        if statement.type != "expression_statement" or inner is None:
            return None
        if json:
            return inner
        if inner.type == "assignment_expression" and _text(inner.children[0]) in (
            "module.exports",
            "exports",
        ):
            return inner.children[2]
        return None

    def _tree(self, value: Any) -> Tree:
        if isinstance(value, Dynamic):
            raise unreadable(
                self.source.where(self.lines.get((), 1)),
                f"the exported value would have to be computed: {value.code[:60]}",
                node_hint(self.source),
            )
        return Tree(
            data=value,
            lines=self.lines,
            not_run=tuple(self.not_run),
            repeated=tuple(self.repeated),
        )

    # ── statements ──────────────────────────────────────────────────────────────────────────
    def statement(self, node: "Node", within: list[str]) -> None:
        """Constants and `apps.push({…})` are followed; what else changes a known value is noted."""
        if node.type in ("lexical_declaration", "variable_declaration"):
            for declared in _named(node):
                self._declare(declared)
        elif node.type == "if_statement":
            condition = _text(node).partition(_text(node.named_children[0]))[0]
            code = condition + _text(node.named_children[0])
            for child, word in zip(_named(node)[1:], (code, "else"), strict=False):
                self.statement(child, [*within, word])
        elif node.type in ("statement_block", "else_clause"):
            for child in _named(node):
                self.statement(child, within)
        elif not (node.type == "expression_statement" and self._push(_named(node)[0], within)):
            self._note_changes(node, set())

    def _declare(self, node: "Node") -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None or value is None:
            return
        if name.type == "object_pattern":
            if _text(value) == "process.env":
                for part in _named(name):
                    self._pick(part)
        else:
            with self._aside():
                self.names[_text(name)] = self.value(value, ())

    def _pick(self, part: "Node") -> None:
        """One of `const { A, B = "b", C: c } = process.env`."""
        target, default = part, None
        variable = _text(part)
        if part.type == "pair_pattern":
            target, variable = _named(part)[1], _text(_named(part)[0])
        if target.type in ("object_assignment_pattern", "assignment_pattern"):
            target, default = _named(target)
            variable = variable if part.type == "pair_pattern" else _text(target)
        with self._aside():
            value = "" if default is None else self.value(default, ())
        if not isinstance(value, Dynamic):
            self.names[_text(target)] = EnvDefault(variable, value)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Lines of what is not in the exported value itself are not kept."""
        kept, self.lines = self.lines, {}
        try:
            yield
        finally:
            self.lines = kept

    def _push(self, node: "Node", within: list[str]) -> bool:
        if node.type != "call_expression":
            return False
        name, _, method = _text(node.children[0]).partition(".")
        known = self.names.get(name)
        if method != "push" or not isinstance(known, list):
            return False
        with self._aside():
            for argument in _named(node.children[-1]):
                value = self._member(argument, (name,))
                for code in within:
                    value = Conditional(value, code)
                known.append(value)
        return True

    def _note_changes(self, node: "Node", noted: set[str]) -> None:
        name, code = self._changed(node), _text(node)
        if name and name not in noted:
            noted.add(name)
            self.not_run.append((node.start_point.row + 1, code))
        for child in node.named_children:
            self._note_changes(child, noted)

    def _changed(self, node: "Node") -> str:
        """The known list or object that an assignment or a call changes."""
        target = node.children[0] if node.children else node
        if node.type == "call_expression":
            arguments = _named(node.children[-1])
            if _text(target) == "Object.assign" and arguments:
                target = arguments[0]
            elif not _text(target).endswith((".push", ".unshift", ".splice")):
                return ""
        elif node.type not in ("assignment_expression", "augmented_assignment_expression"):
            return ""
        while target.type in ("member_expression", "subscript_expression"):
            target = target.children[0]
        return _text(target) if isinstance(self.names.get(_text(target)), list | dict) else ""

    # ── values ──────────────────────────────────────────────────────────────────────────────
    def value(self, node: "Node", path: KeyPath) -> Any:
        """A value, or a Dynamic with the code of the expression."""
        self.lines[path] = node.start_point.row + 1
        self._depth += 1
        if self._depth > _DEPTH:
            raise unreadable(self.source.where(self.lines[path]), "is nested too deeply")
        try:
            read = getattr(self, f"read_{node.type}", None)
            return read(node, path) if read else Dynamic(_text(node))
        except _NotStatic:
            return Dynamic(_text(node))
        finally:
            self._depth -= 1

    def _static(self, node: "Node", path: KeyPath = ()) -> Any:
        value = self.value(node, path)
        if isinstance(value, Dynamic):
            raise _NotStatic
        return value

    def read_object(self, node: "Node", path: KeyPath) -> dict[str, Any]:
        made: dict[str, Any] = {}
        own: set[str] = set()
        for part in _named(node):
            if part.type == "spread_element":
                spread = self.value(part.named_children[0], (*path, "..."))
                made |= spread if isinstance(spread, Mapping) else {f"...{len(made)}": spread}
                continue
            key, value = _named(part)[:2] if part.type == "pair" else (part, None)
            name = _text(part.child_by_field_name("name") or key)
            name = _unescape(name[1:-1]) if key.type == "string" else name
            if name in own:
                self.repeated.append((self.lines[(*path, name)], (*path, name)))
            own.add(name)
            if value is not None:
                made[name] = self.value(value, (*path, name))
            else:  # shorthand: { env } is { env: env }
                self.lines[(*path, name)] = part.start_point.row + 1
                made[name] = self.names.get(name, Dynamic(_text(part)))
        return made

    def read_array(self, node: "Node", path: KeyPath) -> list[Any]:
        made: list[Any] = []
        for part in _named(node):
            if part.type == "spread_element":
                spread = self.value(part.named_children[0], (*path, len(made)))
                made += spread if isinstance(spread, list) else [spread]
            else:
                made.append(self._member(part, (*path, len(made))))
        return made

    def _member(self, node: "Node", path: KeyPath) -> Any:
        """One of a list; of `condition && {…}` the object."""
        if node.type == "binary_expression" and node.children[1].type == "&&":
            left, operator, right = node.children
            if right.type == "object":
                length = operator.end_byte - left.start_byte
                code = (node.text or b"")[:length].decode("utf-8", "replace")
                return Conditional(self.value(right, path), code)
        return self.value(node, path)

    def read_identifier(self, node: "Node", _path: KeyPath) -> Any:
        name = _text(node)
        if name in _WORDS:
            return _WORDS[name]
        if name not in self.names:
            raise _NotStatic
        return self.names[name]

    read_true = read_false = read_null = read_undefined = read_identifier

    def read_string(self, node: "Node", _path: KeyPath) -> str:
        return _unescape(_text(node)[1:-1])

    def read_number(self, node: "Node", _path: KeyPath) -> int | float:
        return _number(_text(node))

    def read_unary_expression(self, node: "Node", _path: KeyPath) -> int | float:
        value = self._static(node.children[1])
        if node.children[0].type != "-" or not isinstance(value, int | float):
            raise _NotStatic
        return -value

    def read_template_string(self, node: "Node", _path: KeyPath) -> str:
        pieces = []
        raw, last = node.text or b"", 1
        for hole in (c for c in node.named_children if c.type == "template_substitution"):
            start = hole.start_byte - node.start_byte
            pieces.append(_unescape(raw[last:start].decode("utf-8", "replace")))
            last = hole.end_byte - node.start_byte
            value = self._static(_named(hole)[0])
            if isinstance(value, bool):
                raise _NotStatic
            pieces.append(_as_text(value))
        return "".join(pieces) + _unescape(raw[last:-1].decode("utf-8", "replace"))

    def read_parenthesized_expression(self, node: "Node", path: KeyPath) -> Any:
        return self.value(_named(node)[0], path)

    def read_binary_expression(self, node: "Node", path: KeyPath) -> Any:
        operator = node.children[1].type
        if operator not in ("+", "||", "??"):
            raise _NotStatic
        left, right = self._static(node.children[0], path), self._static(node.children[2])
        if operator == "+":
            if isinstance(left, int | float) and isinstance(right, int | float):
                return left + right
            return f"{_as_text(left)}{_as_text(right)}"
        if isinstance(left, EnvDefault):
            return EnvDefault(left.name, right)
        return left or right if operator == "||" else (right if left is None else left)

    def read_member_expression(self, node: "Node", _path: KeyPath) -> Any:
        code = _text(node)
        if code.startswith("process.env.") and code.count(".") == 2:
            return EnvDefault(code.removeprefix("process.env."), "")
        if _OWN_FOLDER.fullmatch(code):
            return self.source.folder or "."
        raise _NotStatic

    def read_call_expression(self, node: "Node", _path: KeyPath) -> Any:
        function, arguments = node.children[0], _named(node.children[-1])
        name = _text(function)
        if _OWN_FOLDER.fullmatch(_text(node)):
            return self.source.folder or "."
        if name in ("path.join", "path.resolve"):
            return _joined([self._static(argument) for argument in arguments])
        if name in ("parseInt", "Number", "String") and arguments:
            value = self._static(arguments[0])  # who reads the value converts it anyway
            if isinstance(value, EnvDefault | str | int | float):
                return value
        if function.type == "member_expression" and name.endswith(".filter") and arguments:
            return self._filtered(node, function, arguments[0])
        raise _NotStatic

    def _filtered(self, node: "Node", function: "Node", by: "Node") -> list[Any]:
        """`.filter(…)` of a list: every member is there, and says by what it might be left out."""
        members = self._static(function.children[0])
        if not isinstance(members, list):
            raise _NotStatic
        if _text(by) == "Boolean":
            return [one for one in members if one not in (None, False, "", 0)]
        length = function.children[0].end_byte - node.start_byte
        code = (node.text or b"")[length:].decode("utf-8", "replace").strip()
        return [Conditional(one, code) for one in members]


def _joined(parts: list[Any]) -> str:
    """path.join("a", "b") and path.resolve(__dirname, "b") of plain texts."""
    if not all(isinstance(part, str) for part in parts):
        raise _NotStatic
    joined: str = parts[0] if parts else "."
    for part in parts[1:]:
        joined = f"{joined.rstrip('/')}/{part.removeprefix('./').lstrip('/')}"
    return joined


def _as_text(value: Any) -> str:
    if isinstance(value, str | int | float | EnvDefault):
        return str(value)
    raise _NotStatic


def _number(text: str) -> int | float:
    """0x1F, 1_000, .5, 1e3."""
    digits = text.replace("_", "").lower()
    if len(digits) > _LONGEST_NUMBER:
        return float("inf")
    try:
        if digits[:2] in ("0x", "0o", "0b"):
            return int(digits, 0)
        return float(digits) if "." in digits or "e" in digits else int(digits)
    except ValueError:  # 1n
        raise _NotStatic from None


def _unescape(text: str) -> str:
    """What stands between the quotes, as it is meant."""

    def one(match: re.Match[str]) -> str:
        what = match[1]
        if what[0] in "ux" and len(what) > 1:
            point = int(what[1:].strip("{}"), 16)
            return chr(point) if point < 0x110000 else "\ufffd"
        return "" if what in ("\n", "\r\n") else _PLAIN.get(what, what)

    # Two \uXXXX may be the halves of one character; a lone half is none at all.
    return _ESCAPE.sub(one, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
