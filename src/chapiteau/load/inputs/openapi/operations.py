"""What an OpenAPI document says about one operation, read once and frozen."""

import base64
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.core.problems import Problem, did_you_mean
from chapiteau.core.secret import Secret
from chapiteau.load.inputs.url_encoding import quote

__all__ = [
    "AppliedCredentials",
    "Body",
    "Credentials",
    "Link",
    "Operation",
    "Parameter",
    "SecurityScheme",
    "Selection",
    "allowed_operations",
    "credentials_for",
    "select_operations",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter and how its value is written (OpenAPI 3.1, 4.8.12)."""

    name: str
    place: str  # path query header cookie
    required: bool = False
    style: str = "simple"
    explode: bool = False
    keep_reserved: bool = False
    media: str = ""  # of its `content`; "" when it has a schema and a style
    schema: Any = None
    where: str = ""
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One media type that a request body may have."""

    media: str
    schema: Any
    where: str
    examples: tuple[Any, ...] = ()
    encoding: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A response's promise: this value of the answer is that parameter of another operation."""

    target: str  # operationId or name of the operation that it leads to
    parameters: Mapping[str, str]  # parameter → runtime expression


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityScheme:
    """How one kind of credential travels."""

    name: str
    kind: str  # apiKey http oauth2 openIdConnect mutualTLS
    scheme: str = ""  # of http: basic bearer …
    place: str = ""  # of apiKey: query header cookie
    key: str = ""  # of apiKey: the header's, parameter's or cookie's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path."""

    method: str
    path: str
    where: str
    operation_id: str = ""
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Body, ...] = ()
    body_required: bool = False
    statuses: frozenset[str] = frozenset()  # "200", "4XX", "default"
    accept: str = ""
    deprecated: bool = False
    weight: float | None = None  # x-chapiteau-weight
    security: tuple[frozenset[str], ...] = ()  # alternatives; each names schemes
    server: str = ""  # its own base URL; "" for the document's
    links: tuple[Link, ...] = ()

    @property
    def name(self) -> str:
        """The row of the report: `GET /cities/{id}`."""
        return f"{self.method} {self.path}"

    def called(self, name: str) -> Parameter | None:
        """The path, query or header parameter of that name, case ignored for headers."""
        for parameter in self.parameters:
            if parameter.name == name or (
                parameter.place == "header" and parameter.name.lower() == name.lower()
            ):
                return parameter
        return None


# Which operations are sent, and how often: reads far more than writes unless told otherwise.

