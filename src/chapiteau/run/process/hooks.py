"""Runs the commands that a service's owner has put at points of its life."""

import asyncio
import contextlib
import json
import os
import shlex
import signal
from collections.abc import Callable
from typing import Any, Final, Self

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.core.variables import substitute
from chapiteau.run.config.hook_rules import hook_argv, hook_at
from chapiteau.run.config.spec import Hook, Service
from chapiteau.run.process.process import Process
from chapiteau.run.process.spawn import Spawner
from chapiteau.run.system.accounts import supplementary_groups, user_ids
from chapiteau.run.system.process_tree import find_orphans

__all__ = ["HookRunner"]

_KEPT: Final = 64 << 10  # bytes of a hook's output
_SHOWN: Final = 20  # lines of it in an event
_OF_PROCESSES: Final = frozenset({"LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC"})


class HookRunner:
    """One run is one process in a session of its own; what it leaves behind is killed."""

    def __init__(self, spawner: Spawner, emit: Callable[..., None], clock: Clock) -> None:
        self._spawner, self._emit, self._clock = spawner, emit, clock
        self._serial = 0
        self._running: dict[str, tuple[str, float, float]] = {}  # service → point, begun, timeout

    def running(self, name: str) -> str:
        """Which hook of the service's own life runs, and for how long; "": none."""
        if name not in self._running:
            return ""
        point, begun, timeout = self._running[name]
        return f"{point} runs for {self._clock.now() - begun:.0f} s, at most {timeout:g} s"

    async def passes(
        self, point: str, name: str, spec: Service, process: int = 0, **facts: Any
    ) -> str:
        """Run it; "" when what it stands before may go on, else why not."""
        hook = hook_at(spec, point)
        if hook is None:
            return ""
        if not process:
            self._running[name] = (point, self._clock.now(), hook.timeout)
        try:
            why, output = await self._run(hook, point, name, spec, process, facts)
        finally:
            if not process:
                self._running.pop(name, None)
        data: dict[str, Any] = {"hook": point}
        pid = int(facts.get("pid", 0))
        if not why:
            self._emit("hook.done", point, service=name, process=process, pid=pid, data=data)
            return ""
        data |= {"why": why, "outcome": hook.on_failure, "lines": output.splitlines()[-_SHOWN:]}
        text = f"{point}: {why}"
        self._emit("hook.failed", text, service=name, process=process, pid=pid, data=data)
        if hook.on_failure != "abort":
            return ""
        return ": ".join([text, *output.splitlines()[-1:]])

    async def extended(self, process: Process) -> dict[str, Any]:
        """What `extended_stats` prints of a process. Raises ValueError with what was wrong."""
        hook = hook_at(process.spec, "extended_stats")
        if hook is None:
            return {}
        why, output = await self._run(
            hook, "extended_stats", process.service, process.spec, process.number,
            {"pid": process.pid},
        )  # fmt: skip
        if why:
            raise ValueError(why)
        made = json.loads(output)
        if not isinstance(made, dict):
            raise ValueError("it did not print a JSON object")  # noqa: TRY004 — of its text
        return made

    async def _run(
        self, hook: Hook, point: str, name: str, spec: Service, process: int, facts: dict[str, Any]
    ) -> tuple[str, str]:
        """Why it failed ("" when it did not), and what it printed."""
        self._serial += 1
        key = f"hook-{os.getpid()}-{self._serial}"
        with _Output() as output:
            try:
                argv = self._argv(hook, name, spec, process)
                env = self._environment(point, name, spec, process, key, facts)
                child = await self._start(argv, name, spec, env, output.writing)
            except ChapiteauError as exc:
                return exc.what, ""
            except OSError as exc:
                return f"{shlex.join(argv)}: {exc.strerror}", ""
            try:
                async with asyncio.timeout(hook.timeout):
                    code = await child.wait()
                    why = "" if code == 0 else _how(code)
            except TimeoutError:
                why = f"took longer than {hook.timeout:g} s"
            finally:
                await asyncio.shield(self._end(child, key))
            return why, output.text()

    def _argv(self, hook: Hook, name: str, spec: Service, process: int) -> list[str]:
        values = self._spawner.values(name, spec, process or 1)
        return [substitute(word, values) for word in hook_argv(hook)]

    def _environment(
        self, point: str, name: str, spec: Service, process: int, key: str, facts: dict[str, Any]
    ) -> dict[str, str]:
        """The service's own, and what the hook should know."""
        env = self._spawner.environment(name, spec, process or 1, key)
        env = {k: v for k, v in env.items() if k not in _OF_PROCESSES}
        env.pop("CHAPITEAU_PROCESS", None)
        env |= {"CHAPITEAU_HOOK": point, "CHAPITEAU_SERVICE": name}
        env["CHAPITEAU_CONFIG"] = str(self._spawner.context.folder)
        if process:
            env["CHAPITEAU_PROCESS"] = str(process)
        return env | {f"CHAPITEAU_{k.upper()}": str(v) for k, v in facts.items()}

    async def _start(
        self, argv: list[str], name: str, spec: Service, env: dict[str, str], writing: int
    ) -> asyncio.subprocess.Process:
        uid, gid = user_ids(name, spec)
        account: dict[str, Any] = {"user": uid, "group": gid}
        if uid is not None and gid is not None:
            account["extra_groups"] = supplementary_groups(uid, gid)
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=self._spawner.cwd(spec),
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
            umask=int(spec.umask, 8) if spec.umask else -1,
            **account,
        )

    async def _end(self, child: asyncio.subprocess.Process, key: str) -> None:
        """The hook, its session, and what has left that: nothing of it goes on."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()  # only then its orphans are the keeper's children, and can be found
        for pid in find_orphans(self._spawner.context.keeper_pid, key, ()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


class _Output:
    """A pipe that is read as it fills, so that a hook never waits for us; the last part is kept.

    Our own pipe: asyncio's Process.wait() would wait for its pipes to close, and a hook's orphan
    can hold one open for ever.
    """

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._kept = bytearray()

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._reading, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        os.close(self.writing)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._kept += os.read(self._reading, 1 << 16)
            del self._kept[:-_KEPT]

    def text(self) -> str:
        """What it printed; everything is in the pipe when the hook has ended."""
        for _ in range(16):  # a pipe holds no more
            self._read()
        return self._kept.decode("utf-8", "replace")


def _how(code: int) -> str:
    return f"ended with {code}" if code > 0 else f"was killed by signal {-code}"
