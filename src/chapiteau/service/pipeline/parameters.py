"""The parameters of an operation: collected as text, converted all at once."""

from typing import Any

import msgspec
from msgspec.structs import asdict

from chapiteau.core.problems import did_you_mean
from chapiteau.service.declare.operation import Operation, Parameter
from chapiteau.service.declare.path import path_parameters
from chapiteau.service.declare.pydantic_types import (
    PydanticIssueCollector,
    is_pydantic,
    issue_collector,
)
from chapiteau.service.declare.validation import missing_detail, to_details
from chapiteau.service.pipeline.forms import UNREADABLE, sanitise_text
from chapiteau.service.protocol.headers import Environ, parse_cookies, parse_query
from chapiteau.service.protocol.problem import ErrorDetail

__all__ = ["ParameterPlan", "UnexpectedParameterError"]

Raw = dict[str, Any]


class UnexpectedParameterError(ValueError):
    """Parameters that have no place, or are given twice; the second pass says which."""


class _Slot:
    """Where a parameter's text goes: into the arguments, or into a group of them."""

    __slots__ = ("group", "key", "many", "moment", "nullable", "numeric", "plain")

    def __init__(self, parameter: Parameter) -> None:
        self.group = parameter.argument if parameter.field else None
        self.key = parameter.field or parameter.argument
        self.many = parameter.many
        self.numeric = parameter.has_number
        self.nullable = parameter.has_null
        self.moment = parameter.has_moment
        odd = self.many or self.numeric or self.nullable or self.moment
        self.plain = not (self.group or odd)

    def put(self, raw: Raw, value: str) -> bool:
        """False when the value can't go there: a second one, or "nan" for a number."""
        into = raw if self.group is None else raw[self.group]
        if self.numeric or self.moment:
            value = sanitise_text(value, number=self.numeric, moment=self.moment)
        if self.nullable and value.lower() == "null":
            value = UNREADABLE  # msgspec would take it for None
        if self.many:
            into.setdefault(self.key, []).append(value)
        elif self.key in into:
            return False
        else:
            into[self.key] = value
        return True


