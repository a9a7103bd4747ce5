"""What all sessions of a process share: origins, prepared requests, deadlines."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.backend import backend_of
from chapiteau.load.engine.origin import ConnectionSettings, Origin
from chapiteau.load.engine.reactor import Reactor
from chapiteau.load.engine.request_path import PreparedRequest
from chapiteau.load.errors import TargetNotAllowedError
from chapiteau.load.protocols import urls
from chapiteau.load.protocols.content import accept_encoding, encode_body
from chapiteau.load.protocols.urls import Address
from chapiteau.load.stats.recorder import Recorder

__all__ = ["HttpClient", "Options"]

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_MOST_PLAIN: Final = 10_000
_TICK: Final = 0.05
_STAMPS: Final = 20  # in one of so many ticks the kernel says when packets came
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
_LENGTH_FIELD: Final = "content-length"


class Options(TypedDict, total=False):
    """What a request may be given beside its URL."""

    json: Any  # sent as application/json
    data: Any  # bytes, text, or a mapping of form fields
    headers: Mapping[str, str]
    params: Mapping[str, Any]  # query string
    name: str  # row of the report; default: method and path with ids as {id}
    tags: tuple[str, ...]
    timeout: float  # seconds until the whole answer must be there
    allow_redirects: bool  # default: true, for every method but HEAD
    expect: frozenset[int] | set[int] | int  # statuses that count as good; default: below 400


class HttpClient:
    """Prepares requests and owns the connections of one process."""

    def __init__(  # noqa: PLR0913 — the parts of a process's client, each used as it is
        self,
        reactor: Reactor,
        recorder: Recorder,
        *,
        base: str = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        settings: ConnectionSettings | None = None,
        divert: str = "",
        allowed: Callable[[str], bool] = urls.is_loopback,
    ) -> None:
        self.backend = backend_of(reactor)
        self.reactor = reactor
        self.loop = reactor.loop
        self.now = reactor.now
        self.recorder = recorder
        self.base = base
        self.timeout = timeout
        self.allowed = allowed  # may this host be loaded?
        self.plain: dict[str, dict[str, PreparedRequest]] = {}  # by method and URL as written
        self._kept = 0
        self._settings = settings or ConnectionSettings()
        self._origins: dict[tuple[str, str, int], Origin] = {}
        self._divert = urls.parse(divert) if divert else None
        self._fields = _fields(
            {"accept": "*/*", "accept-encoding": accept_encoding()}
            | {key.lower(): value for key, value in (headers or {}).items()}
        )
        self._ticks = 0
        self._tick: asyncio.TimerHandle | None = None
        self._check_deadlines()

    def prepare(self, method: str, url: str, options: Options) -> PreparedRequest:
        """A request ready to go; one without options is kept for the next time."""
        address = urls.parse(urls.join(self.base, url))
        if self._divert is not None:
            to = self._divert
            address = Address(to.scheme, to.host, to.port, address.path, address.user)
        if options:
            return self._made(method.upper(), address, options)
        prepared = self._made(method.upper(), address, options)
        if self._kept < _MOST_PLAIN:
            self._kept += 1
            self.plain.setdefault(method, {})[url] = prepared
        return prepared

    def _made(self, method: str, address: Address, options: Options) -> PreparedRequest:
        if params := options.get("params"):
            mark = "&" if "?" in address.path else "?"
            path = address.path + mark + urls.query(params)
            address = Address(address.scheme, address.host, address.port, path, address.user)
        body, kind = encode_body(
            options.get("json"), options.get("data"), has_json="json" in options
        )
        fields = dict(self._fields)
        if address.user and "authorization" not in fields:
            fields["authorization"] = _basic(address.user)
        if kind:
            fields["content-type"] = kind
        if body or method not in _BODILESS:
            fields[_LENGTH_FIELD] = str(len(body))
        if headers := options.get("headers"):
            fields.update(_fields(headers))
        head = _head(method, address, fields)
        origin = self.origin(address)
        name = options.get("name", "") or urls.endpoint_name(method, address.path)
        row = self.recorder.row(name, tuple(options.get("tags", ())))
        prepared: PreparedRequest = self.backend.prepared(
            method=method,
            address=address,
            origin=origin,
            idle=origin.idle,
            shape=origin.shape_of(row.name) if method != "HEAD" else self.backend.response_shape(),
            row=row,
            head=head,
            body=body,
            data=head + b"\r\n" + body,
            timeout=options.get("timeout", self.timeout),
            bare=method == "HEAD",
            twice=method in _IDEMPOTENT,
            follow=options.get("allow_redirects", method != "HEAD"),
            expect=_expected(options.get("expect")),
        )
        return prepared

    def origin(self, address: Address) -> Origin:
        """Where a request to this address goes. Raises TargetNotAllowedError."""
        key = (address.scheme, address.host, address.port)
        origin = self._origins.get(key)
        if origin is None:
            self._check(address.host)
            origin = Origin(self.backend, self.reactor, self._settings, *key)
            self._origins[key] = origin
        return origin

    def _check(self, host: str) -> None:
        """Whether the host may be loaded. A name of this machine stands for nobody else, whatever
        --resolve says; who allowed another host allowed the address that was given for it."""
        at = dict(self._settings.resolve).get(host, host)
        for one in {host, at} if urls.is_loopback(host) else {host}:
            if not self.allowed(one):
                raise TargetNotAllowedError(
                    f"{one} is not this machine, and may be somebody else's",
                    hint=f"if you may put load on it: --allow {one}",
                )

    def _check_deadlines(self) -> None:
        """Every 50 ms: cheaper than a timer for each request, and close enough for timeouts."""
        now = self.now()
        # The kernel's stamps cost a request half a microsecond: a twentieth of the time will do.
        self._ticks += 1
        turn = self._ticks % _STAMPS
        for origin in self._origins.values():
            origin.overdue(now)
            if turn < 2:
                origin.stamp(turn == 0)
        self._tick = self.loop.call_later(_TICK, self._check_deadlines)

    @property
    def connections(self) -> int:
        """How many are open."""
        return sum(len(origin.connections) for origin in self._origins.values())

    def close(self) -> None:
        """Close all connections."""
        if self._tick is not None:
            self._tick.cancel()
        for origin in self._origins.values():
            origin.close()


def _head(method: str, address: Address, fields: Mapping[str, str]) -> bytes:
    lines = [f"{method} {address.path} HTTP/1.1"]
    if "host" not in fields:
        lines.append(f"host: {address.netloc}")
    if "user-agent" not in fields:
        lines.append("user-agent: chapiteau-load")
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, ""]).encode("latin-1", "replace")


def _fields(headers: Mapping[str, str]) -> dict[str, str]:
    """Header fields by lower-case name. Raises UsageError when one would break the request."""
    made = {}
    for name, value in headers.items():
        text = str(value)
        if set("\r\n\0") & set(name + text) or not name or " " in name or ":" in name:
            raise UsageError(f"header {name!r}: {text!r} can't be sent as one line")
        made[name.lower()] = text
    return made


def _expected(expect: Any) -> frozenset[int] | None:
    if expect is None:
        return None
    return frozenset({expect} if isinstance(expect, int) else expect)


def _basic(user: str) -> str:
    import base64

    return "Basic " + base64.b64encode(user.encode()).decode()
