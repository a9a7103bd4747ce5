"""The client for scripts and the command line: blocking, and cheap to import."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from chapiteau.core.errors import UsageError
from chapiteau.io.clock import SystemClock
from chapiteau.io.files import lock_owner
from chapiteau.io.locate_config import find_config, may_define
from chapiteau.io.unix_http import control_path, stream_bytes, stream_lines
from chapiteau.io.unix_http import request as ask
from chapiteau.run.api import wire as _wire
from chapiteau.run.errors import BrainLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chapiteau.io.unix_http import Response
    from chapiteau.run.api.status import (
        Ping,
        ServiceSummary,
        SocketHolders,
        StatsMessage,
        SupervisorStatus,
    )
    from chapiteau.run.events import Event
    from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome, PreviousPage

__all__ = ["Client", "lock_path", "run_dir_of", "socket_of"]


# Where the supervisor of a project listens.


def run_dir_of(config: Path) -> Path:
    """The run directory that a chapiteau.toml names, without checking anything else in it.

    It must work while the file is being edited: one that can't be read as TOML counts as one
    with the default.
    """
    if not may_define(config, "run_dir"):
        return (config.parent / ".chapiteau").absolute()
    from chapiteau.io.project_file import read_project

    try:
        named = read_project(config).section("project").get("run_dir")
    except UsageError:
        named = None
    usual = (config.parent / ".chapiteau").absolute()
    wanted = (config.parent / named).absolute() if isinstance(named, str) else usual
    if wanted != usual and not control_path(wanted).exists() and control_path(usual).exists():
        return usual  # it was started before the file named another one
    return wanted


def socket_of(config: str | Path | None = None) -> Path:
    """Path of the control socket for a config file, its folder, or the one found from here up."""
    return control_path(run_dir_of(find_config(config)))


def lock_path(run_dir: Path) -> Path:
    """The file that names the living supervisor's keeper."""
    return run_dir / "lock"


# Making dataclasses costs a millisecond each: a call imports only those that it gives back.


T = TypeVar("T")
_REPEATABLE: Final = ("start", "stop", "reload")  # asked twice, they come to the same
_MAX_BRAINS: Final = 100  # that are asked
_PAUSE: Final = 0.05  # seconds between two of them
_SOON: Final = 10.0  # seconds for what the supervisor answers at once


