"""One compiled plan per service: what remains to be done when a request comes.

Everything that can be decided at start is decided here: one Struct for all parameters, one
decoder for the body, one encoder, the header list. Both lanes run the same plan.
"""

from collections.abc import Callable
from hashlib import blake2b
from io import BytesIO
from typing import Any, Final

import msgspec
from msgspec.structs import asdict
from webob.response import Response as BaseResponse

from chapiteau.core.problems import did_you_mean
from chapiteau.service.engine.reply import Reply, request_id, status_line
from chapiteau.service.engine.service import Service
from chapiteau.service.errors import DeclarationError
from chapiteau.service.logic.answer import Answer
from chapiteau.service.logic.conditional import Precondition, not_modified, quote_tag
from chapiteau.service.logic.explain import explain
from chapiteau.service.logic.operation import BodySpec, Operation, Parameter
from chapiteau.service.logic.path import names_in
from chapiteau.service.logic.problem import Detail, ProblemError, problem_for
from chapiteau.service.logic.query import cookies, media_type, pairs

__all__ = ["InvalidRequestError", "MalformedRequestError", "OperationPlan", "ServicePlan"]

Environ = dict[str, Any]
_JSON: Final = ("application/json", "")
_FAILURES: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class InvalidRequestError(ProblemError):
    """The request can be read, but says something that can't be (422)."""

    status = 422
    code = "invalid-request"
    title = "The request is not valid"


class MalformedRequestError(ProblemError):
    """The request can't even be read (400)."""

    status = 400
    code = "malformed-request"
    title = "The request can't be read"


class _Slot:
    """Where a parameter's text goes."""

    __slots__ = ("finite", "group", "key", "many", "parameter")

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self.group = parameter.argument if parameter.field else None
        self.key = parameter.field or parameter.argument
        self.many = parameter.many


