"""Both clients: typed answers, honest errors, patience with a brain that is replaced, lightness."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.run.cli.lines import follow_events, follow_logs
from chapiteau.run.client import AsyncClient, Client, run_dir_of, socket_of
from chapiteau.run.errors import NotRunningError
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import LogLine, LogQuery, Outcome
from tests.run.memory import Memory, memory_supervisor


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with memory_supervisor(tmp_path, {"web": 2}) as found:
        yield found


def test_a_client_is_found_by_file_folder_or_from_here(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Client.find(tmp_path).ping()["ok"] is True
    assert Client.find(tmp_path / "chapiteau.toml").ping()["ok"] is True
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert Client.find().status().services[0].ready == 2
    assert AsyncClient.find().path == Client.find().path


def test_the_socket_is_found_though_the_file_is_being_edited(tmp_path: Path) -> None:
    config = tmp_path / "chapiteau.toml"
    config.write_text('[project]\nrun_dir = "run"\n[servi')
    assert run_dir_of(config) == tmp_path / ".chapiteau"
    config.write_text('[project]\nrun_dir = "run"\n[nonsense]')
    assert socket_of(tmp_path) == tmp_path / "run" / "control.sock"


def test_outcomes_and_errors_come_as_values_and_exceptions(memory: Memory) -> None:
    client = Client.find(memory.folder)
    assert client.command("scale", "web", processes=3).data == {"services": ["web"]}
    assert client.command("stop", "nope") == Outcome(
        ok=False, error="no service 'nope'", hint="known: web", exit_code=3
    )
    with pytest.raises(NotFoundError, match="no command 'explode'"):
        client.command("explode", "web")
    assert client.plan().data == {"changes": [], "applied": False}
    assert client.apply().data["applied"] is True
    assert client.config() == {"service": {"web": {"processes": 3}}}


def test_every_call_can_be_made_by_its_name(memory: Memory) -> None:
    client = Client.find(memory.folder)
    assert client.call("status").project == client.status().project
    assert client.call("holders", socket="web") == client.holders("web")
    assert client.call("service", service="web").ready == 2
    assert client.call("scale", service="web", processes=3).ok
    assert client.call("plan") == client.plan()
    with pytest.raises(UsageError, match="no call 'holder'"):
        client.call("holder")
    with pytest.raises(UsageError, match="holders: socket must be given"):
        client.call("holders")


def test_stats_come_as_they_are(memory: Memory) -> None:
    stats = Client.find(memory.folder).stats()
    assert next(stats)["ids"] == []
    stats.close()  # type: ignore[attr-defined]


def test_a_name_cannot_break_out_of_its_place_in_a_request(memory: Memory) -> None:
    client = Client.find(memory.folder)
    outcome = client.command("stop", "a/../../shutdown HTTP/1.1\r\nX: y")
    assert outcome.exit_code == 3
    assert not memory.supervisor.stopping.is_set()


def test_following_events_goes_on_with_the_next_brain(tmp_path: Path) -> None:
    client = None
    seen: list[int] = []
    with memory_supervisor(tmp_path, {"web": 1}) as first:
        client = Client.find(tmp_path)
        for _ in range(2):
            first.do(first.supervisor.happen, "plugin.message")
        events = follow_events(client)
        seen += [e.seq for _ in range(2) if isinstance(e := next(events), Event)]
    with memory_supervisor(tmp_path, {"web": 1}) as second:
        for _ in range(3):  # the same history, and one more
            second.do(second.supervisor.happen, "plugin.message")
        seen += [e.seq for _ in range(1) if isinstance(e := next(events), Event)]
    events.close()  # type: ignore[attr-defined]
    assert seen == [1, 2, 3]


def test_following_lines_shows_none_twice_when_the_brain_is_replaced(tmp_path: Path) -> None:
    with memory_supervisor(tmp_path, {"web": 1}) as first:
        lines = follow_logs(Client.find(tmp_path), LogQuery())
        for text in ("a", "b"):
            first.do(first.supervisor.say, "web", text)
        seen = [next(lines), next(lines)]
    with memory_supervisor(tmp_path, {"web": 1}) as second:
        for text in ("a", "b", "c"):  # the files outlive the brain
            second.do(second.supervisor.say, "web", text)
        seen.append(next(lines))
    lines.close()  # type: ignore[attr-defined]
    assert [line.text for line in seen if isinstance(line, LogLine)] == ["a", "b", "c"]


def test_following_nobody_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError):
        next(follow_events(Client(tmp_path / "none.sock")))


def modules_after(*words: str, cwd: Path) -> set[str]:
    """Top-level modules that a fresh interpreter has imported after `chapiteau WORDS`."""
    script = (
        "import json, sys\nfrom chapiteau.cli.main import run\n"
        f"sys.argv = {['chapiteau', *words]!r}\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "names = sorted({name.partition('.')[0] for name in sys.modules})\n"
        "print(json.dumps(names), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "words", [("status", "--json"), ("status",), ("stop", "web"), ("scale", "web=1"), ("logs",)],
    ids=" ".join,
)  # fmt: skip
def test_hot_commands_import_nothing_heavy(memory: Memory, words: tuple[str, ...]) -> None:
    found = modules_after(*words, cwd=memory.folder)
    assert found & {"aiohttp", "asyncio", "rich", "ssl", "http", "email", "msgspec"} == set()


def test_the_hottest_command_makes_no_values_of_the_answer(memory: Memory) -> None:
    script = (
        "import sys\nfrom chapiteau.cli.main import run\nsys.argv = ['c', 'status', '--json']\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "print([m for m in sys.modules if m.startswith('chapiteau.run.logic.')], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=memory.folder, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == "[]\n"
    assert json.loads(done.stdout)["project"] == "memory"


def test_the_short_answer_says_the_same_as_the_long_one(memory: Memory) -> None:
    client = Client.find(memory.folder)
    long = client.status().services
    assert [(s["name"], s["state"], s["ready"], s["pids"]) for s in client.services()] == [
        (s.name, s.state, s.ready, [p.pid for p in s.processes]) for s in long
    ]
    done = subprocess.run(
        [sys.executable, "-m", "chapiteau", "status", "-o", "brief"], cwd=memory.folder,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:3] for row in rows] == [[s.name, s.state, f"{s.ready}/{s.wanted}"] for s in long]


def test_a_big_file_need_not_be_read_to_find_the_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def may_not(path: Path) -> None:
        raise AssertionError(path)

    file = tmp_path / "chapiteau.toml"
    file.write_text('[project]\nname = "x"\n[service.run]\ncommand = "x"\n')
    with monkeypatch.context() as patch:
        patch.setattr("chapiteau.io.project_file.read_project", may_not)
        assert run_dir_of(file) == tmp_path / ".chapiteau"
    for text in ('[project]\nrun_dir = "y"', '[project]\n"run\\u005fdir" = "y"'):
        file.write_text(text)
        assert run_dir_of(file) == tmp_path / "y"


def test_a_call_waits_for_the_next_brain_while_a_keeper_lives(tmp_path: Path) -> None:
    run_dir = tmp_path / ".chapiteau"
    run_dir.mkdir()
    (run_dir / "lock").write_text(f"{os.getpid()}\n")
    (tmp_path / "chapiteau.toml").write_text("")
    client = Client.find(tmp_path)
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(len(client.status().services)))
    asking.start()
    with memory_supervisor(tmp_path, {"web": 1, "db": 1}):
        asking.join(60)
    assert answers == [2]


async def test_an_asynchronous_call_waits_too(tmp_path: Path) -> None:
    run_dir = tmp_path / ".chapiteau"
    run_dir.mkdir()
    (run_dir / "lock").write_text(f"{os.getpid()}\n")
    call = asyncio.create_task(AsyncClient.at(run_dir).ping())
    await asyncio.sleep(0)
    with await asyncio.to_thread(lambda: memory_supervisor(tmp_path, {"web": 1})):
        assert (await asyncio.wait_for(call, 60))["ok"] is True


def test_a_dead_keepers_lock_makes_nobody_wait(tmp_path: Path) -> None:
    run_dir = tmp_path / ".chapiteau"
    run_dir.mkdir()
    (run_dir / "lock").write_text("4194303\n")  # above pid_max's default: nobody has it
    with pytest.raises(NotRunningError):
        Client.at(run_dir).status()
