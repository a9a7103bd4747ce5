"""What makes a server a node: the hub's address, its CA, our key and certificate. And joining."""

import asyncio
import contextlib
import hmac
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.dash.errors import BadRequestError, LoginError, NodeAwayError
from chapiteau.dash.nodes.certificates import HUB_NAME, make_signing_request
from chapiteau.dash.nodes.handshake import HubCertificate, JoinRequest, NodeCertificate
from chapiteau.dash.nodes.link import Link
from chapiteau.dash.nodes.node_state import forget_hub
from chapiteau.dash.nodes.registry import JoinToken, ca_hash
from chapiteau.dash.nodes.transport import dial
from chapiteau.io.files import write_atomic

__all__ = [
    "Membership",
    "NatsMembership",
    "hub_address",
    "join",
    "leave",
    "read_membership",
]

_T = TypeVar("_T")

_FILES: Final = ("hub.json", "ca.pem", "node.pem")
_PATIENCE: Final = 10.0  # seconds
_PORT: Final = 8843


class Membership:
    """A node's certificate and key, in RUN_DIR/node (0700)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            facts = json.loads((folder / "hub.json").read_text())
            self.name = str(facts["name"])
            self._address = (str(facts["host"]), int(facts["port"]))
        except (OSError, ValueError, KeyError) as exc:
            raise NotFoundError(
                "this server has not joined a hub",
                hint="on the hub: chapiteau hub token; then run here what it prints",
            ) from exc

    @property
    def address(self) -> tuple[str, int]:
        """Where the hub is. Read anew each time: it may have moved."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            facts = json.loads((self.folder / "hub.json").read_text())
            self._address = (str(facts["host"]), int(facts["port"]))
        return self._address

    def move(self, host: str, port: int) -> None:
        """The same hub is somewhere else from now on; its CA and our certificate remain valid."""
        facts = json.dumps({"name": self.name, "host": host, "port": port})
        write_atomic(self.folder / "hub.json", facts.encode(), mode=0o600)

    @property
    def certificate(self) -> str:
        """The node's certificate and key, one PEM file: they change together or not at all."""
        return (self.folder / "node.pem").read_text()

    def context(self) -> ssl.SSLContext:
        """Our side of TLS 1.3: only the hub's own CA is trusted. Raises ChapiteauError."""
        try:
            context = _context((self.folder / "ca.pem").read_text())
            context.load_cert_chain(self.folder / "node.pem")
        except (OSError, ssl.SSLError) as exc:
            raise ChapiteauError(
                f"{self.folder}: certificate or key can't be used ({exc})",
                hint="join the hub again",
            ) from exc
        return context

    def trust(self, ca: str) -> None:
        """Trust these CAs from now on; the hub we trust has named them. Raises ChapiteauError."""
        path = self.folder / "ca.pem"
        if path.read_text() == ca:
            return
        try:
            _context(ca)
        except ssl.SSLError as exc:
            raise ChapiteauError(f"the hub names a CA that can't be used ({exc})") from exc
        write_atomic(path, ca.encode(), mode=0o600)

    def renew(self, key: str, certificate: str) -> None:
        """Put the next certificate in place."""
        write_atomic(self.folder / "node.pem", (certificate + key).encode(), mode=0o600)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsMembership:
    """A node that meets its hubs at a NATS server; the same `hub.json`."""

    name: str
    url: str
    prefix: str
    creds: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""


def read_membership(folder: Path) -> Membership | NatsMembership:
    """Either kind. Raises NotFoundError when this server has joined nothing."""
    try:
        facts = json.loads((folder / "hub.json").read_text())
        return NatsMembership(name=facts["name"], **facts["nats"])
    except (OSError, ValueError, KeyError, TypeError):
        return Membership(folder)


def leave(folder: Path) -> None:
    """Forget the hub, and all it has said."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    forget_hub(folder)


def hub_address(text: str) -> tuple[str, int]:
    """Host and port of `hub.example.org:8843` or https://…; raises BadRequestError."""
    bare = text.strip().removeprefix("https://").rstrip("/")
    host, separator, port = bare.rpartition(":")
    if not separator or bare.endswith("]"):
        host, port = bare, str(_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadRequestError(f"not a hub's address: {text!r}", hint="for example hub.lan:8843")
    return host.strip("[]"), int(port)


async def join(folder: Path, address: tuple[str, int], token: JoinToken, name: str) -> Membership:
    """Make a key, let the hub sign it, and keep both. Raises LoginError, NodeAwayError.

    First the hub has to show the CA that the token names; only a second connection, which trusts
    that CA and nothing else, carries the token's secret.
    """
    ca = (await _ask(address, _unverified(), "ca", None, HubCertificate)).ca
    _check_ca(ca, token)
    key, request = await asyncio.to_thread(make_signing_request, name)
    asked = JoinRequest(id=token.id, secret=token.secret, name=name, request=request)
    signed = await _ask(address, _context(ca), "join", asked, NodeCertificate)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = folder / "ca.pem"
    if not before.exists() or ca not in before.read_text():
        forget_hub(folder)  # another hub
    write_atomic(folder / "ca.pem", ca.encode(), mode=0o600)
    write_atomic(folder / "node.pem", (signed.certificate + key).encode(), mode=0o600)
    facts = {"host": address[0], "port": address[1], "name": signed.name}
    write_atomic(folder / "hub.json", json.dumps(facts).encode(), mode=0o600)
    return Membership(folder)


async def _ask(
    address: tuple[str, int],
    context: ssl.SSLContext,
    call: str,
    asked: JoinRequest | None,
    kind: type[_T],
) -> _T:
    host, port = address
    name = HUB_NAME if context.check_hostname else ""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await dial(host, port, context, name or HUB_NAME)
    except (OSError, ssl.SSLError, TimeoutError) as exc:
        raise NodeAwayError(
            f"the hub at {host}:{port} can't be reached: {exc}",
            hint="is the port open from here, and the hub up (chapiteau hub up)?",
        ) from exc
    link = Link(reader, writer, {}, name=f"hub {host}:{port}")
    serving = asyncio.create_task(link.run())
    try:
        args = {} if asked is None else msgspec.to_builtins(asked)
        return msgspec.convert(await link.call(call, args, timeout=_PATIENCE), kind)
    except msgspec.ValidationError as exc:
        raise NodeAwayError(f"the hub's answer to {call} can't be read ({exc})") from exc
    finally:
        link.close()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


def _check_ca(pem: str, token: JoinToken) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        public = x509.load_pem_x509_certificate(pem.encode()).public_key()
    except ValueError as exc:
        raise LoginError(f"the hub shows no certificate ({exc})") from exc
    shown = ca_hash(
        public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    if not hmac.compare_digest(shown, token.ca):
        raise LoginError(
            "this is not the hub that made the token: nothing was told to it",
            hint="check the address; somebody may stand in between",
        )


def _unverified() -> ssl.SSLContext:
    """For asking a stranger who it claims to be; no secret ever goes this way."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ca)
    return context
