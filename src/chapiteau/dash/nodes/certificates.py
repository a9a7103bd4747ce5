"""The hub's own certificate authority: ECDSA P-256, one file each, readable by its user alone."""

import contextlib
import datetime
import secrets
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.fleet.problems import Certificate
from chapiteau.dash.nodes.registry import base32, ca_hash
from chapiteau.io.files import write_atomic

__all__ = [
    "HUB_NAME",
    "CertificateAuthority",
    "CertificateLifetimes",
    "SignedCertificate",
    "make_signing_request",
    "needs_renewal",
    "validity",
    "validity_of",
]

HUB_NAME: Final = "hub.chapiteau"  # what nodes check the hub's certificate against
_CA_NAME: Final = "chapiteau hub CA"
_DAY: Final = 86_400.0
_CA_LIFE: Final = 3650 * _DAY
_SKEW: Final = 600.0  # seconds by which clocks may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateLifetimes:
    """For how many seconds certificates are good."""

    node: float = 30 * _DAY
    hub: float = 365 * _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCertificate:
    """A node's new certificate."""

    pem: str
    serial: str
    expires: float


_USUAL: Final = CertificateLifetimes()


class CertificateAuthority:
    """Makes certificates in a folder; made at first use.

    While the CA is changed there are two: `ca` still speaks for the hub, `next` signs for nodes.
    Both are trusted until `finish` makes the next one the only one.
    """

    def __init__(
        self, folder: Path, clock: Clock, lifetimes: CertificateLifetimes = _USUAL
    ) -> None:
        self._folder = folder
        self._clock = clock
        self.lifetimes = lifetimes

    @property
    def ca_pem(self) -> str:
        """The CA's certificate, which nodes keep."""
        return (self._folder / "ca.pem").read_text()

    @property
    def is_rotating(self) -> bool:
        """Whether a next CA waits for all nodes to know it."""
        return (self._folder / "next.pem").exists()

    @property
    def trusted(self) -> str:
        """Certificates of all CAs that are good now."""
        return self.ca_pem + ((self._folder / "next.pem").read_text() if self.is_rotating else "")

    def certificates(self, error: str = "") -> list[Certificate]:
        """The hub's own certificates; `error`: why they are not renewed."""
        found = []
        for kind in ("hub", "ca"):
            path = self._folder / f"{kind}.pem"
            begins, ends = validity(path.read_text())
            why = error if kind == "hub" else ""
            found.append(
                Certificate(kind=kind, where=str(path), begins=begins, ends=ends, error=why)
            )
        return found

    def signer(self) -> str:
        """The name of the CA that signs for nodes, as their certificates tell it."""
        x509, *_ = _crypto()
        pem = (self._folder / f"{self._signing}.pem").read_bytes()
        subject = x509.load_pem_x509_certificate(pem).subject
        return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)

    def stamp(self) -> tuple[object, ...]:
        """Another one when `context` would be another one: files were changed or renewed."""
        found = []
        for name in ("ca.pem", "next.pem", "hub.pem"):
            try:
                status = (self._folder / name).stat()
                found.append((status.st_ino, status.st_mtime_ns))
            except FileNotFoundError:
                found.append((0, 0))
        return tuple(found)

    def rotate(self) -> None:
        """Make the next CA, if there is none yet."""
        self.ensure()
        if not self.is_rotating:
            self._make_ca("next", f"{_CA_NAME} {base32(secrets.token_bytes(5))}")

    def finish(self) -> None:
        """The next CA becomes the only one: what the one before has signed is void."""
        # The key first: `ensure` knows from its absence that this has begun.
        (self._folder / "next.key").replace(self._folder / "ca.key")
        self.ensure()

    def hash(self) -> str:
        """What a token says of this CA."""
        x509, _, _, serialization = _crypto()
        found = x509.load_pem_x509_certificate(self.ca_pem.encode())
        return ca_hash(
            found.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def ensure(self) -> None:
        """Make the CA and the hub's certificate where they are missing or about to end."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self._folder / "ca.pem").exists():
            self._make_ca("ca", _CA_NAME)
        if self.is_rotating and not (self._folder / "next.key").exists():
            (self._folder / "next.pem").replace(self._folder / "ca.pem")
        hub = self._folder / "hub.pem"
        if not self._is_good(hub):
            key, request = make_signing_request(HUB_NAME)
            signed = self._sign(request, HUB_NAME, self.lifetimes.hub, "ca", server=True)
            write_atomic(self._folder / "hub.key", key.encode(), mode=0o600)
            write_atomic(hub, signed.pem.encode(), mode=0o600)

    def sign(self, request: str, name: str) -> SignedCertificate:
        """A certificate for a node: for this name, whatever the request says of itself."""
        return self._sign(request, name, self.lifetimes.node, self._signing)

    def context(self) -> ssl.SSLContext:
        """The hub's side: TLS 1.3; a certificate is asked for, since who joins has none yet."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self._folder / "hub.pem", self._folder / "hub.key")
        context.load_verify_locations(cadata=self.trusted)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    @property
    def _signing(self) -> str:
        return "next" if self.is_rotating else "ca"

    def _is_good(self, hub: Path) -> bool:
        x509, *_ = _crypto()
        if not hub.exists() or needs_renewal(hub.read_text(), self._clock.wall()):
            return False
        found, ca = (
            x509.load_pem_x509_certificate(p.encode()) for p in (hub.read_text(), self.ca_pem)
        )
        return bool(found.issuer == ca.subject)

    def _make_ca(self, file: str, called: str) -> None:
        x509, hashes, ec, serialization = _crypto()
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, called)])
        usage = {
            kind: kind in ("key_cert_sign", "crl_sign")
            for kind in (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            )
        }
        start, end = self._span(_CA_LIFE)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        # The key first: a CA certificate without its key would never be made again.
        write_atomic(self._folder / f"{file}.key", _key_pem(key, serialization), mode=0o600)
        pem = made.public_bytes(serialization.Encoding.PEM)
        write_atomic(self._folder / f"{file}.pem", pem, mode=0o600)

    def _sign(
        self, request: str, name: str, life: float, signer: str, *, server: bool = False
    ) -> SignedCertificate:
        x509, hashes, _, serialization = _crypto()
        with _told("not a certificate request"):
            asked = x509.load_pem_x509_csr(request.encode())
            if not asked.is_signature_valid:
                raise ValueError("its signature does not fit")
        ca = x509.load_pem_x509_certificate((self._folder / f"{signer}.pem").read_bytes())
        key_bytes = (self._folder / f"{signer}.key").read_bytes()
        ca_key = serialization.load_pem_private_key(key_bytes, password=None)
        oid = x509.oid.ExtendedKeyUsageOID
        purpose = oid.SERVER_AUTH if server else oid.CLIENT_AUTH
        start, end = self._span(life)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(ca.subject)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()), critical=False
            )
            .sign(ca_key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM).decode()
        serial = f"{made.serial_number:X}"  # as ssl.getpeercert tells it, without leading zeros
        return SignedCertificate(pem=pem, serial=serial, expires=end.timestamp())

    def _span(self, life: float) -> tuple[datetime.datetime, datetime.datetime]:
        now = self._clock.wall()
        return tuple(  # type: ignore[return-value]
            datetime.datetime.fromtimestamp(int(t), tz=datetime.UTC)
            for t in (now - _SKEW, now + life)
        )


