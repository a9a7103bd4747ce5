"""One compiled plan per operation: what remains to be done when a request comes.

Everything that can be decided at start is decided here: one Struct for all parameters, one
decoder for the body, one encoder, the header list. Both paths run the same plan.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec

from chapiteau.service.auth import authenticate, caller_key
from chapiteau.service.declare.operation import Operation
from chapiteau.service.declare.pydantic_types import check_unmixed, is_pydantic, type_adapter
from chapiteau.service.errors import DeclarationError
from chapiteau.service.pipeline.body import BodyPlan, read_bytes
from chapiteau.service.pipeline.content_coding import Compressor
from chapiteau.service.pipeline.event_streams import EVENT_STREAM, check_room
from chapiteau.service.pipeline.parameters import ParameterPlan
from chapiteau.service.pipeline.reply import Reply, StreamReply, request_id
from chapiteau.service.pipeline.responses import Encoding, ResponsePlan, apply_return_preference
from chapiteau.service.pipeline.validators import apply_filters, filter_of_two, run_validators
from chapiteau.service.protocol.conditional import Precondition
from chapiteau.service.protocol.cors import CorsPolicy
from chapiteau.service.protocol.headers import Environ, prefers_async
from chapiteau.service.protocol.headers import wait_preference as patience_of
from chapiteau.service.protocol.problem import (
    ErrorDetail,
    InvalidRequestError,
    MalformedRequestError,
    ProblemError,
)
from chapiteau.service.protocol.rate_limit import RateLimit

__all__ = ["OFFER_KEY", "OperationPlan", "Plan", "PlanDefaults", "add_headers"]

Run = Callable[[Environ, Any, list[str]], Any]
Once = Callable[[str, str, Callable[[], Any]], Any]
Gate = Callable[[RateLimit, str, Any], list[tuple[str, str]]]
LONGEST_KEY: Final = 255
IDENTITY_KEY: Final = "chapiteau.identity"
OFFER_KEY: Final = "chapiteau.offer"  # the media type that was chosen for this request
_FAILURES: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class Plan(Protocol):
    """What both paths run: a native service's plan, or whatever else answers for one route.

    `names` are the parameters of the path in their order, `plain` says that nothing of Pyramid's
    is asked for beyond a route and a request, `run` gives a Reply or a WebOb Response.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters of the path, in their order."""
        ...

    @property
    def plain(self) -> bool:
        """Whether the fast path may take it."""
        ...

    def run(self, environ: Environ, request: Any, captures: list[str], /) -> Any:
        """Answer a request. Raises ProblemError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDefaults:
    """What an application gives to all its plans."""

    max_body: int
    cors: CorsPolicy | None = None
    once_only: Once | None = None
    packer: Compressor | None = None
    gate: Gate | None = None
    check_answers: bool = False
    version: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    media: Callable[[str], str] = str
    errors: str = "problem"
    begin: Callable[[Callable[[], Any], Environ, float], Any] | None = None


