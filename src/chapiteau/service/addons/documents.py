"""The OpenAPI documents of an application, and a page to read them and try what they say."""

import dataclasses
import hashlib
import html
from collections.abc import Callable
from hashlib import blake2b
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

import msgspec

from chapiteau.service.declare.operation import Operation
from chapiteau.service.declare.service import Service
from chapiteau.service.declare.signature import Query
from chapiteau.service.openapi.document import ApiInfo, DescribedService, openapi_document
from chapiteau.service.openapi.formats import downgrade, to_yaml
from chapiteau.service.pipeline.reply import Reply, request_id
from chapiteau.service.protocol.conditional import not_modified, quote_tag
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.negotiation import choose_media
from chapiteau.service.protocol.problem import problem_for
from chapiteau.service.protocol.versions import Versions

__all__ = ["ApiDocument", "Dialect", "docs_services", "document_service"]

# No inline script or style, nothing from elsewhere, no frames: what a document says can't act.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


def docs_services(
    path: str, places: tuple[str, str], about: Callable[[], tuple[str, tuple[str, ...]]]
) -> tuple[Service, Service]:
    """The page at `path`, and its parts below; `about` tells title and versions when asked.

    `places` are where the page and the document are, with their prefixes.
    """
    folder = files("chapiteau.service.addons") / "page"
    parts = {
        item.name: item.read_bytes()
        for item in folder.iterdir()
        if item.name.endswith((".css", ".js"))
    }
    template = (folder / "index.html").read_text(encoding="utf-8")

    def page(request: Any) -> Reply:
        prefix = request.environ.get("SCRIPT_NAME", "")
        title, versions = about()
        words = {
            "title": title,
            "here": prefix + places[0],
            "document": prefix + places[1],
            "versions": " ".join(versions),
            "prefix": prefix,
        }
        text = template
        for name, value in words.items():
            text = text.replace(f"@{name}@", html.escape(value))
        return _reply(request.environ, text.encode(), "html")

    def part(request: Any, name: str) -> Reply:
        data = parts.get(name)
        if data is None:
            raise problem_for(404, "the page has no such part")
        return _reply(request.environ, data, name.rpartition(".")[2])

    whole, pieces = Service("docs", path), Service("docs_part", path + "/{name}")
    whole.add("GET", page, hidden=True, unknown_query="ignore")
    pieces.add("GET", part, hidden=True, unknown_query="ignore")
    return whole, pieces


def _reply(environ: Environ, data: bytes, kind: str) -> Reply:
    tag = quote_tag(blake2b(data, digest_size=8).hexdigest())
    headers = [
        ("ETag", tag),
        ("Cache-Control", "no-cache"),
        ("Content-Security-Policy", _POLICY),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-ID", request_id(environ)),
    ]
    if not_modified(environ.get("HTTP_IF_NONE_MATCH"), tag):
        return Reply("304 Not Modified", headers, b"")
    headers += [("Content-Type", _KINDS[kind]), ("Content-Length", str(len(data)))]
    return Reply("200 OK", headers, data)


# The OpenAPI documents of an application: built once, sent with an ETag.

Dialect = Literal["3.1", "3.0"]
_MEDIA = {"json": "application/openapi+json", "yaml": "application/openapi+yaml"}
# What a client may ask for, and which form that is; the first answers `*/*`.
_OFFERS = {
    "application/openapi+json": "json",
    "application/json": "json",
    "application/openapi+yaml": "yaml",
    "application/yaml": "yaml",
    "text/yaml": "yaml",
}


