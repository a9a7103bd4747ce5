"""F57: another CA takes over, and no node is shut out on the way."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.nodes.certificates import HUB_NAME, CertificateAuthority, make_signing_request
from chapiteau.dash.nodes.membership import Membership
from chapiteau.io.clock import SystemClock
from tests.dash.nodes.ring import ShiftedClock
from tests.support import wait_for_async


def waiting(ring: Any) -> list[str]:
    found: list[str] = ring.registry.without_certificate_of(ring.authority.signer())
    return found


async def test_a_node_learns_the_next_ca_and_stays_when_the_old_one_goes(
    ring: Any, memory: Any
) -> None:
    papers = await ring.join("far")
    before = papers.certificate
    async with ring.agent(papers, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        ring.authority.rotate()
        assert waiting(ring) == ["far"]
        await wait_for_async(lambda: not waiting(ring))
        assert papers.certificate != before
        assert Membership(papers.folder).context().cert_store_stats()["x509_ca"] == 2
        ring.authority.finish()
        await wait_for_async(
            lambda: (papers.folder / "ca.pem").read_text() == ring.authority.ca_pem
        )
        await wait_for_async(agent.connected.is_set)
        node = ring.fleet.watch("far").node
        await wait_for_async(lambda: node.is_linked)
        assert (await node.command("reload", "web", {}, "ana")).ok is True


async def test_who_was_away_all_the_time_must_join_again_and_is_told(
    ring: Any, memory: Any
) -> None:
    papers = await ring.join("far")
    ring.authority.rotate()
    assert waiting(ring) == ["far"]
    ring.authority.finish()
    async with ring.agent(papers, memory) as agent:
        await wait_for_async(lambda: "join again" in agent.problem)
        assert not agent.connected.is_set()
    again = await ring.join("far", token=ring.token(replaces="far"))
    async with ring.agent(again, memory) as agent:
        await wait_for_async(agent.connected.is_set)
    assert waiting(ring) == []


async def test_papers_of_the_old_ca_are_void_afterwards(ring: Any, tmp_path: Path) -> None:
    papers = await ring.join("far")
    ring.authority.rotate()
    ring.authority.finish()
    thief = Membership(papers.folder)
    thief.trust(ring.authority.ca_pem)  # knows the hub, but has only what was stolen before

    async def refused() -> Any:
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", ring.port, ssl=thief.context(), server_hostname=HUB_NAME
            )
        except OSError:
            return False  # the hub still shows the papers of before
        writer.write(b'{"call":"hello","id":1,"args":{"name":"far"}}\n')
        answer = b""
        with contextlib.suppress(OSError):
            answer = await asyncio.wait_for(reader.readline(), 60)
        writer.transport.abort()
        return answer == b""

    await wait_for_async(refused)


async def test_who_joins_meanwhile_has_the_next_papers_at_once(ring: Any, memory: Any) -> None:
    ring.authority.rotate()
    papers = await ring.join("new")
    async with ring.agent(papers, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        await wait_for_async(lambda: not waiting(ring))


async def test_a_hub_that_runs_for_years_renews_its_own_certificate(ring: Any) -> None:
    def shown() -> object:
        return ring.listener._stamp[2]  # a new file may get the inode of the old one

    first = shown()
    ring.clock.ahead = -200 * 86_400.0
    (ring.folder / "hub" / "hub.pem").unlink()
    ring.authority.ensure()
    await wait_for_async(lambda: shown() != first)
    old = shown()
    ring.clock.ahead = 0.0
    ring.authority.ensure()  # as it does each hour
    await wait_for_async(lambda: shown() != old)
    await ring.join("far")


async def test_papers_that_are_half_written_do_not_end_the_hubs_look(
    ring: Any, memory: Any
) -> None:
    papers = await ring.join("far")
    key, pem = ring.folder / "hub" / "hub.key", ring.folder / "hub" / "hub.pem"
    good, plain, failed = key.read_bytes(), ring.authority.context, []

    def context() -> ssl.SSLContext:
        try:
            made: ssl.SSLContext = plain()
        except ssl.SSLError as exc:
            failed.append(exc)
            raise
        return made

    ring.authority.context = context
    async with ring.agent(papers, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        key.write_text(make_signing_request("other")[0])
        pem.touch()  # as if the next certificate were there, too
        await wait_for_async(lambda: len(failed) >= 2, what="two looks in vain")
        key.write_bytes(good)
        ring.registry.revoke("far", ring.clock.wall())
        await wait_for_async(lambda: "not admitted any more" in agent.problem)
        await ring.join("far")


def test_a_finish_that_was_cut_short_is_ended_by_the_next_start(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, SystemClock())
    authority.rotate()
    following = (tmp_path / "next.pem").read_text()
    (tmp_path / "next.key").replace(tmp_path / "ca.key")  # and then the power went
    authority.ensure()
    assert authority.ca_pem == authority.trusted == following
    assert not authority.is_rotating
    authority.context()  # the hub's certificate and key fit the new CA


def test_a_rotation_that_was_cut_short_leaves_the_old_ca_good(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, SystemClock())
    authority.ensure()
    before = authority.ca_pem
    (tmp_path / "next.key").write_text("half")
    assert not authority.is_rotating
    assert authority.trusted == before
    authority.rotate()
    assert authority.trusted.count("BEGIN CERTIFICATE") == 2


async def test_a_ca_that_is_none_is_not_taken(ring: Any) -> None:
    papers = await ring.join("far")
    before = (papers.folder / "ca.pem").read_text()
    with pytest.raises(ChapiteauError, match="CA that can't be used"):
        papers.trust("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    assert (papers.folder / "ca.pem").read_text() == before


def test_the_clock_of_the_hub_decides_when_its_certificate_is_renewed(tmp_path: Path) -> None:
    clock = ShiftedClock()
    authority = CertificateAuthority(tmp_path, clock)
    authority.ensure()
    stamp = authority.stamp()
    authority.ensure()
    assert authority.stamp() == stamp
    clock.ahead = 122 * 86_400.0
    authority.ensure()
    assert authority.stamp()[:2] == stamp[:2]
    assert authority.stamp()[2] != stamp[2]
