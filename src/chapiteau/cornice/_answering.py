"""The short way from what a view returns to a response, where Pyramid's way would give the same.

Pyramid's renderer machinery and WebOb's setters cost more than everything else a small view does.
They are left out only for the renderer `cornicejson` as it comes, in an application that doesn't
listen to BeforeRender and has no response factory of its own, for a view that has not touched
`request.response`.
"""

import json
from collections.abc import Iterable
from typing import Any

from pyramid.events import BeforeRender
from pyramid.interfaces import IRendererFactory, IResponseFactory
from pyramid.response import Response
from zope.interface import implementedBy

from chapiteau.cornice.renderer import CorniceRenderer
from chapiteau.service.engine.answering.reply import ReadyResponse, Reply

__all__ = ["Answerer", "JSONAnswer"]

_encode = json.JSONEncoder().encode  # what json.dumps uses when it is given no options
_JSON = "application/json"


class JSONAnswer(ReadyResponse):
    """A response that is light as long as nobody asks WebOb for more."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # Both are set by filters and tweens; WebOb then looks at the request again.
        if self.conditional_response or any(name == "Location" for name, _ in self._headerlist):
            answer: Iterable[bytes] = Response.__call__(self, environ, start_response)
            return answer
        return super().__call__(environ, start_response)


class Answerer:
    """Renders for one view; looks once per application whether the short way is open."""

    __slots__ = ("_name", "_open", "_registry")

    def __init__(self, name: Any) -> None:
        self._name = name if isinstance(name, str) else ""
        self._registry: Any = None
        self._open = False

    def __call__(self, request: Any, result: Any) -> Any:
        """A response, or the result as it is: Pyramid then renders it."""
        if isinstance(result, Response):
            return result
        if request.registry is not self._registry:
            self._look(request.registry)
        attributes = request.__dict__
        accept = request.environ.get("HTTP_ACCEPT")
        if (
            not self._open
            or "response" in attributes
            or "override_renderer" in attributes
            or not (accept is None or accept in ("*/*", _JSON))
        ):
            return result
        try:
            body = _encode(result).encode()
        except TypeError:  # something that needs an adapter, or is a response of another kind
            return result
        headers = [("Content-Type", _JSON), ("Content-Length", str(len(body)))]
        return JSONAnswer(Reply("200 OK", headers, body))

    def _look(self, registry: Any) -> None:
        factory = registry.queryUtility(IRendererFactory, name=self._name) if self._name else None
        listeners = registry.adapters.subscriptions([implementedBy(BeforeRender)], None)
        self._open = (
            type(factory) is CorniceRenderer
            and factory.serializer is json.dumps
            and not factory.kw
            and factory.acceptable == CorniceRenderer.acceptable
            and not list(listeners)
            and registry.queryUtility(IResponseFactory) is None
        )
        self._registry = registry
