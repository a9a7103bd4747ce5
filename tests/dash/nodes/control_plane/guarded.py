"""A real NATS server with TLS, certificates on both sides, and the rights that we print."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chapiteau.dash.nodes.membership import NatsMembership
from chapiteau.dash.nodes.nats.connection import NatsAddress
from chapiteau.dash.nodes.nats.names import users_block
from tests.dash.nodes.control_plane.stage import NatsServer, find_server

PREFIX = "fleet"


class Papers:
    """A CA for the server and its clients, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nats CA")])
        self._write("ca", self._key, self._sign(self._name, self._key, [], ca=True))

    def make(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        other = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return self._write(
            name, key, self._sign(subject, key, other if name == "server" else other[:1])
        )

    def _sign(
        self, subject: x509.Name, key: Any, other: list[x509.GeneralName], *, ca: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if other:
            made = made.add_extension(x509.SubjectAlternativeName(other), critical=False)
        return made.sign(self._key, hashes.SHA256())

    def _write(self, name: str, key: Any, made: x509.Certificate) -> tuple[Path, Path]:
        cert, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        pem = serialization.Encoding.PEM
        cert.write_bytes(made.public_bytes(pem))
        form, no = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        secret.write_bytes(key.private_bytes(pem, form, no))
        return cert, secret


class Guarded(NatsServer):
    """Asks everybody for a certificate, and lets them do what `users_block` says."""

    def __init__(self, folder: Path, nodes: tuple[str, ...]) -> None:
        super().__init__(folder, find_server())
        self.certificates = Papers(folder)
        cert, key = self.certificates.make("server")
        tls = (
            f'tls {{ cert_file: "{cert}", key_file: "{key}", ca_file: "{folder}/ca.pem",'
            " verify_and_map: true }\n"
        )
        text = self._file.read_text() + tls + users_block(PREFIX, ("hub",), nodes)
        self._file.write_text(text)

    def prefix(self) -> str:
        return PREFIX

    def place(self, prefix: str, port: int = 0) -> NatsAddress:
        return self.place_of("hub", port)

    def membership(self, prefix: str, port: int) -> NatsMembership:
        place = self.place_of("far", port)
        return NatsMembership(
            name="far",
            url=place.url,
            prefix=prefix,
            ca=str(place.ca),
            cert=str(place.cert),
            key=str(place.key),
        )

    def place_of(self, name: str, port: int = 0) -> NatsAddress:
        cert, key = self.certificates.make(name)
        return NatsAddress(
            url=f"tls://127.0.0.1:{port or self.port}",
            monitor=f"http://127.0.0.1:{self.monitor}",
            ca=self.certificates.folder / "ca.pem",
            cert=cert,
            key=key,
            prefix=PREFIX,
        )
