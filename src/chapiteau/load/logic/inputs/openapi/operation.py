"""What an OpenAPI document says about one operation, read once and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Body", "Link", "Operation", "Parameter", "SecurityScheme"]


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
