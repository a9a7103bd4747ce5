"""A supervisor inside a Python program: it lives as long as its `async with` block."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from chapiteau.core.errors import ChapiteauError, TimedOutError
from chapiteau.io.project_file import find_config
from chapiteau.io.toml_writer import write_toml
from chapiteau.run.api.async_client import AsyncClient
from chapiteau.run.api.status import SupervisorStatus
from chapiteau.run.config.load import load_config
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.supervisor.launch import start, startup_error

__all__ = ["Supervisor"]

_KEEPERS_SHARE: Final = 30.0  # seconds beyond `stop_deadline` until the keeper ends it all itself
_PAUSE: Final = 0.02


class Supervisor:
    """Keeps services running while the block lasts; then nothing of them is left.

    `config` is the path of a chapiteau.toml or of its folder, or what such a file says as plain
    values: {"service": {"db": {"command": "redis-server"}}}; commands then run in the current
    folder. With `only`, only these services start, and what they need.

    Keeper and brain are processes of their own, so that yours may be busy, and they end with it
    however it ends. Failures are raised as ChapiteauError with what, hint and exit code.
    """

    def __init__(
        self, config: str | Path | Mapping[str, Any] | None = None, *, only: Sequence[str] = ()
    ) -> None:
        self._given, self._only = config, tuple(only)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._client: AsyncClient | None = None
        self._deadline = 0.0
        self._run_dir = Path()

    async def __aenter__(self) -> Self:
        """Start, and wait until the supervisor answers; `ready` waits for the services."""
        try:
            config = load_config(self._path())
            self._run_dir = config.run_dir
            self._deadline = config.spec.project.stop_deadline + _KEEPERS_SHARE
            await asyncio.to_thread(
                start, config.path, config.spec, owner_pid=os.getpid(), only=self._only
            )
        except BaseException:
            self._forget()
            raise
        self._client = AsyncClient.at(config.run_dir, speaks_as="embedded")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything in order, and wait until it has gone. Raises TimedOutError."""
        keeper = (await self._try_status()) or 0
        with contextlib.suppress(ChapiteauError):
            await self.client.shutdown()
        try:
            await asyncio.wait_for(asyncio.to_thread(_gone, keeper), self._deadline)
        except TimeoutError:
            raise TimedOutError(f"the keeper (pid {keeper}) does not end") from None
        finally:
            self._forget()

    async def _try_status(self) -> int | None:
        with contextlib.suppress(ChapiteauError):
            return (await self.client.status()).keeper_pid
        return None

    @property
    def client(self) -> AsyncClient:
        """All that can be asked and done: events, logs, stats, configure, apply and more.

        Raises ChapiteauError outside of the block.
        """
        if self._client is None:
            raise ChapiteauError("the supervisor does not run", hint="use it in `async with`")
        return self._client

    async def status(self) -> SupervisorStatus:
        """The state now."""
        return await self.client.status()

    async def ready(self, timeout: float = 60.0) -> SupervisorStatus:
        """Wait until all that should run is ready; the state then.

        Raises ChapiteauError when a service fails or why the supervisor has ended, and
        TimedOutError after `timeout` seconds.
        """
        pending: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    status = await self._alive()
                    failed = [s for s in status.services if s.failing]
                    if failed:
                        told = "; ".join(f"{s.name} is {s.state}: {s.reason}" for s in failed)
                        raise ChapiteauError(told, hint="its output: .client.logs(…)")
                    pending = [s.name for s in status.services if not s.settled]
                    if not pending:
                        return status
                    await asyncio.sleep(_PAUSE)
        raise TimedOutError(f"not ready within {timeout:g} s: {', '.join(pending)}")

    async def _alive(self) -> SupervisorStatus:
        try:
            return await self.client.status()
        except ChapiteauError:
            raise startup_error(self._run_dir) or ChapiteauError(
                "the supervisor has ended"
            ) from None

    async def start(self, service: str = "all", **options: Any) -> Outcome:
        """Start services and wait until they are ready. Raises what went wrong."""
        return await self._do("start", service, options)

    async def stop(self, service: str = "all", **options: Any) -> Outcome:
        """Stop services; nothing of them survives."""
        return await self._do("stop", service, options)

    async def restart(self, service: str = "all", **options: Any) -> Outcome:
        """Stop and start."""
        return await self._do("restart", service, options)

    async def reload(self, service: str = "all", **options: Any) -> Outcome:
        """Replace processes, no request lost."""
        return await self._do("reload", service, options)

    async def scale(self, service: str, processes: int, **options: Any) -> Outcome:
        """Change how many processes a service has."""
        return await self._do("scale", service, {"processes": processes, **options})

    async def signal(self, service: str, signal: str, **options: Any) -> Outcome:
        """Send a signal to its processes."""
        return await self._do("signal", service, {"signal": signal, **options})

    async def _do(self, verb: str, service: str, options: Mapping[str, Any]) -> Outcome:
        outcome = await self.client.command(verb, service, **options)
        if not outcome.ok:
            raise outcome.to_error()
        return outcome

    def _path(self) -> Path:
        if not isinstance(self._given, Mapping):
            return find_config(self._given)
        self._folder = tempfile.TemporaryDirectory(prefix="chapiteau-")
        path = Path(self._folder.name) / "chapiteau.toml"
        path.write_text(write_toml(_at_home(self._given)))
        return path

    def _forget(self) -> None:
        self._client = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _at_home(given: Mapping[str, Any]) -> dict[str, Any]:
    """Services without a folder run in ours, and are not called after a temporary one."""
    here = str(Path.cwd())
    services = {
        name: {**one, "cwd": os.path.join(here, str(one.get("cwd", "")))}  # noqa: PTH118
        for name, one in given.get("service", {}).items()
    }
    project = {"name": "embedded", **given.get("project", {})}
    return {**given, "project": project, "service": services}


def _gone(keeper: int) -> None:
    """Wait for the keeper, which is our child."""
    if keeper:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(keeper, 0)