class ParameterPlan:
    """How to read the parameters of one operation."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._struct = _struct(operation)
        by: dict[str, dict[str, _Slot]] = {}
        for parameter in operation.parameters:
            by.setdefault(parameter.marker.place, {})[parameter.wire] = _Slot(parameter)
        self._query = by.get("query", {})
        self._cookies = by.get("cookie", {})
        self._headers = [(_environ_key(name), s) for name, s in by.get("header", {}).items()]
        in_path = by.get("path", {})
        self._path = [
            (index, in_path[name])
            for index, name in enumerate(path_parameters(operation.path))
            if name in in_path
        ]
        grouped = {p.argument for p in operation.parameters if p.field}
        self._places = {p.argument: p.marker.place for p in operation.parameters if p.field}
        self._groups = [name for name, _, _ in operation.arguments if name in grouped]
        self._explainers = {
            (p.marker.place, p.wire): issue_collector(p.type, strict=False)
            for p in operation.parameters
        }
        self._group_explainers = {
            name: issue_collector(kind, strict=False)
            for name, kind, _ in operation.arguments
            if name in grouped
        }
        # What msgspec can't convert: its argument is read by its own rules behind the others.
        self._own = {
            name: PydanticIssueCollector(kind, strict=False)
            for name, kind, _ in operation.arguments
            if is_pydantic(kind)
        }
        self._strict = operation.options.unknown_query == "refuse"
        self._reads_query = bool(self._query) or self._strict

    def read(self, environ: Environ, captures: list[str]) -> dict[str, Any]:
        """The handler's arguments. Raises ValueError or msgspec's errors; then ask `explain`."""
        raw: Raw = {name: {} for name in self._groups} if self._groups else {}
        for index, slot in self._path:
            if slot.plain:
                raw[slot.key] = captures[index]
            else:
                slot.put(raw, captures[index])
        if self._reads_query and (text := environ.get("QUERY_STRING")):
            self._read_query(text, raw)
        for key, slot in self._headers:
            if (given := environ.get(key)) is not None:
                slot.put(raw, given)
        if self._cookies:
            self._read_cookies(environ, raw)
        if self._struct is None:
            return raw
        made = asdict(msgspec.convert(raw, self._struct, strict=False))
        for name, own in self._own.items() if self._own else ():
            if name in raw:
                made[name] = own.read(raw[name])
        return made

    def _read_query(self, text: str, raw: Raw) -> None:
        known = self._query
        for name, value in parse_query(text):
            slot = known.get(name)
            if slot is None:
                if self._strict:
                    raise UnexpectedParameterError
            elif slot.plain and slot.key not in raw:
                raw[slot.key] = value
            elif not slot.put(raw, value):
                raise UnexpectedParameterError

    def _read_cookies(self, environ: Environ, raw: Raw) -> None:
        for name, value in parse_cookies(environ.get("HTTP_COOKIE", "")).items():
            if (slot := self._cookies.get(name)) is not None:
                slot.put(raw, value)

    # ── the bad path ─────────────────────────────────────────────────────────────────────────
    def explain(self, environ: Environ, captures: list[str]) -> list[ErrorDetail]:
        """Everything that is wrong with the parameters. Raises UnicodeDecodeError."""
        if not (self._operation.parameters or environ.get("QUERY_STRING")):
            return []
        raw: Raw = {name: {} for name in self._groups}
        found: list[ErrorDetail] = []
        for index, slot in self._path:
            slot.put(raw, captures[index])
        for name, value in (
            parse_query(environ.get("QUERY_STRING", "")) if self._reads_query else ()
        ):
            if (known := self._query.get(name)) is not None:
                if not known.put(raw, value):
                    found.append(_misplaced(name, "repeated", "is given twice"))
            elif self._strict:
                hint = did_you_mean(name, self._query)
                found.append(
                    _misplaced(name, "unknown", "is not known" + (f"; {hint}" if hint else ""))
                )
        for key, slot in self._headers:
            if key in environ:
                slot.put(raw, environ[key])
        self._read_cookies(environ, raw)
        found += [detail for p in self._operation.parameters for detail in self._explain(p, raw)]
        return found + self._explain_groups(raw, all_right=not found)

    def _explain(self, parameter: Parameter, raw: Raw) -> list[ErrorDetail]:
        into = raw.get(parameter.argument, {}) if parameter.field else raw
        key = parameter.field or parameter.argument
        place, pointer = parameter.marker.place, "/" + parameter.wire
        if parameter.field and parameter.argument in self._own:
            return []  # its model says everything
        if key not in into:
            return [missing_detail(place, pointer)] if parameter.required else []
        return to_details(place, self._explainers[place, parameter.wire](into[key]), pointer)

    def _explain_groups(self, raw: Raw, *, all_right: bool) -> list[ErrorDetail]:
        """What only a whole group knows: __post_init__ and the like; models know everything."""
        found: list[ErrorDetail] = []
        for name, explainer in self._group_explainers.items():
            if all_right or name in self._own:
                found += to_details(self._places[name], explainer(raw[name]))
        return found


def _misplaced(name: str, code: str, detail: str) -> ErrorDetail:
    return ErrorDetail(place="query", pointer="/" + name, code=code, detail=detail)


def _environ_key(header: str) -> str:
    key = header.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def _struct(operation: Operation) -> type[msgspec.Struct] | None:
    """One Struct with a field per argument, so that one conversion does them all."""
    if not operation.arguments:
        return None
    fields: list[Any] = []
    for name, given, default in operation.arguments:
        kind = Any if is_pydantic(given) else given
        if default is msgspec.NODEFAULT:
            fields.append((name, kind))
        elif isinstance(default, list | dict | set):
            fields.append((name, kind, msgspec.field(default_factory=default.copy)))
        else:
            fields.append((name, kind, default))
    return msgspec.defstruct("Arguments", fields, kw_only=True)