def make_signing_request(name: str) -> tuple[str, str]:
    """A new private key and a certificate request for it, both PEM."""
    x509, hashes, ec, serialization = _crypto()
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .sign(key, hashes.SHA256())
    )
    pem = request.public_bytes(serialization.Encoding.PEM).decode()
    return _key_pem(key, serialization).decode(), pem


def needs_renewal(pem: str, now: float) -> bool:
    """Whether a third of a certificate's time is over."""
    made, end = validity(pem)
    return now > made + (end - made) / 3


def validity(pem: str) -> tuple[float, float]:
    """When one of our own certificates was made, and when it ends. Seconds since 1970."""
    start, end = validity_of(pem)
    return start + _SKEW, end


def validity_of(pem: str) -> tuple[float, float]:
    """From when to when the first certificate is good. Seconds since 1970; raises ValueError."""
    x509, *_ = _crypto()
    found = x509.load_pem_x509_certificate(pem.encode())
    return found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()


def _key_pem(key: Any, serialization: Any) -> bytes:
    found: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return found


def _crypto() -> tuple[Any, Any, Any, Any]:
    """The parts of `cryptography` used here: 11 MB of memory, so only when something is signed."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise ChapiteauError(
            "several servers need the package cryptography",
            hint="pip install 'chapiteau[hub]'",
        ) from None
    return x509, hashes, ec, serialization


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as exc:
        raise BadRequestError(f"{what}: {exc}") from exc
