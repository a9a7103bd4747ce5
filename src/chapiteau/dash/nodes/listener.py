"""Where nodes come in: one TLS port. With a certificate to work, without one only to join."""

import asyncio
import contextlib
import socket
import sqlite3
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError, RefusedError
from chapiteau.dash.auth.audit_trail import AuditTrail
from chapiteau.dash.errors import BadRequestError, NotAllowedError
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.problem import make_problem
from chapiteau.dash.nodes.certificates import CertificateAuthority
from chapiteau.dash.nodes.contract import DesiredServices
from chapiteau.dash.nodes.embedded import SqliteDesiredState
from chapiteau.dash.nodes.handshake import (
    CertificateRequest,
    HubCertificate,
    JoinRequest,
    NodeCertificate,
    NodeHello,
    Welcome,
)
from chapiteau.dash.nodes.leadership import Leadership
from chapiteau.dash.nodes.link import Args, Handlers, Link
from chapiteau.dash.nodes.registry import Registry, node_name
from chapiteau.dash.nodes.remote import RemoteNode
from chapiteau.dash.nodes.transport import PushReader, serve

__all__ = ["NodeListener"]

_HANDSHAKE: Final = 10.0  # seconds
_JOINING: Final = 15.0  # seconds that somebody without a certificate may stay
_LOOK: Final = 2.0  # seconds between two looks for what commands have written
_NOTE: Final = 60.0  # seconds between two notes of who is there
_EXPIRY: Final = 3600.0  # seconds between two looks at the hub's own certificate, at most
_STRANGERS: Final = 20  # at once
_REPLACED: Final = 86_400.0  # seconds for which a replacement stays in sight as a problem