_SAFE: Final = frozenset({"GET", "HEAD", "QUERY"})
_WEIGHTS: Final = {"GET": 10.0, "QUERY": 10.0, "POST": 1.0, "PUT": 1.0, "PATCH": 1.0}
_RARE: Final = 0.5  # DELETE, OPTIONS, HEAD, TRACE
# Asked by machines now and then: they must not water the users' figures down.
_PROBES: Final = frozenset(
    "live livez ready readyz health healthz healthcheck metrics ping __heartbeat__ "
    "__lbheartbeat__ openapi.json".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the user asked for. Words name a tag, an operationId or, with `*`, `GET /cities/*`."""

    only_safe: bool = False
    methods: tuple[str, ...] = ()  # none: all
    include: tuple[str, ...] = ()  # none: all
    exclude: tuple[str, ...] = ()
    deprecated: bool = False


def select_operations(
    operations: Iterable[Operation], selection: Selection
) -> tuple[list[tuple[Operation, float]], list[Problem]]:
    """The operations to send with their weights, and words that match nothing."""
    known = list(operations)
    chosen = [(o, _weight(o)) for o in known if _wanted(o, selection)]
    problems = []
    for option, words in (("--include", selection.include), ("--exclude", selection.exclude)):
        for word in words:
            if not any(_matches(o, word) for o in known):
                names = {n for o in known for n in (*o.tags, o.operation_id, o.name) if n}
                what = f"no operation is called {word!r}"
                problems.append(Problem(option, what, did_you_mean(word, names)))
    return [(o, weight) for o, weight in chosen if weight > 0], problems


def allowed_operations(
    operations: Iterable[Operation], chosen: Iterable[tuple[Operation, float]], selection: Selection
) -> list[Operation]:
    """What may be sent: the chosen, and what can feed them with ids (lists; creators of things).

    Feeding is left out of nothing but `exclude`, `only_safe` and `methods`: whoever includes one
    operation wants it fed.
    """
    wanted = {o.name for o, _ in chosen}
    feeding = Selection(
        only_safe=selection.only_safe,
        methods=(*selection.methods, "GET") if selection.methods else (),
        exclude=selection.exclude,
        deprecated=selection.deprecated,
    )
    return [
        o
        for o in operations
        if o.name in wanted or (o.method in {"GET", "POST"} and _wanted(o, feeding))
    ]


def _wanted(operation: Operation, selection: Selection) -> bool:
    if selection.only_safe and operation.method not in _SAFE:
        return False
    methods = {m.upper() for m in selection.methods}
    if methods and operation.method not in methods:
        return False
    if any(_matches(operation, word) for word in selection.exclude):
        return False
    if selection.include and not any(_matches(operation, word) for word in selection.include):
        return False
    return selection.deprecated or not operation.deprecated


def _matches(operation: Operation, word: str) -> bool:
    if word in {operation.operation_id, *operation.tags}:
        return True
    # Braces are literal in fnmatch; a bracket in a path would not be.
    pattern = word.replace("[", "[[]")
    return any(fnmatch.fnmatchcase(text, pattern) for text in (operation.name, operation.path))


def _weight(operation: Operation) -> float:
    if operation.weight is not None:
        return operation.weight
    if operation.path.rpartition("/")[2].lower() in _PROBES:
        return _RARE
    return _WEIGHTS.get(operation.method, _RARE)


# Credentials handed in by the caller → headers, query pieces and cookies of a request.

_TOKENS: Final = frozenset({"oauth2", "openIdConnect"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the caller may present. `keys` are API keys by scheme name or by header's name."""

    bearer: Secret | None = None
    user: str = ""
    password: Secret | None = None
    keys: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AppliedCredentials:
    """What one operation shows at the door."""

    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    missing: str = ""  # names of schemes for which there is no credential

    def __repr__(self) -> str:
        return f"<Badge {len(self.headers) + len(self.query) + len(self.cookies)} credentials>"


def credentials_for(
    operation: Operation, schemes: Mapping[str, SecurityScheme], credentials: Credentials
) -> AppliedCredentials:
    """The credentials for the first alternative that can be met; empty where none is needed."""
    missing: list[str] = []
    # More before less: an alternative `{}` means that nobody has to log in, but may.
    for names in sorted(operation.security, key=lambda names: not names):
        parts = [(name, _shown(schemes.get(name), credentials)) for name in sorted(names)]
        lacking = [name for name, part in parts if part is None]
        if not lacking:
            return _united(part for _, part in parts if part is not None)
        missing += lacking
    return AppliedCredentials(missing=", ".join(dict.fromkeys(missing)))


def _united(parts: Iterable[AppliedCredentials]) -> AppliedCredentials:
    badge = AppliedCredentials()
    for part in parts:
        badge = AppliedCredentials(
            badge.headers + part.headers, badge.query + part.query, badge.cookies + part.cookies
        )
    return badge


def _shown(scheme: SecurityScheme | None, credentials: Credentials) -> AppliedCredentials | None:
    """What one scheme asks for; None when the caller does not have it."""
    if scheme is None:
        return None
    if scheme.kind == "mutualTLS":
        return AppliedCredentials()  # shown by the connection, not by the request
    if scheme.kind == "apiKey":
        return _api_key(scheme, credentials)
    if scheme.kind == "http" and scheme.scheme == "basic":
        return _basic(credentials)
    if scheme.kind in _TOKENS or (scheme.kind == "http" and scheme.scheme == "bearer"):
        token = credentials.keys.get(scheme.name) or credentials.bearer
        return (
            AppliedCredentials((("Authorization", f"Bearer {token.reveal()}"),)) if token else None
        )
    if scheme.kind == "http":
        value = credentials.keys.get(scheme.name)
        return AppliedCredentials((("Authorization", value.reveal()),)) if value else None
    return None


def _basic(credentials: Credentials) -> AppliedCredentials | None:
    if credentials.password is None and not credentials.user:
        return None
    password = credentials.password.reveal() if credentials.password else ""
    pair = f"{credentials.user}:{password}".encode()
    return AppliedCredentials((("Authorization", f"Basic {base64.b64encode(pair).decode()}"),))


def _api_key(scheme: SecurityScheme, credentials: Credentials) -> AppliedCredentials | None:
    value = credentials.keys.get(scheme.name) or credentials.keys.get(scheme.key)
    if value is None:
        return None
    if scheme.place == "query":
        return AppliedCredentials(query=(f"{quote(scheme.key)}={quote(value.reveal())}",))
    if scheme.place == "cookie":
        return AppliedCredentials(cookies=(f"{scheme.key}={quote(value.reveal())}",))
    return AppliedCredentials(((scheme.key, value.reveal()),))
