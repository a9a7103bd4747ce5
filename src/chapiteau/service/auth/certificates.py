"""Client certificates that the server in front has verified (mutual TLS)."""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from chapiteau.service.errors import DeclarationError

__all__ = ["CertificateAuth", "CertificateSubject", "parse_subject"]


# Distinguished names as text (RFC 4514): the subjects of client certificates.

_HEX: Final = "0123456789abcdefABCDEF"


def parse_subject(text: str) -> tuple[tuple[str, str], ...]:
    r"""`CN=ann,O=Acme\, Inc` as `(("CN", "ann"), ("O", "Acme, Inc"))`. Raises ValueError.

    Types are in capitals. Also the old form with slashes, `/O=Acme/CN=ann`, is read: its parts
    stand in the other order and are turned round.
    """
    if text.startswith("/"):
        parts = [tuple(_unescaped(part)) for part in _parts(text[1:], "/")]
        parts.reverse()
    else:
        parts = [tuple(_unescaped(part)) for part in _parts(text, ",+")]
    return tuple(_pair("".join(part), text) for part in parts)


def _pair(part: str, whole: str) -> tuple[str, str]:
    kind, equals, value = part.partition("=")
    if not equals or not kind.strip():
        raise ValueError(f"{whole!r} is no distinguished name")
    return kind.strip().upper(), value


def _parts(text: str, separators: str) -> Iterator[str]:
    """The pieces, still with their escapes; spaces around them mean nothing."""
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in separators:
            yield text[start:at].strip(" ")
            start = at + 1
        at += 1
    yield text[start:].strip(" ")


def _unescaped(part: str) -> Iterator[str]:
    r"""Characters; `\,` is a comma, and `\C3\A4` two bytes of UTF-8."""
    at, raw = 0, bytearray()
    while at < len(part):
        pair = part[at + 1 : at + 3]
        if part[at] == "\\" and len(pair) == 2 and pair[0] in _HEX and pair[1] in _HEX:
            raw.append(int(pair, 16))
            at += 3
            continue
        if raw:
            yield raw.decode("utf-8")
            raw.clear()
        if part[at] == "\\":
            at += 1
            if at == len(part):
                raise ValueError(f"{part!r} ends within an escape")
        yield part[at]
        at += 1
    if raw:
        yield raw.decode("utf-8")


class CertificateSubject(msgspec.Struct, frozen=True):
    """Whom a certificate is made for: its whole name, the common name, and every part."""

    text: str
    name: str
    parts: tuple[tuple[str, str], ...]


class CertificateAuth:
    """Who holds a client certificate: `CertificateAuth(header="X-Client-Subject")`.

    With a `header`, a proxy does TLS and tells the subject in it, and in `proof` that the
    certificate was good (nginx: `$ssl_client_s_dn`, `$ssl_client_verify`). Both are believed only
    when the connection comes from `proxies` ("unix" is any unix socket): everybody else could write
    them too. The proxy must set both headers on every request, or remove them.
    Without a `header`, the WSGI server does TLS and tells SSL_CLIENT_S_DN and SSL_CLIENT_VERIFY.
    `find` turns the subject into an identity of your own, or None.
    """

    def __init__(
        self,
        find: Callable[[CertificateSubject], Any] | None = None,
        *,
        header: str = "",
        proof: str = "X-Client-Verify",
        proxies: Iterable[str] = ("127.0.0.0/8", "::1", "unix"),
        name: str = "certificate",
    ) -> None:
        self.name = name
        self._find = find
        self._subject = _variable(header) if header else "SSL_CLIENT_S_DN"
        self._proof = _variable(proof) if header else "SSL_CLIENT_VERIFY"
        given = list(proxies)
        self._anybody = not header  # the variables are the server's own: no client can write them
        self._unix = "unix" in given
        try:
            self._networks = [ipaddress.ip_network(p) for p in given if p != "unix"]
        except ValueError as exc:
            hint = "write 10.0.0.0/8, ::1 or unix"
            raise DeclarationError(f"proxies: {exc}", hint=hint) from None

    def identity(self, environ: Mapping[str, Any]) -> Any:
        """Whoever the certificate belongs to; None without one that was found good."""
        subject = environ.get(self._subject)
        if not subject or environ.get(self._proof) != "SUCCESS":
            return None
        if not self._anybody and not self._trusts(str(environ.get("REMOTE_ADDR", ""))):
            return None
        try:
            parts = parse_subject(str(subject))
        except ValueError:
            return None
        name = next((value for kind, value in parts if kind == "CN"), "")
        found = CertificateSubject(text=str(subject), name=name, parts=parts)
        return found if self._find is None else self._find(found)

    def _trusts(self, address: str) -> bool:
        if not address:
            return self._unix
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self._networks)

    def credential(self, environ: Mapping[str, Any]) -> str:
        """The subject, whoever it is."""
        return str(environ.get(self._subject, ""))

    def challenge(self) -> str:
        """No standard word exists for certificates: they come before the first header."""
        return "ClientCertificate"

    def document(self) -> dict[str, Any]:
        """As OpenAPI 3.1 has it."""
        return {"type": "mutualTLS"}


def _variable(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")
