"""The page itself: built by Vite, served from memory."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final

from aiohttp import web

from chapiteau.core.errors import NotFoundError

__all__ = ["STATIC", "Files"]

STATIC: Final = Path(__file__).parent.parent / "static"
_MISSING: Final = """<!doctype html><html lang="en"><title>Chapiteau</title>
<h1>The page was not built</h1><p>This installation has no dashboard files.
Build them where the sources are: <code>cd ui &amp;&amp; npm ci &amp;&amp; npm run build</code>,
or install the package again.</p></html>"""


class Files:
    """Every built file by its path, read once: no path of a request ever meets the disk."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._files = {
            f"/{path.relative_to(folder).as_posix()}": path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }

    async def page(self, request: web.Request) -> web.Response:
        """GET / and every path of the page's own router."""
        body = self._files.get("/index.html")
        if body is None:
            return web.Response(text=_MISSING, content_type="text/html", status=503)
        return web.Response(
            body=body, content_type="text/html", headers={"Cache-Control": "no-store"}
        )

    async def asset(self, request: web.Request) -> web.Response:
        """GET /assets/NAME: names carry a digest, so they may be kept for ever."""
        body = self._files.get(request.path)
        if body is None:
            raise NotFoundError(f"no file {request.path}")
        kind = mimetypes.guess_type(request.path)[0] or "application/octet-stream"
        response = web.Response(body=body, content_type=kind)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.etag = hashlib.sha256(body).hexdigest()[:16]
        response.enable_compression()
        return response