class OperationPlan:
    """How to run one operation."""

    def __init__(self, operation: Operation, *, max_body: int) -> None:
        self.operation = operation
        self.max_body = max_body
        self._handler = operation.handler
        self._args = _struct(operation)
        _prove(operation)
        by = {place: {} for place in ("path", "query", "header", "cookie")}
        for parameter in operation.parameters:
            by[parameter.marker.place][parameter.wire] = _Slot(parameter)
        self._query: dict[str, _Slot] = by["query"]
        self._cookies: dict[str, _Slot] = by["cookie"]
        self._headers = [(_environ_key(name), slot) for name, slot in by["header"].items()]
        self._path = [(i, by["path"].get(name)) for i, name in enumerate(names_in(operation.path))]
        self._groups = [
            name
            for name, _, _ in operation.arguments
            if any(p.argument == name and p.field for p in operation.parameters)
        ]
        self._strict_query = operation.options.unknown_query == "refuse"
        self._body = _BodyPlan(operation.body, max_body) if operation.body else None
        self._encode = msgspec.json.Encoder().encode
        etag = operation.options.etag
        self._etag = etag if callable(etag) else None
        self._content_tag = etag == "content"
        self._status = status_line(operation.status)
        self._reads = operation.method in ("GET", "HEAD")

    def __repr__(self) -> str:
        return f"<OperationPlan {self.operation.method} {self.operation.path}>"

    # ── the good path ────────────────────────────────────────────────────────────────────────
    def run(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        """A Reply, or a Response that the handler made itself. Raises ProblemError."""
        raw: dict[str, Any] = {}
        try:
            arguments = {} if self._args is None else self._arguments(environ, captures, raw)
            if self._body is not None:
                arguments[self._body.argument] = self._body.read(environ)
        except _FAILURES as exc:
            raise self._complaint(environ, captures, exc) from None
        operation = self.operation
        if operation.context_argument is not None:
            arguments[operation.context_argument] = request.context
        if operation.precondition_argument is not None:
            arguments[operation.precondition_argument] = Precondition(
                environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
            )
        if operation.request_argument is None:
            value = self._handler(**arguments)
        else:
            arguments[operation.request_argument] = request
            value = self._handler(**arguments)
        return self._reply(value, environ)

    def _arguments(
        self, environ: Environ, captures: list[str], raw: dict[str, Any]
    ) -> dict[str, Any]:
        for name in self._groups:
            raw[name] = {}
        found = self._collect(environ, captures, raw)
        if found:
            raise _CollectedError(found)
        return asdict(msgspec.convert(raw, self._args, strict=False))

    def _collect(self, environ: Environ, captures: list[str], raw: dict[str, Any]) -> list[Detail]:
        """Put every parameter's text at its place in `raw`; what can't be placed is a Detail."""
        found: list[Detail] = []
        for index, slot in self._path:
            if slot is not None:
                (raw if slot.group is None else raw[slot.group])[slot.key] = captures[index]
        if self._query or self._strict_query:
            text = environ.get("QUERY_STRING")
            if text:
                self._collect_query(text, raw, found)
        for key, slot in self._headers:
            value = environ.get(key)
            if value is not None:
                (raw if slot.group is None else raw[slot.group])[slot.key] = value
        if self._cookies:
            for name, value in cookies(environ.get("HTTP_COOKIE", "")).items():
                if (slot := self._cookies.get(name)) is not None:
                    (raw if slot.group is None else raw[slot.group])[slot.key] = value
        return found

    def _collect_query(self, text: str, raw: dict[str, Any], found: list[Detail]) -> None:
        for name, value in pairs(text):
            slot = self._query.get(name)
            if slot is None:
                if self._strict_query:
                    hint = did_you_mean(name, self._query)
                    found.append(
                        Detail(
                            place="query",
                            pointer="/" + name,
                            code="unknown",
                            detail=f"is not known; {hint}" if hint else "is not known",
                        )
                    )
                continue
            into = raw if slot.group is None else raw[slot.group]
            if slot.many:
                into.setdefault(slot.key, []).append(value)
            elif slot.key in into:
                found.append(
                    Detail(
                        place="query", pointer="/" + name, code="repeated", detail="is given twice"
                    )
                )
            else:
                into[slot.key] = value

    # ── the answer ───────────────────────────────────────────────────────────────────────────
    def _reply(self, value: Any, environ: Environ) -> Any:
        status, extra, tag = self._status, None, None
        if isinstance(value, Answer | BaseResponse | Reply):
            if not isinstance(value, Answer):
                return value
            if value.status is not None:
                status = status_line(value.status)
            extra, tag, value = value.headers, value.etag, value.value
        if tag is None and self._etag is not None and value is not None:
            made = self._etag(value)
            tag = None if made is None else str(made)
        own = request_id(environ)
        if value is None and status.startswith("204"):
            headers = [("X-Request-ID", own)]
            body = b""
        else:
            body = self._encode(value)
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("X-Request-ID", own),
            ]
        if tag is None and self._content_tag:
            tag = blake2b(body, digest_size=8).hexdigest()
        if extra:
            headers.extend(extra.items())
        if tag is not None:
            quoted = quote_tag(tag)
            headers.append(("ETag", quoted))
            if self._reads and not_modified(environ.get("HTTP_IF_NONE_MATCH"), quoted):
                kept = [h for h in headers if h[0] not in ("Content-Type", "Content-Length")]
                return Reply("304 Not Modified", kept, b"")
        return Reply(status, headers, body)

    # ── the bad path: look at everything again, slowly ───────────────────────────────────────
    def _complaint(self, environ: Environ, captures: list[str], cause: Exception) -> ProblemError:
        if isinstance(cause, ProblemError):
            return cause
        raw: dict[str, Any] = {name: {} for name in self._groups}
        try:
            found = self._collect(environ, captures, raw)
        except UnicodeDecodeError:
            return MalformedRequestError("path or query string is not UTF-8")
        found += self._explain_parameters(raw)
        if self._body is not None:
            malformed = self._body.explain(environ, found)
            if malformed and not found:
                return MalformedRequestError(malformed)
            if malformed:
                found.append(Detail(place="body", pointer="", code="syntax", detail=malformed))
        if not found:
            # The decoder and the second pass disagree: still the client's fault, say what is known.
            found.append(Detail(place="body", pointer="", code="value", detail=str(cause)))
        return InvalidRequestError(_summary(found), errors=found)

    def _explain_parameters(self, raw: dict[str, Any]) -> list[Detail]:
        found: list[Detail] = []
        for parameter in self.operation.parameters:
            into = raw.get(parameter.argument, {}) if parameter.field else raw
            key = parameter.field or parameter.argument
            place = parameter.marker.place
            if key not in into:
                if parameter.required:
                    found.append(
                        Detail(
                            place=place,
                            pointer="/" + parameter.wire,
                            code="missing",
                            detail="must be given",
                        )
                    )
                continue
            found += [
                Detail(
                    place=place,
                    pointer="/" + parameter.wire + c.pointer,
                    code=c.code,
                    detail=c.detail,
                )
                for c in explain(into[key], parameter.type, strict=False)
            ]
        if not found:
            # What only a whole group knows: __post_init__ and the like.
            for name, kind, _ in self.operation.arguments:
                if name in self._groups:
                    found += [
                        Detail(place="query", pointer=c.pointer, code=c.code, detail=c.detail)
                        for c in explain(raw[name], kind, strict=False)
                    ]
        return found


class _CollectedError(ValueError):
    """Parameters that have no place; the second pass finds them again."""


def _summary(found: list[Detail]) -> str:
    count = len(found)
    return f"{count} problem{'' if count == 1 else 's'}, see errors"


