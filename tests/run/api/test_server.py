"""The control API, asked by both clients over a real Unix socket."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.io.unix_http import format_request
from chapiteau.io.unix_http import request as ask
from chapiteau.run.api.calls import CALLS
from chapiteau.run.api.client import Client
from chapiteau.run.api.server import start_server
from chapiteau.run.client import AsyncClient
from chapiteau.run.config.access import ROLES, Access, Role
from chapiteau.run.errors import AlreadyRunningError, NotRunningError
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome
from chapiteau.run.testing import MemorySupervisor, control_server
from tests.support import as_root, wait_for_async


@pytest.fixture
def supervisor() -> MemorySupervisor:
    return MemorySupervisor({"web": 2, "worker": 1, "web-admin": 1})


@pytest.fixture
async def path(supervisor: MemorySupervisor, tmp_path: Path) -> AsyncIterator[Path]:
    async with control_server(supervisor, tmp_path / "control.sock") as found:
        yield found


async def test_both_clients_read_the_same_status(path: Path) -> None:
    from_async = await AsyncClient(path).status()
    from_sync = await asyncio.to_thread(Client(path).status)
    assert from_async == from_sync
    assert [s.name for s in from_sync.services] == ["web", "worker", "web-admin"]
    assert from_sync.services[0].processes[1].number == 2


@pytest.mark.parametrize("glob", ["web*", "w?b*"])
async def test_a_command_reaches_every_service_that_its_glob_names(
    path: Path, supervisor: MemorySupervisor, glob: str
) -> None:
    outcome = await AsyncClient(path).command("scale", glob, processes=5)
    assert outcome.ok
    assert supervisor.wanted == {"web": 5, "worker": 1, "web-admin": 5}
    assert supervisor.commands == [("scale", glob, {"processes": 5}, f"uid {os.getuid()}")]


async def test_an_unknown_service_is_an_outcome_with_exit_code_3(path: Path) -> None:
    outcome = await AsyncClient(path).command("stop", "wob")
    assert (outcome.ok, outcome.exit_code, outcome.hint) == (False, 3, "did you mean 'web'?")


async def test_a_failed_command_keeps_what_it_did(path: Path, supervisor: MemorySupervisor) -> None:
    failed = Outcome(ok=False, error="1 of 2 failed", exit_code=7, data={"failed": ["web"]})
    supervisor.fail["restart"] = failed
    assert await AsyncClient(path).command("restart", "web") == failed


@pytest.mark.parametrize(
    ("verb", "options", "kind"),
    [
        pytest.param("explode", {}, NotFoundError, id="unknown verb"),
        pytest.param("shutdown", {}, NotFoundError, id="a verb that is no deed on services"),
        pytest.param("stop", {"wiat": True}, UsageError, id="unknown option"),
        pytest.param("stop", {"wait": 1}, UsageError, id="option of the wrong type"),
        pytest.param("scale", {"processes": -1}, UsageError, id="below the minimum"),
        pytest.param("scale", {"processes": True}, UsageError, id="true is no number"),
    ],
)
async def test_bad_requests_do_nothing(
    path: Path,
    supervisor: MemorySupervisor,
    verb: str,
    options: dict[str, object],
    kind: type[Exception],
) -> None:
    with pytest.raises(kind):
        await AsyncClient(path).command(verb, "web", **options)  # type: ignore[arg-type]
    assert supervisor.commands == []


async def test_events_replay_from_a_number_then_follow(
    path: Path, supervisor: MemorySupervisor
) -> None:
    for n in range(3):
        supervisor.happen("service.ready", service="web", text=str(n))
    seen: list[Event | Gap] = []
    events = AsyncClient(path).events(after=1, follow=True)
    seen += [await anext(events), await anext(events)]
    supervisor.happen("service.stopped", service="web")
    seen.append(await anext(events))
    assert [e.seq for e in seen if isinstance(e, Event)] == [2, 3, 4]
    await events.aclose()  # type: ignore[attr-defined]


async def test_a_slow_reader_is_told_what_it_lost_and_blocks_nobody(
    path: Path, supervisor: MemorySupervisor
) -> None:
    lines = AsyncClient(path).logs(LogQuery(follow=True))
    supervisor.say("web", "first")
    assert isinstance(await anext(lines), LogLine)
    for n in range(5000):  # nobody reads meanwhile: this task never yields
        supervisor.say("web", f"{n}")
    items = [await anext(lines) for _ in range(1001)]
    assert items[-1] == Gap(4000)
    assert [i.text for i in items[:1000] if isinstance(i, LogLine)] == [str(n) for n in range(1000)]
    await lines.aclose()  # type: ignore[attr-defined]


async def test_server_sent_events_carry_ids_and_continue_from_the_last(
    path: Path, supervisor: MemorySupervisor
) -> None:
    for text in ("one", "two\nlines"):
        supervisor.happen("plugin.message", text=text)
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(
        b"GET /v1/events HTTP/1.0\r\nHost: x\r\n"
        b"Accept: text/event-stream\r\nLast-Event-ID: 1\r\n\r\n"
    )
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    assert "Content-Type: text/event-stream" in head
    assert body.startswith("id: 2\nevent: plugin.message\ndata: {")
    assert body.endswith("}\n\n")
    assert body.count("\n\n") == 1


async def test_logs_are_filtered_by_service_and_regex(
    path: Path, supervisor: MemorySupervisor
) -> None:
    for service, text in (("web", "GET /a 200"), ("web", "GET /b 500"), ("worker", "GET /c 500")):
        supervisor.say(service, text)
    query = LogQuery(services=("web",), grep="500$")
    lines = [line async for line in AsyncClient(path).logs(query)]
    assert [line.text for line in lines if isinstance(line, LogLine)] == ["GET /b 500"]
    lines = [line async for line in AsyncClient(path).logs(LogQuery(services=("work*",)))]
    assert [line.text for line in lines if isinstance(line, LogLine)] == ["GET /c 500"]
    with pytest.raises(UsageError, match="regular expression"):
        [line async for line in AsyncClient(path).logs(LogQuery(grep="("))]
    with pytest.raises(UsageError, match="none of trace, debug, info"):
        [line async for line in AsyncClient(path).logs(LogQuery(level="loud"))]
    with pytest.raises(NotFoundError, match="no service 'wep'"):
        [line async for line in AsyncClient(path).logs(LogQuery(services=("wep",)))]


async def test_a_command_goes_on_when_the_caller_hangs_up(tmp_path: Path) -> None:
    started, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow(MemorySupervisor):
        async def command(self, *args: object) -> Outcome:  # type: ignore[override]
            started.set()
            await go.wait()
            done.set()
            return Outcome(ok=True)

    async with control_server(Slow(), tmp_path / "c.sock") as path:
        call = asyncio.create_task(AsyncClient(path).command("reload", "web"))
        await started.wait()
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        await asyncio.sleep(0)
        go.set()
        await asyncio.wait_for(done.wait(), 60)


async def test_the_openapi_document_is_valid_and_names_every_route(path: Path) -> None:
    document = await AsyncClient(path)._get("/v1/openapi.json")
    validate(document)
    described = {
        (method.upper(), where) for where, ops in document["paths"].items() for method in ops
    }
    assert described == {(call.method, call.path) for call in CALLS}


async def test_metrics_are_openmetrics(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    assert "application/openmetrics-text; version=1.0.0" in head
    assert 'chapiteau_service_processes_ready{service="web"} 2\n' in body
    assert 'chapiteau_process_start_time_seconds{service="web",process="1"} 1700000000\n' in body
    assert body.endswith("# EOF\n")


ASK = """
import socket, sys
for call in sys.argv[2:]:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        s.sendall(f"{call} HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n".encode())
        print(s.makefile("rb").readline().split()[1].decode())