class ApiDocument:
    """Collects the services of one version of an application; written when first asked for."""

    def __init__(self, info: ApiInfo, versions: Versions | None = None, version: str = "") -> None:
        self._versions, self._version = versions, version
        self._services: list[DescribedService] = []
        self._webhooks: dict[str, Operation] = {}
        self._built: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.describe(info)

    @property
    def info(self) -> ApiInfo:
        """What the document says about the API as a whole."""
        return self._info

    def describe(self, info: ApiInfo) -> None:
        """Say this of the API as a whole; a document of a version keeps the version's name."""
        self._info = dataclasses.replace(info, version=self._version) if self._version else info
        self._built.clear()

    def add(self, service: Service, path: str, *, shared: bool = False) -> None:
        """Note a service under its full path (with route prefix)."""
        self._built.clear()
        self._services.append(
            DescribedService(
                name=service.name,
                path=path,
                description=service.description,
                operations=tuple(service.operations),
                shared=shared,
            )
        )

    def add_webhook(self, name: str, webhook: Operation) -> None:
        """Note a request that the service sends. Raises nothing: a second one replaces it."""
        self._built.clear()
        self._webhooks[name] = webhook

    def copy(self, versions: Versions, version: str) -> "ApiDocument":
        """The same services, as they stand in the document of a version."""
        made = ApiDocument(self._info, versions, version)
        made._services = list(self._services)
        made._webhooks = dict(self._webhooks)
        return made

    @property
    def vary(self) -> str:
        """The headers of a request by which documents differ."""
        own = self._versions.vary if self._versions else ""
        return f"Accept, {own}" if own not in ("", "Accept") else "Accept"

    def check_links(self) -> None:
        """Raises DeclarationError for a link that leads nowhere."""
        if any(op.options.links for service in self._services for op in service.operations):
            self.build()

    def build(self, dialect: Dialect = "3.1") -> dict[str, Any]:
        """The document as JSON-ready values, paths in alphabetical order."""
        ordered = sorted(self._services, key=lambda s: s.path)
        edition = (self._versions, self._version) if self._versions else None
        made = openapi_document(self._info, ordered, webhooks=self._webhooks, edition=edition)
        return made if dialect == "3.1" else downgrade(made)

    def encoded(self, form: str = "json", dialect: Dialect = "3.1") -> tuple[bytes, str]:
        """The document as JSON or YAML, and its entity tag (without quotes)."""
        known = self._built.get((form, dialect))
        if known is None:
            made = self.build(dialect)
            data = msgspec.json.encode(made) if form == "json" else to_yaml(made).encode()
            known = data, hashlib.blake2b(data, digest_size=8).hexdigest()
            self._built[form, dialect] = known
        return known


def document_service(
    path: str, document_of: Callable[[Environ, str], ApiDocument], *, form: str = ""
) -> Service:
    """The service that answers with a document; `document_of` takes environ and a version's name.

    `form` is what a path that ends in `.yaml` means; without it, Accept decides.
    """
    service = Service(f"openapi{path}", path)

    def openapi(
        request: Any,
        dialect: Annotated[Dialect, Query("openapi")] = "3.1",
        wanted: Annotated[Literal["json", "yaml"] | None, Query("format")] = None,
        version: str = "",
    ) -> Reply:
        environ = request.environ
        document = document_of(environ, version)
        written = form or wanted or _form(environ.get("HTTP_ACCEPT"))
        body, tag = document.encoded(written, dialect)
        quoted = quote_tag(tag)
        headers = [
            ("ETag", quoted),
            ("Cache-Control", "no-cache"),
            ("X-Request-ID", request_id(environ)),
            ("Vary", document.vary),
            ("Access-Control-Allow-Origin", "*"),
        ]
        if not_modified(environ.get("HTTP_IF_NONE_MATCH"), quoted):
            return Reply("304 Not Modified", headers, b"")
        media = _MEDIA[written] if dialect == "3.1" else f"{_MEDIA[written]};version=3.0"
        headers += [("Content-Type", media), ("Content-Length", str(len(body)))]
        return Reply("200 OK", headers, body)

    service.add("GET", openapi, hidden=True, unknown_query="ignore")
    return service


def _form(accept: str | None) -> str:
    return _OFFERS[choose_media(accept, tuple(_OFFERS)) or "application/json"]
