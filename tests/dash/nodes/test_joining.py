"""How a server becomes a node, and how it does not."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from typing import Any

import pytest

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.dash.errors import BadRequestError, LoginError, NodeAwayError
from chapiteau.dash.nodes.certificates import HUB_NAME, needs_renewal
from chapiteau.dash.nodes.membership import Membership, hub_address, join
from chapiteau.dash.nodes.registry import parse_token
from tests.support import free_port, wait_for_async


async def test_a_token_lets_one_server_in_and_its_papers_are_its_own(ring: Any) -> None:
    membership = await ring.join("n1")
    assert membership.name == "n1"
    for name in ("node.pem", "ca.pem", "hub.json"):
        assert (membership.folder / name).stat().st_mode & 0o777 == 0o600
    assert (membership.folder).stat().st_mode & 0o777 == 0o700
    assert [node.name for node in ring.registry.nodes()] == ["n1"]


async def test_a_token_works_once(ring: Any) -> None:
    token = ring.token()
    await ring.join("n1", token=token)
    with pytest.raises(ChapiteauError, match="used before"):
        await ring.join("n2", token=token)


async def test_of_two_that_come_together_one_gets_in(ring: Any) -> None:
    token = ring.token()
    tries = [ring.join(f"n{i}", token=token) for i in range(4)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Membership) for one in found) == 1


async def test_an_old_token_is_refused(ring: Any) -> None:
    token = ring.token(seconds=60)
    ring.clock.ahead = 61
    with pytest.raises(ChapiteauError, match="too old"):
        await ring.join("n1", token=token)


async def test_a_wrong_secret_is_refused_and_the_token_stays_good(ring: Any) -> None:
    token = ring.token()
    with pytest.raises(ChapiteauError, match="not known"):
        await ring.join("n1", token=dataclasses.replace(token, secret="a" * 26))
    await ring.join("n1", token=token)


async def test_the_secret_is_kept_as_a_hash(ring: Any) -> None:
    token = ring.token()
    ring.registry.close()
    kept = b"".join(p.read_bytes() for p in ring.folder.glob("hub.sqlite3*"))
    assert token.secret.encode() not in kept
    from chapiteau.dash.nodes.registry import Registry

    ring.registry = Registry(ring.folder / "hub.sqlite3")


async def test_a_false_hub_never_hears_the_secret(ring: Any, tmp_path: Any) -> None:
    """Somebody stands in between with a CA of their own: not one byte of the secret leaves."""
    from chapiteau.dash.nodes.certificates import CertificateAuthority
    from chapiteau.io.clock import SystemClock

    false = CertificateAuthority(tmp_path / "false", SystemClock())
    false.ensure()
    token, heard = ring.token(), bytearray()

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            heard.extend(data)
            if b'"ca"' in data:
                pem = false.ca_pem.replace("\n", "\\n")
                writer.write(f'{{"re":1,"ok":{{"ca":"{pem}"}}}}\n'.encode())
        writer.close()

    server = await asyncio.start_server(stranger, "127.0.0.1", 0, ssl=false.context())
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(LoginError, match="not the hub that made the token"):
        await join(tmp_path / "x", ("127.0.0.1", port), token, "n1")
    server.close()
    assert b'"call":"ca"' in heard
    assert token.secret.encode() not in heard
    assert not (tmp_path / "x").exists()


async def test_a_false_hub_with_the_true_ca_certificate_is_found_out(
    ring: Any, tmp_path: Any
) -> None:
    """It shows the right CA, which is public, but has no certificate that this CA signed."""
    from chapiteau.dash.nodes.certificates import CertificateAuthority
    from chapiteau.io.clock import SystemClock

    false = CertificateAuthority(tmp_path / "false", SystemClock())
    false.ensure()
    true_ca = ring.authority.ca_pem.replace("\n", "\\n")

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(f'{{"re":1,"ok":{{"ca":"{true_ca}"}}}}\n'.encode())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stranger, "127.0.0.1", 0, ssl=false.context())
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(NodeAwayError, match="certificate verify failed"):
        await join(tmp_path / "x", ("127.0.0.1", port), ring.token(), "n1")
    server.close()


async def test_nobody_there_is_told_with_what_to_look_at(ring: Any) -> None:
    with pytest.raises(NodeAwayError) as told:
        await ring.join("n1", port=free_port())
    assert "chapiteau hub up" in told.value.hint


async def test_a_stranger_may_join_and_nothing_else(ring: Any) -> None:
    from chapiteau.dash.nodes.membership import _ask, _context

    context = _context(ring.authority.ca_pem)
    for call in ("hello", "renew", "status", "__class__"):
        with pytest.raises(ChapiteauError, match="can't be called here"):
            await _ask(("127.0.0.1", ring.port), context, call, None, dict)


async def test_a_strange_name_is_refused_before_the_token_is_spent(ring: Any) -> None:
    token = ring.token()
    with pytest.raises(ChapiteauError, match="not a node's name"):
        await ring.join("../../etc", token=token)
    await ring.join("n1", token=token)


async def test_a_node_can_not_pose_as_the_hub(ring: Any, tmp_path: Any) -> None:
    """Its certificate comes from the same CA, and is good for clients only."""
    membership = await ring.join("hub.chapiteau")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(membership.folder / "node.pem")
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection(
            "127.0.0.1", port, ssl=membership.context(), server_hostname=HUB_NAME
        )
    server.close()


async def test_a_node_may_not_speak_for_another(ring: Any, memory: Any) -> None:
    membership = await ring.join("n1")
    await ring.join("n2")
    membership.name = "n2"
    async with ring.agent(membership, memory) as agent:
        await wait_for_async(lambda: "may not speak for" in agent.problem)


async def test_a_revoked_node_is_cut_off_and_stays_out(ring: Any, memory: Any) -> None:
    membership = await ring.join("n1")
    async with ring.agent(membership, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        ring.registry.revoke("n1", ring.clock.wall())
        await wait_for_async(lambda: "not admitted any more" in agent.problem)
        assert [w.node.name for w in ring.fleet.watches()] == []
    again = await ring.join("n1")
    async with ring.agent(again, memory) as agent:
        await wait_for_async(agent.connected.is_set)
    with pytest.raises(NotFoundError):
        ring.registry.revoke("n9", 0.0)


async def test_a_token_does_not_take_a_live_nodes_name(ring: Any, memory: Any) -> None:
    """Whoever gets hold of a token gets one more server in, and pushes nobody out."""
    membership = await ring.join("n1")
    async with ring.agent(membership, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        token, place = ring.token(), ("127.0.0.1", ring.port)
        with pytest.raises(ChapiteauError, match="n1 has joined already") as told:
            await join(ring.folder / "other", place, token, "n1")
        assert "hub token --replace n1" in told.value.hint
        await ring.join("n2", token=token)  # the token was not spent
    async with ring.agent(membership, memory) as agent:  # its papers are good as before
        await wait_for_async(agent.connected.is_set)
    joined, refused, _ = ring.audited
    by = f"token {token.id} from 127.0.0.1"
    assert joined == (by, "join", "n2", "ok")
    assert refused == (by, "join", "n1", "a node called n1 has joined already")


async def test_two_tokens_for_one_new_name_let_one_in(ring: Any) -> None:
    place = ("127.0.0.1", ring.port)
    tries = [join(ring.folder / f"x{i}", place, ring.token(), "n1") for i in range(4)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Membership) for one in found) == 1


async def test_a_replacement_is_an_event_a_problem_and_an_audit_line(
    ring: Any, memory: Any
) -> None:
    membership = await ring.join("n1")
    token, place = ring.token(replaces="n1"), ("127.0.0.1", ring.port)
    async with ring.agent(membership, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        with pytest.raises(ChapiteauError, match="is for n1, not for n2"):
            await ring.join("n2", token=token)
        await join(ring.folder / "other", place, token, "n1")
        await wait_for_async(lambda: "not admitted" in agent.problem)
    watch, who = ring.fleet.watch("n1"), f"token {token.id} from 127.0.0.1"
    (event,) = [event for event in watch.events if event["kind"] == "node.replaced"]
    assert event["who"] == who
    assert ring.audited[0] == (who, "join", "n1", "replaced the node of that name")
    (problem,) = [p for p in ring.fleet.problems(watch) if p.kind == "replaced"]
    assert who in problem.cause
    await ring.reopen()  # it stays in sight over a restart of the hub, for a day
    watch = ring.fleet.watch("n1")
    await wait_for_async(lambda: "replaced" in [p.kind for p in ring.fleet.problems(watch)])
    ring.clock.ahead = 86_401
    ring.registry.saw("n1", ring.clock.wall())
    await wait_for_async(lambda: "replaced" not in [p.kind for p in ring.fleet.problems(watch)])


async def test_a_node_whose_certificate_expired_joins_with_any_token(ring: Any) -> None:
    await ring.join("n1")
    ring.clock.ahead = 31 * 86_400
    await ring.join("n1")
    assert [line[1:] for line in ring.audited] == [("join", "n1", "ok")] * 2


async def test_papers_of_before_a_second_join_are_void(ring: Any, memory: Any) -> None:
    first = await ring.join("n1")
    stolen = ring.folder / "stolen"
    stolen.mkdir()
    for file in first.folder.iterdir():
        (stolen / file.name).write_bytes(file.read_bytes())
    await ring.join("n1", token=ring.token(replaces="n1"))
    async with ring.agent(Membership(stolen), memory) as agent:
        await wait_for_async(lambda: "not admitted" in agent.problem)


async def test_certificates_renew_themselves(ring: Any, memory: Any) -> None:
    ring.clock.ahead = -11 * 86_400  # joined eleven days ago: a third of thirty is over
    membership = await ring.join("n1")
    before = membership.certificate
    ring.clock.ahead = 0
    async with ring.agent(membership, memory) as agent:
        await wait_for_async(lambda: membership.certificate != before)
        await wait_for_async(agent.connected.is_set)
    assert not needs_renewal(membership.certificate, ring.clock.wall())
    async with ring.agent(Membership(membership.folder), memory) as agent:
        await wait_for_async(agent.connected.is_set)


async def test_without_papers_it_says_how_to_join(tmp_path: Any) -> None:
    with pytest.raises(NotFoundError) as told:
        Membership(tmp_path)
    assert "chapiteau hub token" in told.value.hint


@pytest.mark.parametrize("text", ["", "jt1-x", "jt2-" + "a" * 32, "jt1-" + "1" * 32])
def test_a_cut_token_is_told(text: str) -> None:
    with pytest.raises(BadRequestError, match="not a join token"):
        parse_token(text)


def test_a_token_is_72_characters_and_hides_its_secret(ring: Any) -> None:
    token = ring.token()
    assert len(str(token)) == 72
    assert parse_token(f" {token}\n") == token
    assert token.secret not in repr(token)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hub.lan:9000", ("hub.lan", 9000)),
        ("https://hub.lan:9000/", ("hub.lan", 9000)),
        ("hub.lan", ("hub.lan", 8843)),
        ("[::1]:9000", ("::1", 9000)),
        ("[::1]", ("::1", 8843)),
    ],
)
def test_addresses(text: str, place: tuple[str, int]) -> None:
    assert hub_address(text) == place


@pytest.mark.parametrize("text", ["", ":1", "hub:x", "hub:99999", "hub:0"])
def test_strange_addresses(text: str) -> None:
    with pytest.raises(BadRequestError):
        hub_address(text)
