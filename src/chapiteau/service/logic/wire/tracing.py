"""Which trace a request belongs to (W3C Trace Context)."""

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["ROUTE_KEY", "TRACE_KEY", "trace_of"]

ROUTE_KEY: Final = "chapiteau.route"  # in environ: the pattern of the route that was found
TRACE_KEY: Final = "chapiteau.trace_id"  # in environ: 32 hex digits
_PARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def trace_of(environ: Mapping[str, Any]) -> str:
    """The trace id that we have given, else that of the caller's `traceparent`, else ""."""
    own = environ.get(TRACE_KEY)
    if own is not None:
        return str(own)
    given = environ.get("HTTP_TRACEPARENT")
    match = _PARENT.fullmatch(given) if given else None
    return match[1] if match and set(match[1]) != {"0"} else ""
