"""A cluster on Kubernetes that puts load on: its manifests, and the credentials to use it.

A throw-away authority signs the certificates of one cluster, and its key is forgotten as soon as it
has signed. Whoever has a certificate of it may run programs on the workers, and nobody else can.
"""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chapiteau.io.files import write_atomic

__all__ = ["Credentials", "manifests", "save_credentials"]

_TEMPLATE: Final = Path(__file__).with_name("kubernetes.yaml")
_VALID: Final = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM texts: the authority's certificate, and a certificate with its key for each side."""

    authority: str
    node: str
    node_key: str
    client: str
    client_key: str

    @classmethod
    def made(cls, now: datetime.datetime) -> "Credentials":
        """New ones, valid from `now` (UTC) for a month."""
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("chapiteau load")
        authority = (
            _builder(name, name, key, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        node, node_key = _signed("chapiteau-load-node", authority, key, now)
        client, client_key = _signed("chapiteau-load-client", authority, key, now)
        return cls(_pem(authority), node, node_key, client, client_key)

    def __repr__(self) -> str:
        return "<Credentials>"  # keys belong in no log


def manifests(credentials: Credentials, *, workers: int, image: str, cpu: str, memory: str) -> str:
    """YAML for `kubectl apply -f -`."""
    texts = {
        "image": image,
        "cpu": cpu,
        "memory": memory,
        "ca": credentials.authority,
        "node": credentials.node,
        "node_key": credentials.node_key,
    }
    quoted = {name: json.dumps(text) for name, text in texts.items()}  # JSON's strings are YAML's
    return Template(_TEMPLATE.read_text()).substitute(quoted, workers=workers)


def save_credentials(credentials: Credentials, folder: Path, workers: int) -> None:
    """Write what `--on k8s` needs, for this user alone; `workers`: how many there will be."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in (
        ("ca.pem", credentials.authority),
        ("client.pem", credentials.client),
        ("client.key", credentials.client_key),
        ("workers", f"{workers}\n"),
    ):
        write_atomic(folder / name, text.encode(), mode=0o600)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _VALID)
    )


def _signed(
    common: str,
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    made = (
        _builder(_name(common), authority.subject, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(signer, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _pem(made), text.decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
