"""Cookies of one virtual user (RFC 6265, as far as a client of a few hosts needs it)."""

from collections.abc import Mapping
from dataclasses import dataclass

from chapiteau.load.protocols.urls import Address

__all__ = ["Cookie", "CookieJar"]

_PAST = (*(str(year) for year in range(1969, 2001)), "69", "70", "71")


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie and where it goes back to; an empty `domain` means its own host only."""

    name: str
    value: str
    host: str
    domain: str = ""
    path: str = "/"
    secure: bool = False

    def fits(self, at: Address) -> bool:
        """Whether it is sent with a request to this address."""
        host = at.host.lower()
        if self.domain:
            if host != self.domain and not host.endswith("." + self.domain):
                return False
        elif host != self.host:
            return False
        path = at.path.split("?", 1)[0]
        below = self.path if self.path.endswith("/") else self.path + "/"
        return (path == self.path or path.startswith(below)) and (
            not self.secure or at.scheme == "https"
        )


class CookieJar:
    """What a user's browser would hold. Expiry times are not kept: sessions are short."""

    __slots__ = ("kept",)

    def __init__(self, kept: Mapping[tuple[str, str, str], Cookie] | None = None) -> None:
        self.kept = dict(kept or {})  # by domain, path and name

    def __len__(self) -> int:
        return len(self.kept)

    def __bool__(self) -> bool:
        return bool(self.kept)

    def copy(self) -> "CookieJar":
        """The same cookies in a jar of their own."""
        return CookieJar(self.kept)

    def take(self, at: Address, fields: list[str]) -> None:
        """Set-Cookie fields of an answer from this address."""
        for text in fields:
            self._take(at, text)

    def _take(self, at: Address, text: str) -> None:
        pair, *attributes = text.split(";")
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            return
        given = {}
        for attribute in attributes:
            key, _, what = attribute.partition("=")
            given[key.strip().lower()] = what.strip()
        host = at.host.lower()
        domain = given.get("domain", "").lstrip(".").lower()
        if domain and host != domain and not host.endswith("." + domain):
            return  # RFC 6265 §5.3 (6): nobody sets cookies for others
        path = given.get("path", "")
        cookie = Cookie(
            name.strip(),
            value.strip(),
            host,
            domain,
            path if path.startswith("/") else _default_path(at.path),
            "secure" in given,
        )
        place = (cookie.domain or cookie.host, cookie.path, cookie.name)
        if _gone(given):
            self.kept.pop(place, None)
        else:
            self.kept[place] = cookie

    def field(self, at: Address) -> str:
        """The Cookie field for a request to this address; "" when none fits."""
        fitting = [c for c in self.kept.values() if c.fits(at)]
        fitting.sort(key=lambda c: -len(c.path))
        return "; ".join(f"{c.name}={c.value}" for c in fitting)

    def get(self, name: str, default: str = "") -> str:
        """The value of the first cookie of this name."""
        return next((c.value for c in self.kept.values() if c.name == name), default)

    def set(self, name: str, value: str, host: str) -> None:
        """Put a cookie of our own in."""
        self.kept[host, "/", name] = Cookie(name, value, host)


def _default_path(path: str) -> str:
    """RFC 6265 §5.1.4."""
    folder = path.split("?", 1)[0].rsplit("/", 1)[0]
    return folder or "/"


def _gone(given: dict[str, str]) -> bool:
    age = given.get("max-age", "")
    if age.lstrip("-").isdigit():
        return int(age) <= 0
    # Servers delete with a date long past; a year before 2000 is told without a clock.
    return any(f" {year} " in given.get("expires", "").replace("-", " ") for year in _PAST)