def _environ_key(header: str) -> str:
    key = header.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def _struct(operation: Operation) -> type[msgspec.Struct] | None:
    """One Struct with a field per argument, so that one conversion does them all."""
    if not operation.arguments:
        return None if operation.options.unknown_query != "refuse" else msgspec.defstruct("No", [])
    fields: list[Any] = []
    for name, kind, default in operation.arguments:
        if default is msgspec.NODEFAULT:
            fields.append((name, kind))
        elif isinstance(default, list | dict | set):
            fields.append((name, kind, msgspec.field(default_factory=lambda d=default: type(d)(d))))
        else:
            fields.append((name, kind, default))
    return msgspec.defstruct("Arguments", fields, kw_only=True)


def _prove(operation: Operation) -> None:
    """Let msgspec read every type now. Raises DeclarationError.

    A type that msgspec can't read must fail at start, not at the first request; and msgspec (0.22)
    crashes the process when two threads meet such a type at the same time.
    """
    kinds = [(name, kind) for name, kind, _ in operation.arguments]
    kinds += [(p.wire, p.type) for p in operation.parameters]
    if operation.body is not None:
        kinds.append((operation.body.argument, operation.body.type))
    kinds.append(("return", operation.answer))
    for name, kind in kinds:
        try:
            msgspec.json.Decoder(kind)
        except TypeError as exc:
            raise DeclarationError(
                f"{operation.where}: the type of {name!r} can't be read: {exc}",
                hint="limits belong to the part they limit: Annotated[str, Meta(min_length=2)] | None",
            ) from None


class _BodyPlan:
    """Reads and decodes a request's body."""

    def __init__(self, spec: BodySpec, max_body: int) -> None:
        self.argument = spec.argument
        self._spec = spec
        self._max = max_body
        self._raw = spec.type is bytes
        self._decode: Callable[[bytes], Any] = (
            bytes if self._raw else msgspec.json.Decoder(spec.type).decode
        )

    def read(self, environ: Environ) -> Any:
        data = self._bytes(environ)
        if not data and not self._spec.required:
            return self._spec.default
        if not self._raw:
            self._check_type(environ)
        return self._decode(data)

    def _bytes(self, environ: Environ) -> bytes:
        length = environ.get("CONTENT_LENGTH")
        source = environ["wsgi.input"]
        if length:
            size = int(length)
            if size > self._max:
                raise problem_for(413, f"a body may have {self._max} bytes here, not {size}")
            data: bytes = source.read(size)
        elif environ.get("wsgi.input_terminated"):
            data = source.read(self._max + 1)
            if len(data) > self._max:
                raise problem_for(413, f"a body may have {self._max} bytes here")
        else:
            data = b""
        environ["wsgi.input"] = BytesIO(data)
        environ["CONTENT_LENGTH"] = str(len(data))
        return data

    def _check_type(self, environ: Environ) -> None:
        given = environ.get("CONTENT_TYPE", "")
        if given in _JSON:
            return
        kind = media_type(given)
        if kind in _JSON or kind.endswith("+json"):
            return
        raise problem_for(415, f"{kind} can't be read here", headers={"Accept": "application/json"})

    def explain(self, environ: Environ, found: list[Detail]) -> str:
        """Add what is wrong with the body; the text of a syntax error, or the empty string."""
        data = self._bytes(environ)
        if not data and not self._spec.required:
            return ""
        if self._raw:
            return ""
        self._check_type(environ)
        if not data:
            found.append(
                Detail(place="body", pointer="", code="missing", detail="a body must be given")
            )
            return ""
        try:
            value = msgspec.json.decode(data)
        except UnicodeDecodeError:
            return "the body is not UTF-8"
        except RecursionError:
            return "the body is nested too deeply"
        except msgspec.MsgspecError as exc:
            return f"the body is not JSON: {exc}"
        found += [
            Detail(place="body", pointer=c.pointer, code=c.code, detail=c.detail)
            for c in explain(value, self._spec.type)
        ]
        return ""


class ServicePlan:
    """All methods of one service."""

    def __init__(self, service: Service, path: str, *, max_body: int) -> None:
        self.service = service
        self.path = path
        self.methods = {
            method: OperationPlan(operation, max_body=max_body)
            for method, operation in service.operations.items()
        }
        if "GET" in self.methods:
            self.methods.setdefault("HEAD", self.methods["GET"])
        self.allow = ", ".join(sorted({*self.methods, "OPTIONS"}))

    @property
    def plain(self) -> bool:
        """Whether nothing of Pyramid's is asked for beyond a route and a request."""
        return not self.service.route and not any(
            plan.operation.options.view or plan.operation.context_argument
            for plan in self.methods.values()
        )

    def run(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        """Answer a request for this path. Raises ProblemError."""
        method = environ["REQUEST_METHOD"]
        plan = self.methods.get(method)
        if plan is not None:
            return plan.run(environ, request, captures)
        if method == "OPTIONS":
            own = request_id(environ)
            return Reply("204 No Content", [("Allow", self.allow), ("X-Request-ID", own)], b"")
        raise problem_for(405, f"{method} is not possible here", headers={"Allow": self.allow})
