"""Versions of an API side by side: by path, by header, or by media type."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from chapiteau.core.problems import did_you_mean
from chapiteau.service.errors import DeclarationError
from chapiteau.service.protocol.headers import media_parameter
from chapiteau.service.protocol.negotiation import parse_accept
from chapiteau.service.protocol.problem import ProblemError

__all__ = ["UnknownVersionError", "Versions"]

Headers = list[tuple[str, str]]
_KEY: Final = "chapiteau.version"


class UnknownVersionError(ProblemError):
    """The request names a version that there is not, or not any more (400)."""

    status = 400
    code = "unknown-version"
    title = "There is no such version"


class Versions:
    """Which versions an API has, and how a request says which one it means.

        config.set_versions(Versions("1", "2", by="header"))

    `by="path"` puts `/v1` or `/v2` before every path; `by="header"` reads `API-Version: 2`;
    `by="media"` reads `Accept: application/json; version=2`. A request that names none gets
    `default`, which is the first: old clients stay with what they know; with `required` it is
    refused. Raises DeclarationError.
    """

    def __init__(
        self,
        *names: str,
        by: Literal["path", "header", "media"] = "path",
        default: str = "",
        required: bool = False,
        header: str = "API-Version",
        prefix: str = "v",
    ) -> None:
        for name in names:
            if not name or not all(c.isalnum() or c in ".-_" for c in name) or not name.isascii():
                raise DeclarationError(
                    f"{name!r} can't name a version", hint='say "1", "2.1" or "2026-11-25"'
                )
        if not names or len(set(names)) < len(names):
            raise DeclarationError("versions need names, each its own", hint='Versions("1", "2")')
        if default and default not in names:
            raise DeclarationError(
                f"{default!r} is no version", hint=did_you_mean(default, names) or "name one"
            )
        self.names = names
        self.by = by
        self.required = required
        self.default = default or names[0]
        self.header = header
        self._variable = "HTTP_" + header.upper().replace("-", "_")
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"<Versions {' '.join(self.names)} by {self.by}>"

    def path(self, name: str) -> str:
        """What stands before every path of a version: `/v2`, or nothing."""
        return f"/{self._prefix}{name}" if self.by == "path" else ""

    def choose(self, environ: Mapping[str, Any]) -> str:
        """The version that a request means, when it is not said by the path.

        Raises UnknownVersionError.
        """
        return self.named(environ) or self._unsaid()

    def named(self, environ: Mapping[str, Any]) -> str:
        """The version that a request names, or "". Raises UnknownVersionError."""
        if self.by == "header":
            given = environ.get(self._variable)
            return "" if given is None else self._known([str(given).strip()])
        if "HTTP_ACCEPT" not in environ and "CONTENT_TYPE" not in environ:
            return ""
        named = _named(str(environ.get("HTTP_ACCEPT", "")))
        if not named and (sent := media_parameter(str(environ.get("CONTENT_TYPE", "")), "version")):
            named = [sent]
        return self._known(named) if named else ""

    def _unsaid(self) -> str:
        if self.required:
            way = (
                f"{self.header}: " if self.by == "header" else "Accept: application/json; version="
            )
            raise UnknownVersionError(
                f"say which version is meant: {way}{self.names[-1]}", headers={"Vary": self.vary}
            )
        return self.default

    def _known(self, named: Iterable[str]) -> str:
        """The first that there is, in the order of the client's liking."""
        for name in named:
            if name in self.names:
                return name
        raise UnknownVersionError(
            f"there is no version {' or '.join(named)} here, but {', '.join(self.names)}",
            headers={"Vary": self.vary},
        )

    @property
    def vary(self) -> str:
        """The header by which answers differ, or nothing."""
        return {"path": "", "header": self.header, "media": "Accept"}[self.by]

    def headers(self, name: str) -> Headers:
        """What every answer of a version says."""
        if self.by == "header":
            return [(self.header, name), ("Vary", self.header)]
        return [("Vary", "Accept")] if self.by == "media" else []

    def media(self, media: str, name: str) -> str:
        """A media type as a version writes it."""
        return f"{media}; version={name}" if self.by == "media" and name else media


def _named(accept: str) -> list[str]:
    """The versions of an Accept header, the best liked first."""
    if "version" not in accept.lower():
        return []
    pieces = accept.split(",")
    liked = [(entry.quality, piece) for piece in pieces for entry in parse_accept(piece)]
    ordered = sorted(liked, key=lambda pair: -pair[0])
    found = [media_parameter(piece, "version") for quality, piece in ordered if quality > 0]
    return [name for name in dict.fromkeys(found) if name]
