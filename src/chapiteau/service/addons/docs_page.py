"""A page to read the document and try it: our own, served locally, without any foreign host."""

import html
from collections.abc import Callable
from hashlib import blake2b
from importlib.resources import files
from typing import Any, Final

from chapiteau.service.declare.service import Service
from chapiteau.service.pipeline.reply import Reply, request_id
from chapiteau.service.protocol.conditional import not_modified, quote_tag
from chapiteau.service.protocol.problem import problem_for

__all__ = ["docs_services"]

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


def _reply(environ: dict[str, Any], data: bytes, kind: str) -> Reply:
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