class Client:
    """Talks to one supervisor; every call is a connection of its own.

    Raises NotRunningError when nobody answers, RefusedError when this user may not, and what the
    supervisor answers as error otherwise.
    """

    def __init__(self, path: Path, run_dir: Path | None = None) -> None:
        self.path = path
        self._lock = lock_path(run_dir) if run_dir else None

    @classmethod
    def find(cls, config: str | Path | None = None) -> Client:
        """The client for a chapiteau.toml, its folder, or the one found from here upwards."""
        return cls.at(run_dir_of(find_config(config)))

    @classmethod
    def at(cls, run_dir: Path) -> Client:
        """The client for the supervisor of a run directory.

        While a keeper lives there but its brain is just being replaced, calls wait for the next.
        """
        return cls(control_path(run_dir), run_dir)

    def ping(self, timeout: float = _SOON) -> Ping:
        """Whether anybody is there, and of which version."""
        found: Ping = self._get("/v1/ping", timeout)
        return found

    def status_json(self) -> bytes:
        """The state as the JSON that the supervisor sent, not looked at."""
        reply = self._ask(_wire.get("/v1/status"), _SOON)
        if reply.status >= 400:
            raise _wire.error_of(reply)
        return reply.body

    def status(self) -> SupervisorStatus:
        """The state now."""
        from chapiteau.run.api.status import SupervisorStatus

        return SupervisorStatus.from_dict(self._get("/v1/status"))

    def services(self) -> list[ServiceSummary]:
        """The services in few words, the quickest answer: name, state, ready, wanted, pids."""
        return list(self._get("/v1/services")["services"])

    def holders(self, socket: str) -> SocketHolders:
        """Who has a listening socket open."""
        found: SocketHolders = self.call("holders", socket=socket, answer_within=_SOON)
        return found

    def call(self, name: str, *, answer_within: float | None = None, **given: Any) -> Any:
        """Any call of run/api/calls.py that has no method here: call("holders", socket="web").

        `given`: what stands for the {names} of its path, and the fields of its request. The answer
        is a value of its type, or its JSON when it has none.
        """
        request, read = _wire.call_request(name, given)
        return read(self._ask(request, answer_within))

    def command(
        self, verb: str, service: str, *, answer_within: float | None = None, **options: Any
    ) -> Outcome:
        """Do start, stop, restart, reload, scale or signal; a failure is an Outcome as well.

        `service` may be a glob, several with commas, or `all`. `options` are those of the control
        API: wait, timeout, processes, by, signal, process, force.
        """
        target = _wire.verb_target(verb, service)
        request = _wire.post(target, options)
        again = None
        if verb in _REPEATABLE and "process" not in options:
            again = _wire.post(target, {**options, "resume": True})
        return self._outcome(request, answer_within, again)

    def configure(
        self,
        service: str,
        settings: Mapping[str, Any],
        *,
        reset: Sequence[str] = (),
        add: bool = False,
        remove: bool = False,
    ) -> Outcome:
        """Change settings of services until the file is followed again: {"stop_timeout": "3s"}.

        `reset` names those that follow the file again, "*" all. With `add` the service is a new
        one; with `remove` it is stopped and forgotten.
        """
        body = _wire.configure_body(settings, reset, add=add, remove=remove)
        request = _wire.post(_wire.verb_target("set", service), body)
        return _wire.outcome(self._ask(request, None))

    def plan(self) -> Outcome:
        """What the file on disk would change: `data["changes"]`."""
        return _wire.outcome(self._ask(_wire.post("/v1/config/plan"), _SOON))

    def apply(self) -> Outcome:
        """Make the supervisor follow the file on disk, whole or not at all."""
        request = _wire.post("/v1/config/apply")
        return self._outcome(request, None, request)

    def upgrade(self) -> Outcome:
        """Make the supervisor become the one that is installed now; services go on."""
        return _wire.outcome(self._ask(_wire.post("/v1/upgrade"), None))

    def config(self) -> dict[str, Any]:
        """The running configuration; secrets are left out."""
        return dict(self._get("/v1/config"))

    def shutdown(self, *, force: bool = False, answer_within: float = _SOON) -> None:
        """Begin to stop everything, then the supervisor; returns at once. `force`: no grace."""
        body = {"force": True} if force else None
        _wire.json_answer(self._ask(_wire.post("/v1/shutdown", body), answer_within))

    def events(self, after: int = 0, *, follow: bool = False) -> Iterator[Event | Gap]:
        """What happened after this number; goes on for ever when following."""
        target = f"/v1/events?after={after}" + ("&follow=1" if follow else "")
        yield from map(_wire.event_item, self._stream(target))

    def logs(self, query: LogQuery) -> Iterator[LogLine | Gap]:
        """Output; endless with `follow`."""
        from chapiteau.run.logs.messages import PreviousPage

        for item in map(_wire.log_item, self._stream(_wire.logs_target(query))):
            if not isinstance(item, PreviousPage):
                yield item

    def log_page(self, query: LogQuery) -> tuple[list[LogLine], PreviousPage]:
        """One page of a search, and how to ask for the one before it (`LogQuery.before`)."""
        from dataclasses import replace

        from chapiteau.run.logs.messages import LogLine, PreviousPage

        target = _wire.logs_target(replace(query, pages=True, follow=False))
        items = list(map(_wire.log_item, self._stream(target)))
        older = next((item for item in items if isinstance(item, PreviousPage)), PreviousPage())
        return [item for item in items if isinstance(item, LogLine)], older

    def enter(self, service: str, text: str = "", **options: Any) -> Outcome:
        """Give a process input. `options`: process, eof, rows and columns of its terminal."""
        target, body = _wire.verb_target("input", service), {"text": text, **options}
        return _wire.outcome(self._ask(_wire.post(target, body), _SOON))

    def screen(self, service: str, process: int = 1) -> Iterator[bytes]:
        """What a process prints from now on, as it is, until it ends.

        The first piece is empty, and says that from now on nothing is missed.
        """
        target = f"{_wire.verb_target('screen', service)}?process={process}"
        try:
            with stream_bytes(self.path, _wire.get(target)) as (reply, pieces):
                if reply.status >= 400:
                    raise _wire.error_of(reply)
                yield b""
                yield from pieces
        except OSError as exc:
            raise _wire.not_running(self.path, exc) from exc

    def stats(self) -> Iterator[StatsMessage]:
        """One message a second, for ever."""
        yield from cast("Iterator[StatsMessage]", self._stream("/v1/stats"))

    def _get(self, target: str, timeout: float = _SOON) -> Any:
        return _wire.json_answer(self._ask(_wire.get(target), timeout))

    def _outcome(self, request: bytes, timeout: float | None, again: bytes | None) -> Outcome:
        """`again`: what the next brain is asked when this one dies over it."""
        for tried in range(_MAX_BRAINS):
            try:
                made = _wire.outcome(self._ask(request, timeout))
            except BrainLostError:  # also of a connection that one took while it ended
                if again is None or tried + 1 == _MAX_BRAINS:
                    raise
                request = again
                SystemClock().sleep(_PAUSE)
            else:
                return _wire.by_another_brain(made) if tried else made
        raise AssertionError

    def _ask(self, request: bytes, timeout: float | None) -> Response:
        try:
            return self._when_it_listens(lambda: ask(self.path, request, timeout), timeout)
        except OSError as exc:
            raise _wire.not_running(self.path, exc) from exc

    def _stream(self, target: str) -> Iterator[dict[str, Any]]:
        with contextlib.ExitStack() as stack:
            request = _wire.get(target)
            try:
                reply, lines = self._when_it_listens(
                    lambda: stack.enter_context(stream_lines(self.path, request))
                )
                if reply.status >= 400:
                    raise _wire.error_of(reply)
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
            except OSError as exc:
                raise _wire.not_running(self.path, exc) from exc

    def _when_it_listens(self, deed: Callable[[], T], timeout: float | None = None) -> T:
        """Nobody listens though a keeper lives: the next brain is on its way, so try again."""
        clock = SystemClock()
        end = clock.now() + min(timeout or _wire.BRAIN_RESTART_TIMEOUT, _wire.BRAIN_RESTART_TIMEOUT)
        while True:
            try:
                return deed()
            except (FileNotFoundError, ConnectionRefusedError):
                if self._lock is None or not lock_owner(self._lock) or clock.now() >= end:
                    raise
                clock.sleep(0.02)
