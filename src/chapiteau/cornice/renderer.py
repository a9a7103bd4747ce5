"""The renderer `cornicejson`: JSON, also as text/plain, and errors."""

from typing import Any

from pyramid.httpexceptions import HTTPError
from pyramid.renderers import JSON
from pyramid.response import Response

__all__ = ["CorniceRenderer", "JSONError", "bytes_adapter"]


def bytes_adapter(obj: Any, request: Any) -> Any:
    """Bytes as text: JSON knows none. Anything else as it is."""
    return obj.decode("utf8") if isinstance(obj, bytes) else obj


class JSONError(HTTPError):  # type: ignore[misc]
    """The answer that lists errors; an exception too, so that it can be raised."""

    def __init__(self, serializer: Any, serializer_kw: Any, errors: Any, status: int = 400) -> None:
        body = serializer({"status": "error", "errors": errors}, **serializer_kw)
        # HTTPError's own constructor would look at this class for a status and a title.
        Response.__init__(
            self,
            body=body.encode() if isinstance(body, str) else body,
            status=status,
            content_type="application/json",
            charset=None,
        )
        Exception.__init__(self, self.status)


class CorniceRenderer(JSON):  # type: ignore[misc]
    """JSON as Pyramid's own, and text/plain for clients that ask for that."""

    acceptable: tuple[str, ...] = ("application/json", "text/plain")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_adapter(bytes, bytes_adapter)

    def render_errors(self, request: Any) -> Any:
        """The answer for `request.errors`."""
        given = dict(self.kw)
        given["default"] = self._make_default(request)
        return JSONError(
            serializer=self.serializer,
            serializer_kw=given,
            errors=request.errors,
            status=request.errors.status,
        )

    def render(self, value: Any, system: Any) -> Any:
        """The body; sets the content type of `request.response`. An answer 204 gets none."""
        request = system.get("request")
        if request is None:
            return self._dumps(value, request)
        response = request.response
        if response.status_code == 204:
            response.content_type = None
            return b""
        accept = request.environ.get("HTTP_ACCEPT")
        if accept is None or accept == "*/*":
            offered = self.acceptable[0]
        else:
            offers = request.accept.acceptable_offers(self.acceptable)
            offered = offers[0][0] if offers else self.acceptable[0]
        if offered != response.content_type:
            response.content_type = offered
        return self._dumps(value, request)

    def _dumps(self, value: Any, request: Any) -> Any:
        return self.serializer(value, default=self._make_default(request), **self.kw)

    def __call__(self, info: Any) -> Any:
        """What Pyramid calls for each view that uses this renderer."""
        return self.render