class OperationPlan:
    """How to run one operation."""

    def __init__(
        self, operation: Operation, around: "PlanDefaults", *, varies: bool = False
    ) -> None:
        _prove(operation)
        own = operation.options.max_body
        self._max_body = max_body = around.max_body if own is None else own
        self.operation = operation
        self._handler = operation.handler
        self._parameters = ParameterPlan(operation)
        self._body = (
            BodyPlan(operation.body, max_body, operation.options.consumes)
            if operation.body
            else None
        )
        self._answer = ResponsePlan(
            operation, check=around.check_answers, headers=around.headers, media=around.media,
            varies=varies,
        )  # fmt: skip
        self._accept = OFFER_KEY if any(map(callable, operation.options.accept)) else "HTTP_ACCEPT"
        self._extras = bool(
            operation.context_argument
            or operation.precondition_argument
            or operation.identity_argument
        )
        self._validators = operation.options.validators
        self._filters = tuple(map(filter_of_two, operation.options.filters))
        self._guard = operation.options.auth
        self._once = around.once_only if operation.options.idempotent else None
        self._gate = around.gate if operation.options.limit is not None else None
        self._packer = around.packer
        self._minimal = operation.options.minimal
        self._later = operation.options.later
        self._begin = around.begin
        if self._later and self._begin is None:
            raise DeclarationError(
                f"{operation.where} is done later, but there is no place for jobs",
                hint='say config.add_jobs("/jobs") before',
            )
        self._streams = operation.raw_media == EVENT_STREAM
        special = (
            self._guard, self._once, self._gate, self._packer, self._minimal, self._streams,
        )  # fmt: skip
        # A Reply, or a Response that the handler made itself. Raises ProblemError.
        self.run: Run = self._run_special if any(special) else self._run
        more = (operation.request_argument, self._validators, self._extras, self._later)
        self._plain = not any(more)
        # Nothing to read but the body, and what must not be there.
        body = operation.body.argument if operation.body else None
        self._bare = all(name == body for name, _, _ in operation.arguments)

    def __repr__(self) -> str:
        return f"<OperationPlan {self.operation.method} {self.operation.path}>"

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What it runs, as one of several views would tell it."""
        return (self.operation,)

    def check_answers(self) -> None:
        """From now on hold every answer against the declared type."""
        self._answer.check = True

    def _run_special(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        """The same for operations with guards, limits, keys, or packed answers."""
        headers: list[tuple[str, str]] = []
        operation = self.operation
        if self._gate is not None and operation.options.limit is not None:
            where = f"{operation.method} {operation.path}"
            headers = self._gate(operation.options.limit, where, request)
        if self._packer is not None:
            self._packer.unmark(environ)
        made = self._run_guarded(environ, request, captures)
        if self._minimal and "HTTP_PREFER" in environ and isinstance(made, Reply):
            made = apply_return_preference(made, environ)
        if self._packer is not None and isinstance(made, Reply):
            made = self._packer.pack(made, environ)
        if headers:
            add_headers(made, headers)
        return made

    def _run_guarded(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        if self._guard is not None:
            scopes = self.operation.options.scopes
            environ[IDENTITY_KEY] = authenticate(self._guard, scopes, environ)
        if self._streams:
            check_room(environ)
        if self._once is not None and "HTTP_IDEMPOTENCY_KEY" in environ:
            return self._run_once(self._once, environ, request, captures)
        return self._run(environ, request, captures)

    def _run_once(self, once: Once, environ: Environ, request: Any, captures: list[str]) -> Any:
        """A request with an Idempotency-Key: done at most once per key, caller and operation."""
        body = read_bytes(environ, self._max_body)
        caller = repr(caller_key(self._guard, environ, environ.get(IDENTITY_KEY)))
        asked = (environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", ""))
        parts = (self.operation.method, *asked, caller)
        mark = blake2b("\n".join(parts).encode() + b"\n" + body, digest_size=16).hexdigest()
        who = blake2b(caller.encode(), digest_size=8).hexdigest()
        given = environ["HTTP_IDEMPOTENCY_KEY"]
        if not 0 < len(given) <= LONGEST_KEY:
            words = f"must have 1 to {LONGEST_KEY} characters"
            found = ErrorDetail(
                place="header", pointer="/Idempotency-Key", code="length", detail=words
            )
            raise InvalidRequestError([found])
        key = f"{who} {self.operation.method} {self.operation.path} {given}"
        return once(key, mark, lambda: self._run(environ, request, captures))

    def _run(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        encoding = self._answer.choose(environ.get(self._accept))
        try:
            if self._bare and not environ.get("QUERY_STRING"):
                arguments = {}
            else:
                arguments = self._parameters.read(environ, captures)
            if self._body is not None:
                arguments[self._body.argument] = self._body.read(environ)
        except _FAILURES as exc:
            raise self._complaint(environ, captures, exc) from None
        if self._plain:
            made = self._answer.reply(self._handler(**arguments), environ, encoding)
            return apply_filters(self._filters, made, request) if self._filters else made
        operation = self.operation
        if operation.request_argument is not None:
            arguments[operation.request_argument] = request
        if self._validators:
            run_validators(self._validators, request, arguments)
        if self._extras:
            self._add_extras(arguments, request)
        if self._later and (self._later == "always" or prefers_async(environ.get("HTTP_PREFER"))):
            return self._run_later(environ, encoding, arguments)
        made = self._answer.reply(self._handler(**arguments), environ, encoding)
        return apply_filters(self._filters, made, request) if self._filters else made

    def _run_later(self, environ: Environ, encoding: Encoding, arguments: dict[str, Any]) -> Any:
        """Accept a request that has been read: its handler runs behind the answer (202)."""
        own = request_id(environ)
        kept = {**environ, "chapiteau.request_id": own}  # the server may use its own again
        patience = patience_of(environ.get("HTTP_PREFER"))

        def run() -> Any:
            return self._answer.reply(self._handler(**arguments), kept, encoding)

        assert self._begin is not None  # noqa: S101 — proved at start
        made = self._begin(run, kept, patience)
        if isinstance(made, Reply):
            made.headers.append(("Preference-Applied", f"wait={patience}"))
            return made
        made = self._answer.accepted(made, environ)
        if self._later != "always":
            made.headers.append(("Preference-Applied", "respond-async"))
        return made

    def _add_extras(self, arguments: dict[str, Any], request: Any) -> None:
        if self.operation.context_argument is not None:
            arguments[self.operation.context_argument] = request.context
        if self.operation.identity_argument is not None:
            arguments[self.operation.identity_argument] = request.environ[IDENTITY_KEY]
        if self.operation.precondition_argument is not None:
            arguments[self.operation.precondition_argument] = Precondition(
                request.environ.get("HTTP_IF_MATCH"),
                request.environ.get("HTTP_IF_NONE_MATCH"),
                self.operation.options.if_match == "required",
                request.environ.get("HTTP_IF_UNMODIFIED_SINCE"),
            )

    def _complaint(self, environ: Environ, captures: list[str], cause: Exception) -> ProblemError:
        """Look at everything again, slowly, and say all of it."""
        try:
            found = self._parameters.explain(environ, captures)
        except UnicodeError:
            return MalformedRequestError("the query string is not UTF-8")
        if self._body is not None:
            try:
                found += self._body.explain(environ)
            except MalformedRequestError as exc:
                if not found:
                    return exc
                unread = ErrorDetail(place="body", pointer="", code="syntax", detail=exc.detail)
                found += exc.errors or [unread]
        # Should the two passes disagree, it is still the client's fault: say what is known.
        return InvalidRequestError(
            found or [ErrorDetail(place="body", pointer="", code="value", detail=str(cause))]
        )


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
        if is_pydantic(kind):
            type_adapter(kind, f"{operation.where}: {name!r}")
            continue
        check_unmixed(kind, f"{operation.where}: {name!r}")
        try:
            msgspec.json.Decoder(kind)
        except TypeError as exc:
            raise DeclarationError(
                f"{operation.where}: the type of {name!r} can't be read: {exc}",
                hint="limits belong to the part they limit: Annotated[str, Meta(…)] | None",
            ) from None


def add_headers(made: Any, headers: Iterable[tuple[str, str]]) -> None:
    """Add to a finished answer, whoever has made it."""
    if isinstance(made, Reply | StreamReply):
        made.headers.extend(headers)
    else:
        made.headerlist = [*made.headerlist, *headers]
