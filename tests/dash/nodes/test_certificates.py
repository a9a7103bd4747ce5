"""Certificates that end, seen for real: a node's, the hub's, the page's; short ones, real TLS."""

from __future__ import annotations

import contextlib
import datetime
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import free_port, wait_for, wait_for_async

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(180)]

LIFE = 12  # seconds
SERVICE = """
[project]
name = "shop"
[service.web]
command = ["sleep", "1000"]
"""


def make_page_papers(folder: Path, seconds: float) -> int:
    """cert.pem and key.pem for so long; the serial."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(seconds=seconds))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, no = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, no))
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    return made.serial_number


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "chapiteau", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Place:
    """A hub and a node on loopback, with certificates of seconds."""

    def __init__(self, folder: Path) -> None:
        self.hub, self.node = folder / "hub", folder / "node"
        self.hub.mkdir()
        self.node.mkdir()
        self.serial = make_page_papers(self.hub, 45)
        port = free_port()
        (self.hub / "chapiteau.toml").write_text(
            f"""
            [project]
            name = "fleet"
            [dash]
            port = 0
            cert = "cert.pem"
            key = "key.pem"
            [hub]
            host = "127.0.0.1"
            port = {port}
            address = "127.0.0.1:{port}"
            certificates = "{LIFE}s"
            own_certificate = "{LIFE}s"
            """
        )
        (self.node / "chapiteau.toml").write_text(SERVICE)
        self.log = (folder / "hub.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", "hub", "up"],
            cwd=self.hub,
            stdout=self.log,
            stderr=self.log,
        )
        wait_for(lambda: self.address, what="the hub")

    @property
    def address(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.hub / ".chapiteau" / "dash.json").read_text())
        return found

    def join(self) -> None:
        line = run(self.hub, "hub", "token").split()
        run(self.node, *line[1:], "--name", "n1")

    def close(self) -> None:
        with contextlib.suppress(AssertionError):
            run(self.node, "down")
        self.process.terminate()
        self.process.wait(60)
        self.log.close()

    def served(self) -> int:
        """Serial of the certificate that the page shows now."""
        port = int(self.address["port"])
        pem = ssl.get_server_certificate(("127.0.0.1", port))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


class Page:
    """Its problems, as a browser sees them."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def problems(self) -> list[str]:
        async with self.session.get("/api/fleet") as answer:
            nodes = (await answer.json())["nodes"]
        return [f"{t['kind']}: {t['what']}. {t['cause']}" for n in nodes for t in n["problems"]]

    async def told(self, words: str) -> bool:
        return any(words in problem for problem in await self.problems())


async def test_certificates_that_end_are_seen_and_cured(place: Place) -> None:
    place.join()
    run(place.node, "up", "-d")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    base = place.address["base"].rstrip("/")
    async with aiohttp.ClientSession(
        base,
        headers={"Origin": base, "X-Chapiteau": "1"},
        connector=aiohttp.TCPConnector(ssl=context),
        cookie_jar=aiohttp.CookieJar(unsafe=True),
    ) as session:
        token = place.address["url"].partition("token=")[2]
        async with session.post("/api/login", json={"token": token}) as answer:
            assert answer.status == 200, await answer.text()
        page = Page(session)

        # The node renews its own again and again, and so does the hub: three lives go by.
        papers = place.node / ".chapiteau" / "node" / "node.pem"
        hub = place.hub / ".chapiteau" / "hub" / "hub.pem"
        seen: set[bytes] = set()

        async def both_renewed() -> bool:
            seen.update((papers.read_bytes(), hub.read_bytes()))
            return len(seen) >= 8

        await wait_for_async(both_renewed, what="three renewals of each")
        assert not await page.told("certificate")
        assert not await page.told("unreachable")

        # A node that was away for longer than its certificate is locked out, and told the remedy.
        run(place.node, "down")
        away = "Its certificate has expired"
        await wait_for_async(lambda: page.told(away), what="told on the page")
        run(place.node, "up", "-d")

        def status() -> str:
            return run(place.node, "node", "status")

        wait_for(lambda: "join again with a new token" in status(), what="told there")
        assert await page.told(away)
        place.join()
        run(place.node, "down")
        run(place.node, "up", "-d")

        async def back() -> bool:
            return not await page.told("unreachable")

        await wait_for_async(back, what="joined again")

        # The page's own certificate ends; a renewed file is taken without a restart.
        assert place.served() == place.serial
        await wait_for_async(lambda: page.told("the page's certificate"), what="the page's own")
        new = make_page_papers(place.hub, 3600)
        await wait_for_async(lambda: _is(place, new), what="the new one is served")

        async def cured() -> bool:
            return not await page.told("the page's certificate")

        await wait_for_async(cured, what="cured")

        # The hub can't renew its own for its nodes: told before they are locked out.
        key = place.hub / ".chapiteau" / "hub" / "hub.key"
        key.unlink()
        key.mkdir()
        await wait_for_async(
            lambda: page.told("the hub's certificate for its nodes can't be renewed"),
            what="the hub's own",
        )
        key.rmdir()
        await wait_for_async(lambda: _not_told(page, "the hub's certificate"), what="cured again")


async def _is(place: Place, serial: int) -> bool:
    return place.served() == serial


async def _not_told(page: Page, words: str) -> bool:
    return not await page.told(words)
