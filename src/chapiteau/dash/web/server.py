"""The hub as a process: parts made, port bound, address told, everything closed at the end."""

import asyncio
import contextlib
import errno
import importlib.util
import json
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from random import Random
from typing import Final

from aiohttp import web

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError, RefusedError, UsageError
from chapiteau.core.problems import raise_problems
from chapiteau.dash.auth.audit_trail import AuditTrail
from chapiteau.dash.auth.oidc import IdentityProvider
from chapiteau.dash.auth.sessions import Sessions
from chapiteau.dash.errors import PortTakenError
from chapiteau.dash.fleet.actions import Actions
from chapiteau.dash.fleet.alert_delivery import make_alert_dispatcher, metrics_token
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.documents import ApiDocuments
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.node import Node
from chapiteau.dash.fleet.operations import OperationStats
from chapiteau.dash.nodes.cluster import make_cluster_runtime
from chapiteau.dash.nodes.local import LocalNode
from chapiteau.dash.project import Project
from chapiteau.dash.settings import is_loopback, settings_problems
from chapiteau.dash.store import Store
from chapiteau.dash.web.app import make_app
from chapiteau.dash.web.hub import Hub
from chapiteau.dash.web.page_certificate import PageCertificate
from chapiteau.dash.web.security import Site
from chapiteau.io.files import lock_file, write_atomic
from chapiteau.io.sd_notify import sd_notify

__all__ = ["Server", "serve"]

_PATIENCE: Final = 120_000  # ms for which what waits for a browser may lie there untouched
_NEXT_PORTS: Final = 50  # how many ports after the wanted one are tried


class Server:
    """One dashboard; `async with` runs it."""

    def __init__(
        self,
        project: Project,
        *,
        host: str,
        port: int,
        exact_port: bool,
        clock: Clock,
        with_hub: bool = False,
        node: Node | None = None,
    ) -> None:
        self.project = project
        self._host = host
        self._wanted_port = port
        self._exact_port = exact_port
        self._clock = clock
        self._chance = Random()  # noqa: S311 — spreads retries, guards nothing
        self._with_hub = with_hub or project.hub.enable
        self._node = node
        self.port = 0
        self.hub: Hub | None = None

    @property
    def base_url(self) -> str:
        """Where the page is, without a token."""
        scheme = "https" if self.project.dash.cert else "http"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self.port}/"

    @property
    def url(self) -> str:
        """Where the page is, with the one-time token in the fragment (never sent to a server)."""
        assert self.hub is not None  # noqa: S101 — asked only while running
        return f"{self.base_url}#token={self.hub.sessions.token}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        """Serve while inside. Raises RefusedError when a dashboard of this project runs already."""
        with lock_file(self.project.run_dir / "dash.lock") as mine:
            if not mine:
                raise RefusedError(
                    f"a dashboard runs for {self.project.config} already",
                    hint="its link: chapiteau dash url",
                )
            async with self._serving():
                yield self

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        store = Store(self.project.store)
        has_accounts = bool(store.accounts())
        raise_problems(
            str(self.project.config),
            settings_problems(
                replace(self.project.dash, host=self._host), has_accounts=has_accounts
            ),
        )
        listener = self._bind()
        self.port = listener.getsockname()[1]
        self.hub = self._make_hub(store)
        node = self._node or LocalNode(socket.gethostname(), self.project.run_dir, self._clock)
        # A hub may be nothing but a hub: then there is no supervisor here to wait for.
        if self.project.has_services or not self._with_hub or self._node:
            self.hub.fleet.add(node, own=True)
        try:
            await self.hub.open()
        except BaseException:
            listener.close()
            await self.hub.close()
            raise
        tasks = [asyncio.create_task(self.hub.fleet.beat())]
        papers = self._page_certificate()
        if papers is not None:
            own = self.hub.fleet.certificates
            tasks.append(asyncio.create_task(papers.keep(lambda p: own.update(page=p))))
        runner = web.AppRunner(
            make_app(self.hub, self._door()), access_log=None, shutdown_timeout=1.0
        )
        await runner.setup()
        await web.SockSite(runner, listener, ssl_context=papers.context if papers else None).start()
        self.tell_address()
        try:
            yield
        finally:
            self.project.address_file.unlink(missing_ok=True)
            for task in tasks:
                task.cancel()
            await runner.cleanup()
            await self.hub.close()
            await node.close()

    def tell_address(self) -> None:
        """Write the URL, token included, where only this user can read it."""
        told = {"url": self.url, "base": self.base_url, "port": self.port}
        write_atomic(self.project.address_file, json.dumps(told).encode(), mode=0o600)

    def _make_hub(self, store: Store) -> Hub:
        clock, dash, bus = self._clock, self.project.dash, Bus()
        fleet = Fleet(bus, clock=clock, chance=self._chance, history=int(dash.history))
        fleet.set_mutes(store.mutes())
        cluster = (
            make_cluster_runtime(self.project, fleet, clock, self._chance)
            if self._with_hub
            else None
        )
        return Hub(
            cluster=cluster,
            project=self.project.name,
            settings=dash,
            clock=clock,
            bus=bus,
            fleet=fleet,
            actions=Actions(fleet, bus, store, clock),
            documents=ApiDocuments(self.project.store, fleet, clock),
            operations=OperationStats(fleet, clock),
            sessions=Sessions(store, clock, dash, self.tell_address),
            store=store,
            trail=AuditTrail(store, clock),
            provider=self._provider(),
            metrics_token=metrics_token(self.project),
            alerts=make_alert_dispatcher(self.project, fleet, store, clock, self._chance),
            reports=self.project.run_dir,
        )

    def _provider(self) -> IdentityProvider | None:
        oidc = self.project.dash.oidc
        if not oidc.issuer:
            return None
        if importlib.util.find_spec("jwt") is None:
            raise UsageError("[dash.oidc] needs PyJWT", hint="pip install 'chapiteau[jwt]'")
        return IdentityProvider(oidc, self.project.config.parent, self._clock)

    def _door(self) -> Site:
        names = {self._host, *self.project.dash.names}
        if is_loopback(self._host):
            names |= {"localhost", "127.0.0.1", "::1"}
        return Site(port=self.port, names=tuple(names), tls=bool(self.project.dash.cert))

    def _page_certificate(self) -> PageCertificate | None:
        dash, folder = self.project.dash, self.project.config.parent
        return (
            PageCertificate(folder / dash.cert, folder / dash.key, self._clock)
            if dash.cert
            else None
        )

    def _bind(self) -> socket.socket:
        tries = 1 if self._exact_port or not self._wanted_port else _NEXT_PORTS
        for port in range(self._wanted_port, self._wanted_port + tries):
            try:
                return _listen(self._host, port)
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE:
                    raise ChapiteauError(f"cannot listen on {self._host}:{port}: {exc}") from exc
        raise PortTakenError(
            f"port {self._wanted_port} on {self._host} is in use",
            hint="choose another: --bind 127.0.0.1:0 takes a free one",
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Each connection inherits it: one whose peer takes nothing for so long is over.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _PATIENCE)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(server: Server, told: Callable[[str], object]) -> None:
    """Run until SIGTERM or SIGINT; `told` gets the URL, and NOTIFY_SOCKET READY=1."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with server.running():
        told(server.url)
        sd_notify("READY=1")
        await stop.wait()
        sd_notify("STOPPING=1")
