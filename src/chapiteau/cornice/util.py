"""Small parts that validators, predicates and applications ask for."""

import warnings
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import webob.request
from webob.request import BaseRequest, DisconnectionError

__all__ = [
    "AcceptPredicate",
    "ContentTypeFunctionPredicate",
    "ContentTypePredicate",
    "content_type_matches",
    "current_service",
    "extract_form_urlencoded_data",
    "extract_json_data",
    "func_name",
    "is_string",
    "match_accept_header",
    "match_content_type_header",
    "read_json",
    "to_list",
]


def is_string(s: Any) -> bool:
    """Whether it is text."""
    return isinstance(s, str)


def to_list(obj: Any) -> list[Any]:
    """A list of it, unless it is a list or tuple already."""
    return list(obj) if isinstance(obj, list | tuple) else [obj]


def match_accept_header(func: Callable[[Any], Any], context: Any, request: Any) -> bool:
    """Whether the client accepts one of the media types that `func(request)` offers."""
    offers = to_list(func(request))
    request.info["acceptable"] = offers
    return bool(request.accept.acceptable_offers(offers))


def match_content_type_header(func: Callable[[Any], Any], context: Any, request: Any) -> bool:
    """Whether the body is of one of the media types that `func(request)` takes."""
    offers = to_list(func(request))
    request.info["supported_contenttypes"] = offers
    return content_type_matches(request, offers)


def content_type_matches(request: Any, content_types: Sequence[str]) -> bool:
    """Whether the body's media type, without its parameters, is among these."""
    kind = request.content_type
    return (kind.partition(";")[0].strip() if kind else "") in content_types


def read_json(request: Any) -> Any:
    """The body as JSON object or array. Raises ValueError, with the words for the client."""
    raw = _raw_body(request)
    if not raw:
        return {}
    try:
        body = _parsed(request, raw)
    except ValueError as exc:  # not JSON, or not UTF-8
        raise ValueError(f"Invalid JSON: {exc}") from None
    if isinstance(body, list) or hasattr(body, "items"):
        return body
    raise ValueError("Should be a JSON object or an array")


def extract_json_data(request: Any) -> Any:
    """The body as JSON object or array; what can't be one is noted in `request.errors`."""
    _discourage()
    try:
        return read_json(request)
    except ValueError as exc:
        request.errors.add("body", "", str(exc))
        return {}


def _raw_body(request: Any) -> Any:
    """`request.body`, without WebOb's copy of it when nobody has read it yet."""
    environ = getattr(request, "environ", {})
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or environ.get("webob.is_body_seekable"):
        return request.body
    size = int(length)
    data = environ["wsgi.input"].read(size)
    if len(data) < size:
        raise DisconnectionError(f"the client has sent {len(data)} of {size} bytes and gone")
    environ["wsgi.input"] = BytesIO(data)
    environ["webob.is_body_seekable"] = True
    return data


def _parsed(request: Any, raw: Any) -> Any:
    # An application may have its own `json_body`: then that is asked.
    ours = getattr(type(request), "json_body", None) is BaseRequest.json_body
    if ours and "charset" not in request.environ.get("CONTENT_TYPE", ""):
        return webob.request.json.loads(raw.decode("utf-8"))  # Kinto replaces WebOb's json
    return request.json_body


def extract_form_urlencoded_data(request: Any) -> Any:
    """The fields of a form."""
    _discourage()
    return request.POST


def _discourage() -> None:
    told = "Use ``chapiteau.cornice.validators.extract_cstruct()`` instead"
    warnings.warn(told, DeprecationWarning, stacklevel=3)


class ContentTypePredicate:
    """The view predicate `content_type=`: a media type, or several; "" is a body without one."""

    def __init__(self, val: Any, config: Any) -> None:
        self.val = val
        self._kinds = frozenset(to_list(val))

    def text(self) -> str:
        """How Pyramid shows it."""
        shown = self.val if is_string(self.val) else ", ".join(sorted(self._kinds))
        return f"content_type = {shown}"

    phash = text

    def __call__(self, context: Any, request: Any) -> bool:
        return content_type_matches(request, self._kinds)  # type: ignore[arg-type]


class AcceptPredicate:
    """`accept=` as a callable that tells the offers for a request."""

    match = staticmethod(match_accept_header)
    word = "accept"

    def __init__(self, val: Any, config: Any) -> None:
        self.val = val

    def text(self) -> str:
        """How Pyramid shows it."""
        return f"{self.word} = {func_name(self.val)} at {id(self.val):x}"

    phash = text

    def __call__(self, context: Any, request: Any) -> bool:
        return self.match(self.val, context, request)


class ContentTypeFunctionPredicate(AcceptPredicate):
    """`content_type=` as a callable that tells the media types for a request."""

    match = staticmethod(match_content_type_header)
    word = "content_type"


def func_name(f: Any) -> str:
    """How to call a view in a log: its qualified name, or that of its class."""
    if isinstance(f, str):
        return f
    return getattr(f, "__qualname__", None) or getattr(f, "__name__", None) or type(f).__name__


def current_service(request: Any) -> Any:
    """The service that answers this request, or None."""
    route = getattr(request, "matched_route", None)
    if route is None:
        return None
    registry = request.registry
    # By name first: two services may share a pattern.
    by_route = getattr(registry, "cornice_routes", None)
    found = by_route.get(route.name) if isinstance(by_route, dict) else None
    services = getattr(registry, "cornice_services", None)
    if found is not None or not services:
        return found
    found = services.get(route.pattern)
    return found if found is not None else services.get(f"__cornice{route.name}")