class NodeListener:
    """Listens, tells nodes from strangers, and keeps the fleet's remote nodes linked."""

    def __init__(
        self,
        fleet: Fleet,
        registry: Registry,
        authority: CertificateAuthority,
        clock: Clock,
        *,
        states: SqliteDesiredState,
        leadership: Leadership,
        trail: AuditTrail,
    ) -> None:
        self._fleet = fleet
        self._registry = registry
        self._authority = authority
        self._clock = clock
        self._states = states
        self.leadership = leadership
        self._trail = trail
        self._nodes: dict[str, RemoteNode] = {}
        self._links: dict[Link, tuple[str, str]] = {}  # → name, serial
        self._strangers = 0
        self._serving: set[asyncio.Task[Any]] = set()
        self._door: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._stamp: tuple[object, ...] = ()  # of the papers that the server shows
        self._trusted = self._signer = ""  # as that server has them
        self._watch: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Begin to listen; nodes known from before are there at once, as away."""
        self._authority.ensure()
        for known in self._registry.nodes():
            if not known.revoked:
                self._node(known.name)
                self._fleet.watch(known.name).note_seen(known.seen)
        await self.leadership.open()
        self._door = _listen(host, port)
        self.port = self._door.getsockname()[1]
        await self._serve()
        self._watch = asyncio.create_task(self._look())
        self._renewal = asyncio.create_task(self._keep_certificate())

    async def _serve(self) -> None:
        """Listen with the papers as they are now. The socket stays, so nobody is refused."""
        assert self._door is not None  # noqa: S101 — `open` comes first
        stamp, context = self._authority.stamp(), self._authority.context()
        trusted, signer = self._authority.trusted, self._authority.signer()
        before = self._server
        self._server = await serve(self._connected, self._door.dup(), context, _HANDSHAKE)
        self._stamp, self._trusted, self._signer = stamp, trusted, signer
        if before is not None:
            before.close()

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is None or self._watch is None or self._renewal is None:
            return
        self._server.close()
        if self._door is not None:
            self._door.close()
        tasks = [self._watch, self._renewal, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.leadership.close()

    async def _connected(self, reader: PushReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 — asyncio calls this in a task of its own
        self._serving.add(task)
        name, serial, issuer = _who(writer)
        # A cancelled handler is one that `close` ended: asyncio would log it as an error.
        with contextlib.suppress(asyncio.CancelledError):
            if name:
                await self._member(reader, writer, name, serial, issuer)
            else:
                await self._stranger(reader, writer)
        writer.transport.abort()
        self._serving.discard(task)

    async def _stranger(self, reader: PushReader, writer: asyncio.StreamWriter) -> None:
        if self._strangers >= _STRANGERS:
            return
        self._strangers += 1
        peer = writer.get_extra_info("peername") or ("an unknown address",)

        async def join(args: Args) -> NodeCertificate:
            asked = msgspec.convert(args, JoinRequest)
            try:
                return await self._join(asked, str(peer[0]))
            except RefusedError as exc:  # an unknown token and a taken name are such, too
                by = f"token {asked.id} from {peer[0]}"
                self._trail.refuse(by, "join", asked.name, exc.what, address=str(peer[0]))
                raise

        link = Link(reader, writer, {"ca": self._ca, "join": join}, name="stranger")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_JOINING):
                    await link.run()
        finally:
            self._strangers -= 1

    async def _member(
        self,
        reader: PushReader,
        writer: asyncio.StreamWriter,
        name: str,
        serial: str,
        issuer: str,
    ) -> None:
        async def hello(args: Args) -> Welcome:
            self._registry.check(name, serial)
            said = msgspec.convert(args, NodeHello)
            if said.name != name:
                raise NotAllowedError(f"{name} may not speak for {said.name!r}")
            node = self._node(name)
            try:
                self.leadership.note(name, said.fence)
            except NotAllowedError as exc:
                self._fleet.report(make_problem("refused", name, why=exc.what, hint=exc.hint))
                raise
            self._fleet.retract(name, "refused")
            if said.time:
                self._fleet.watch(name).note_clock(said.time, self._clock.wall())
            node.attach(link)
            self._registry.saw(name, self._clock.wall(), issuer)
            # A node first learns the next CA, if there is one, and then gets its papers from it.
            renew = issuer != self._signer
            # A hub of before is refused from now on, not only from our first command on.
            ours = self.leadership.fence if self.leadership.leads else 0
            now = self._clock.wall()
            return Welcome(time=now, ca=self._trusted, renew=renew, fence=ours)

        async def wanted(args: Args) -> AsyncIterator[DesiredServices]:
            self._registry.check(name, serial)
            async for found in self._states.watch(name, int(args["after"])):
                # While another hub steers, what we want does not count.
                while self.leadership.overruled(name):  # noqa: ASYNC110 — a lease is a thing of seconds
                    await asyncio.sleep(_LOOK)
                yield found

        async def renew(args: Args) -> NodeCertificate:
            self._registry.check(name, serial)
            request = msgspec.convert(args, CertificateRequest).request
            signed = await asyncio.to_thread(self._authority.sign, request, name)
            self._registry.note_certificate(name, signed.serial, signed.expires)
            return NodeCertificate(signed.pem)

        handlers: Handlers = {"hello": hello, "renew": renew, "wanted": wanted}
        link = Link(reader, writer, handlers, name=name)
        self._links[link] = (name, serial)
        try:
            await link.run()
        finally:
            del self._links[link]
            if name in self._nodes:
                self._nodes[name].detach(link)
                self._registry.saw(name, self._clock.wall())

    async def _ca(self, _: Args) -> HubCertificate:
        return HubCertificate(self._authority.ca_pem)

    async def _join(self, asked: JoinRequest, address: str) -> NodeCertificate:
        name, now = node_name(asked.name), self._clock.wall()
        taken = {watch.node.name for watch in self._fleet.watches()} - set(self._nodes)
        if name in taken:
            raise NotAllowedError(
                f"the hub itself is called {name}", hint="join with another --name"
            )
        replaces = self._registry.use_token(asked.id, asked.secret, now, name)
        signed = await asyncio.to_thread(self._authority.sign, asked.request, name)
        who = f"token {asked.id} from {address}"
        replaced = self._registry.admit(
            name, signed.serial, signed.expires, now, replaces=replaces, actor=who
        )
        self._node(name)
        result = "replaced the node of that name" if replaced else "ok"
        self._trail.note(who, "join", name, result)
        if replaced:
            self._tell_of_replacement(name, who, now)
        return NodeCertificate(signed.pem, name)

    def _tell_of_replacement(self, name: str, who: str, now: float) -> None:
        text = f"another server has taken the place of {name}"
        self._fleet.watch(name).happened_here(
            {"seq": 0, "time": now, "kind": "node.replaced", "who": who, "text": text}
        )
        self._show_replacements()

    def _show_replacements(self) -> None:
        found = self._registry.replacements(self._clock.wall() - _REPLACED)
        for name in self._nodes:
            if name in found:
                since, who = found[name]
                self._fleet.report(make_problem("replaced", name, by=who, since=since))
            else:
                self._fleet.retract(name, "replaced")

    def _node(self, name: str) -> RemoteNode:
        if name not in self._nodes:
            self._nodes[name] = RemoteNode(name, lambda: self.leadership.fence)
            self._fleet.add(self._nodes[name])
        return self._nodes[name]

    async def _keep_certificate(self) -> None:
        """A hub may run for years: its own certificate is renewed in time, or told why not."""
        error = ""
        while True:
            for paper in await asyncio.to_thread(self._authority.certificates, error):
                self._fleet.certificates[paper.kind] = paper
            await asyncio.sleep(min(_EXPIRY, self._authority.lifetimes.hub / 10))
            try:
                await asyncio.to_thread(self._authority.ensure)
                error = ""
            except (OSError, ChapiteauError) as exc:
                error = f"{exc}"  # a full disk: there is time until the next look

    async def _look(self) -> None:
        """`hub revoke` and `hub rotate` write into files; here they take effect."""
        seen, noted = None, self._clock.wall()
        while True:
            await asyncio.sleep(_LOOK)
            if self._authority.stamp() != self._stamp:
                # A command may be in the middle of writing: key and certificate fit next time.
                with contextlib.suppress(OSError):  # ssl.SSLError is one
                    await self._reload_certificates()
            if (now := self._registry.version()) != seen:
                seen = now
                await self._cut_off()
            await self._compare_wanted()
            if (seen_at := self._clock.wall()) - noted > _NOTE:
                # A hub that is killed says nothing more: the next one shows this as its age.
                noted = seen_at
                with contextlib.suppress(sqlite3.OperationalError):
                    linked = (name for name, node in self._nodes.items() if node.is_linked)
                    self._registry.saw_all(linked, noted)

    async def _reload_certificates(self) -> None:
        before = self._trusted
        await self._serve()
        if self._trusted != before:
            for link in list(self._links):
                link.close()  # nodes come back at once, and learn what is new

    async def _cut_off(self) -> None:
        for known in self._registry.nodes():
            if known.revoked and known.name in self._nodes:
                await self._nodes.pop(known.name).close()
                self.leadership.forget(known.name)
                await self._fleet.remove(known.name)
            elif known.name in self._nodes:
                watch = self._fleet.watch(known.name)
                watch.note_certificate(known.expires, self._authority.lifetimes.node)
        self._show_replacements()
        for link, (name, serial) in list(self._links.items()):
            try:
                self._registry.check(name, serial)
            except NotAllowedError:
                link.close()

    async def _compare_wanted(self) -> None:
        ours = {wanted.node: wanted.generation for wanted in self._states.every()}
        for name in list(self._nodes):
            watch = self._fleet.watch(name)
            generation = ours.get(name, 0)
            theirs = watch.health.get("wanted")
            overruled = self.leadership.overruled(name)
            if theirs and not overruled:
                with contextlib.suppress(msgspec.ValidationError, BadRequestError):
                    found = DesiredServices.from_json({**theirs, "node": name})
                    if found.generation > generation:
                        generation = (await self._states.adopt(found)).generation
            watch.follow_hub(generation=generation, overruled=overruled)


def _listen(host: str, port: int) -> socket.socket:
    if host == "::" and socket.has_dualstack_ipv6():
        # asyncio itself would make `::` IPv6 only, and nodes dial both.
        return socket.create_server(
            (host, port), family=socket.AF_INET6, backlog=512, dualstack_ipv6=True
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=512)


def _who(writer: asyncio.StreamWriter) -> tuple[str, str, str]:
    """Name, serial and issuer of the certificate that TLS has verified; empty without one."""
    secure: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    shown: Any = secure.getpeercert() if secure is not None else None
    if not shown:
        return "", "", ""
    subject, issuer = (
        {key: value for part in shown.get(whose, ()) for key, value in part}
        for whose in ("subject", "issuer")
    )
    return (
        str(subject.get("commonName", "")),
        str(shown.get("serialNumber", "")).lstrip("0"),
        str(issuer.get("commonName", "")),
    )
