"""Percent-encoding and URLs as text (RFC 3986), for requests that are written, not sent."""

import urllib.parse
from collections.abc import Iterable
from typing import Final

__all__ = ["form_encode", "quote", "resolve_url", "split_query", "unquote", "url_origin"]

_PLAIN: Final = str.maketrans("", "", "-._~")


def quote(text: str, keep: str = "") -> str:
    """Percent-encode everything but unreserved characters and those of `keep`."""
    if text.isascii() and text.translate(_PLAIN).isalnum():
        return text
    return urllib.parse.quote(text, safe=keep, errors="surrogatepass")


def unquote(text: str, *, plus: bool = False) -> str:
    """Undo percent-encoding; broken sequences stay as they are, bad UTF-8 becomes U+FFFD."""
    return urllib.parse.unquote_plus(text) if plus else urllib.parse.unquote(text)


def form_encode(pairs: Iterable[tuple[str, str]]) -> str:
    """Pairs as `application/x-www-form-urlencoded` (WHATWG URL, 5.2)."""
    return "&".join(f"{_plus(name)}={_plus(value)}" for name, value in pairs)


def _plus(text: str) -> str:
    return quote(text, "* ").replace(" ", "+").replace("~", "%7E")


def split_query(url: str) -> tuple[str, list[tuple[str, str]]]:
    """A URL without its query and fragment, and the query's decoded pairs."""
    head, _, query = url.partition("#")[0].partition("?")
    pairs = [piece.partition("=") for piece in query.split("&") if piece]
    return head, [(unquote(n, plus=True), unquote(v, plus=True)) for n, _, v in pairs]


def url_origin(url: str) -> str:
    """Scheme and authority of an absolute URL: `https://api.example.com:8080`; "" of a path."""
    scheme, found, rest = url.partition("://")
    if not found or "/" in scheme:
        return ""
    end = min((i for i in map(rest.find, "/?#") if i >= 0), default=len(rest))
    return f"{scheme.lower()}://{rest[:end]}"


def resolve_url(base: str, reference: str) -> str:
    """`reference` as seen from the document at `base` (RFC 3986, 5.2, without dot segments)."""
    if url_origin(reference) or not base:
        return reference
    origin = url_origin(base)
    if reference.startswith("//"):
        return base.partition(":")[0] + ":" + reference
    if reference.startswith("/"):
        return origin + reference
    path = base[len(origin) :].partition("?")[0].partition("#")[0]
    reference = reference.removeprefix("./")
    return origin + path.rpartition("/")[0] + "/" + reference
