"""The OpenAPI document of an application: built once, sent with an ETag."""

import hashlib
from typing import Any

import msgspec

from chapiteau.service.engine.answering.reply import Reply, request_id
from chapiteau.service.engine.service import Service
from chapiteau.service.logic.document.openapi import ApiInfo, Described, openapi_document
from chapiteau.service.logic.wire.conditional import not_modified, quote_tag

__all__ = ["ApiDocument", "document_service"]


class ApiDocument:
    """Collects the services of one application and writes their document when first asked."""

    def __init__(self) -> None:
        self.info = ApiInfo()
        self._services: list[Described] = []
        self._built: tuple[bytes, str] | None = None

    def add(self, service: Service, path: str) -> None:
        """Note a service under its full path (with route prefix)."""
        self._built = None
        self._services.append(
            Described(
                name=service.name,
                path=path,
                description=service.description,
                operations=tuple(service.operations.values()),
            )
        )

    def build(self) -> dict[str, Any]:
        """The document as JSON-ready values, paths in alphabetical order."""
        ordered = sorted(self._services, key=lambda s: s.path)
        return openapi_document(self.info, ordered)

    def encoded(self) -> tuple[bytes, str]:
        """The document as JSON, and its entity tag (without quotes)."""
        if self._built is None:
            data = msgspec.json.encode(self.build())
            self._built = data, hashlib.blake2b(data, digest_size=8).hexdigest()
        return self._built


def document_service(path: str, document: ApiDocument) -> Service:
    """The service that answers with the document itself."""
    service = Service("openapi", path)

    def openapi(request: Any) -> Any:
        body, tag = document.encoded()
        quoted = quote_tag(tag)
        headers = [
            ("ETag", quoted),
            ("Cache-Control", "no-cache"),
            ("X-Request-ID", request_id(request.environ)),
        ]
        if not_modified(request.environ.get("HTTP_IF_NONE_MATCH"), quoted):
            return Reply("304 Not Modified", headers, b"")
        headers += [
            ("Content-Type", "application/openapi+json"),
            ("Content-Length", str(len(body))),
            ("Access-Control-Allow-Origin", "*"),
        ]
        return Reply("200 OK", headers, body)

    service.add("GET", openapi, hidden=True, unknown_query="ignore")
    return service
