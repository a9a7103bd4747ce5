"""Which version of a service a test was of: what its OpenAPI document says, or its label."""

import contextlib
import json
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

from chapiteau.load.engine.telling.supervised import Supervised

__all__ = ["version_of"]

_PATIENCE: Final = 2.0  # seconds: a test must not wait for it
_LARGEST: Final = 8 << 20  # bytes of a document
_MOST: Final = 60  # letters


def version_of(source: dict[str, Any], target: str, supervised: Supervised | None) -> str:
    """The version; "" when nobody says one.

    `source` is where the requests come from: when it is an OpenAPI document, it knows. Otherwise
    the supervised service behind the target is looked at.
    """
    if source.get("kind") == "openapi":
        return _told(str(source["text"]))
    if supervised is None:
        return ""
    name = supervised.place(target).service
    for service in supervised.services():
        document = str(service.get("openapi", ""))
        if service["name"] == name or (document and _place(document) == _place(target)):
            label = str(service.get("labels", {}).get("version", ""))
            return (label or _told(_fetched(document)))[:_MOST]
    return ""


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _told(text: str) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["info"]["version"])[:_MOST]
    return ""


def _fetched(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        return ""
    with (
        contextlib.suppress(OSError, ValueError),
        urllib.request.urlopen(url, timeout=_PATIENCE) as answer,  # noqa: S310 — http only
    ):
        return str(answer.read(_LARGEST).decode("utf-8", "replace"))
    return ""