"""


@as_root
@pytest.mark.needs_root
@pytest.mark.parametrize("role", [None, "viewer", "operator", "admin"])
async def test_every_operation_is_for_its_role_and_those_above(
    tmp_path: Path, role: Role | None
) -> None:
    least = {
        f"{call.method} {call.path}".format(service="web", socket="web"): call.role
        for call in CALLS
    }
    access = Access(own_uid=0, gids={4242: role} if role else {4243: "viewer"})
    for folder in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)
    async with control_server(MemorySupervisor(), tmp_path / "c.sock", access) as path:
        child = await asyncio.create_subprocess_exec(
            "/usr/bin/python3", "-c", ASK, str(path), *least,
            stdout=asyncio.subprocess.PIPE, user=65534, group=65534, extra_groups=[4242],
        )  # fmt: skip
        out, _ = await child.communicate()
    answers = dict(zip(least, out.decode().split(), strict=True))
    may = {c for c, r in least.items() if role and ROLES.index(role) >= ROLES.index(r)}
    assert {call for call, code in answers.items() if code != "403"} == may
    assert {code for call, code in answers.items() if call in may} <= {"200", "400"}  # no body


async def test_a_second_server_is_refused_and_a_stale_file_replaced(
    path: Path, supervisor: MemorySupervisor, tmp_path: Path
) -> None:
    with pytest.raises(AlreadyRunningError):
        await start_server(supervisor, path, Access(own_uid=os.geteuid()))
    stale = tmp_path / "stale.sock"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.bind(str(stale))
    async with control_server(supervisor, stale):
        assert (await AsyncClient(stale).ping())["ok"] is True
    assert not stale.exists()


async def test_a_removed_socket_file_is_made_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, supervisor: MemorySupervisor, tmp_path: Path
) -> None:
    monkeypatch.setattr("chapiteau.run.api.server._CHECK_INTERVAL", 0.01)
    async with control_server(supervisor, tmp_path / "c.sock") as own:
        own.unlink()
        await wait_for_async(own.exists)
        assert (await AsyncClient(own).ping())["ok"] is True


async def test_only_the_owner_may_open_the_socket(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_a_supervisor_the_hint_is_up(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError) as caught:
        Client(tmp_path / "nobody.sock").status()
    assert caught.value.exit_code == 5
    assert "chapiteau up" in caught.value.hint


async def test_a_supervisor_that_fails_answers_500_and_lives(tmp_path: Path) -> None:
    class Broken(MemorySupervisor):
        def status(self) -> None:  # type: ignore[override]
            raise ZeroDivisionError

    async with control_server(Broken(), tmp_path / "c.sock") as path:
        with pytest.raises(Exception, match="failed to answer"):
            await AsyncClient(path).status()
        assert (await AsyncClient(path).ping())["ok"] is True


async def test_no_path_answers_404_as_problem_json(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"GET /v1/nothing HTTP/1.0\r\nHost: x\r\n\r\n")
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    assert head.startswith("HTTP/1.1 404")
    assert "application/problem+json" in head
    assert json.loads(body)["exit_code"] == 3


async def test_a_method_that_a_path_has_not_answers_with_those_it_has(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"PATCH /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n")
    head = (await asyncio.wait_for(reader.read(), 60)).decode().partition("\r\n\r\n")[0]
    writer.close()
    assert head.startswith("HTTP/1.1 405 ")
    assert "Allow: GET" in head.splitlines()


async def test_closing_ends_streams_at_once_but_not_before_the_last_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.run.api.server._GRACE", 60.0)
    supervisor = MemorySupervisor()
    seen: list[Event | Gap] = []
    async with control_server(supervisor, tmp_path / "c.sock") as path:
        events = AsyncClient(path).events(follow=True)
        supervisor.happen("service.ready")
        seen.append(await anext(events))
        supervisor.happen("supervisor.stopping")
        begun = asyncio.get_running_loop().time()
    took = asyncio.get_running_loop().time() - begun
    seen += [event async for event in events]
    assert [e.kind for e in seen if isinstance(e, Event)][-1] == "supervisor.stopping"
    assert took < 30


async def test_connections_that_say_nothing_are_limited_and_disturb_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.run.api.server._PER_USER", 5)
    async with control_server(MemorySupervisor(), tmp_path / "c.sock") as path:
        idle = [await asyncio.open_unix_connection(str(path)) for _ in range(5)]
        idle.append(await asyncio.open_unix_connection(str(path)))
        assert await asyncio.wait_for(idle[-1][0].read(), 60) == b""  # turned away
        idle.pop(0)[1].close()
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(NotRunningError):
                    assert (await AsyncClient(path).ping())["ok"] is True
                    break
        for _, writer in idle:
            writer.close()


async def test_roles_that_change_hold_at_once_and_open_the_socket(tmp_path: Path) -> None:
    own = Access(own_uid=os.geteuid())
    server = await start_server(MemorySupervisor(), tmp_path / "c.sock", own)
    try:
        assert server.path.stat().st_mode & 0o777 == 0o600
        server.admit(Access(own_uid=os.geteuid(), gids={4242: "operator"}))
        assert server.path.stat().st_mode & 0o777 == 0o666
        server.admit(own)
        assert server.path.stat().st_mode & 0o777 == 0o600
        assert (await AsyncClient(server.path).ping())["ok"] is True
    finally:
        await server.close()


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        pytest.param("/v1/services/web/scale", b'{"processes": 3.0}', 200, id="an integer as 3.0"),
        pytest.param("/v1/services/web/scale", b'{"processes": 3.5}', 400, id="no integer"),
        pytest.param("/v1/services/web/stop", b'{"timeout": NaN}', 400, id="no JSON"),
        pytest.param("/v1/services/%0A/stop", b"{}", 404, id="a name of nothing"),
        pytest.param("/v1/services/web/input", b'{"rows": 65536}', 400, id="too many rows"),
        pytest.param("/v1/services/web/input", b'{"text": "\\ud800"}', 400, id="half a character"),
        pytest.param("/v1/logs?whole=yes", None, 400, id="a flag that is none"),
        pytest.param("/v1/logs?whole=1", None, 200, id="a flag"),
    ],
)
async def test_what_the_document_says_of_values_holds(
    path: Path, call: str, body: bytes | None, status: int
) -> None:
    method = "GET" if body is None else "POST"
    request = format_request(method, call, body)
    reply = await asyncio.to_thread(ask, path, request, 5.0)
    assert reply.status == status, reply.body
