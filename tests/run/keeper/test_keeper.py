"""The keeper alone, spoken to directly: it lives through everything and never doubles a process."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chapiteau.run.keeper
from chapiteau.run.keeper.syscalls import start_time
from tests.support import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
FOLDER = Path(chapiteau.run.keeper.__file__).parent
# A brain that hands its end of the channel to the test, and sleeps for as long as its keeper lives.
BRAIN = """
import os, socket, sys, time
out = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
out.connect(sys.argv[1])
socket.send_fds(out, [str(os.getpid()).encode()], [int(os.environ["CHAPITEAU_KEEPER_FD"])])
os.close(int(os.environ["CHAPITEAU_KEEPER_FD"]))
keeper = os.getppid()
while os.getppid() == keeper and os.path.exists(sys.argv[1]):
    time.sleep(0.1)
"""


class Keeper:
    """A real keeper whose brain is the test."""

    def __init__(self, folder: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "b.sock"))
        self.listener.listen()
        self.listener.settimeout(60)
        brain = [sys.executable, "-I", "-S", "-c", BRAIN, str(folder / "b.sock")]
        words = [
            sys.executable,
            "-I",
            "-S",
            str(FOLDER),
            "start",
            "-",
            "run",
            str(folder),
            "0",
            "-1",
        ]
        theirs, self.left_open = os.pipe()  # as by a shell that starts a supervisor
        self.process = subprocess.Popen([*words, *brain], cwd="/", pass_fds=[self.left_open])
        os.close(self.left_open)
        self.left_open = theirs
        self.number = 0
        self.news: list[dict[str, Any]] = []
        self.brain = 0
        self.accept()

    def accept(self) -> None:
        """Become the next brain."""
        connection, _ = self.listener.accept()
        data, fds, _, _ = socket.recv_fds(connection, 64, 1)
        connection.close()
        self.brain, self.channel = int(data), socket.socket(fileno=fds[0])
        self.channel.settimeout(60)

    def ask(self, op: str, **rest: Any) -> dict[str, Any]:
        self.number += 1
        self.channel.send(json.dumps({"op": op, "id": self.number, **rest}).encode())
        while True:
            message = self.receive()
            if message.get("re") == self.number:
                return message
            self.news.append(message)

    def receive(self) -> dict[str, Any]:
        data, fds, _, _ = socket.recv_fds(self.channel, 1 << 18, 8)
        for fd in fds:
            os.close(fd)
        message: dict[str, Any] = json.loads(data)
        return message

    def spawn(self, key: str, *argv: str, **rest: Any) -> dict[str, Any]:
        given = {"argv": list(argv), "env": dict(os.environ), "cwd": "/", **rest}
        return self.ask("spawn", key=key, **given)

    def exit_of(self, key: str) -> dict[str, Any]:
        while True:
            for message in self.news:
                if message.get("op") == "exited" and message["key"] == key:
                    end: dict[str, Any] = message["exit"]
                    return end
            self.news.append(self.receive())

    def end(self) -> int:
        self.ask("quit", code=0)
        os.kill(self.brain, signal.SIGKILL)
        return self.process.wait(60)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    (tmp_path / "b.sock").unlink()  # a brain that was born too late sees that it is over
    made.listener.close()
    made.channel.close()
    os.close(made.left_open)


def test_it_spawns_and_tells_the_exit_code(keeper: Keeper) -> None:
    answer = keeper.spawn("a", "/bin/sh", "-c", "exit 7")
    assert answer["pid"] > 0
    assert keeper.exit_of("a")["code"] == 7
    assert keeper.end() == 0


def test_it_keeps_nothing_open_that_it_was_started_with(keeper: Keeper) -> None:
    """Who reads the other end would wait for it, and every service would inherit it."""
    assert keeper.ask("hello")["pid"] == keeper.process.pid
    assert os.read(keeper.left_open, 1) == b""


def test_a_failed_exec_comes_back_as_the_error_that_it_is(keeper: Keeper) -> None:
    answer = keeper.spawn("a", "/no/such/program")
    assert (answer["stage"], answer["errno"]) == ("exec", 2)
    assert keeper.spawn("a", "/bin/true", cwd="/no/such/folder")["stage"] == "cwd"


def test_it_tells_when_each_began_as_the_kernel_does(keeper: Keeper) -> None:
    """By that and the pid a process is known again: also where a clock tick turned meanwhile."""
    told = [keeper.spawn(str(number), "/bin/sleep", "60") for number in range(40)]
    assert [one["start"] for one in told] == [start_time(one["pid"]) for one in told]


def test_one_process_per_key(keeper: Keeper) -> None:
    first = keeper.spawn("a", "/bin/sleep", "60")
    second = keeper.spawn("a", "/bin/sleep", "60")
    assert "pid" not in second
    assert "exists" in second["error"]
    keeper.end()
    wait_for(lambda: not alive(first["pid"]))


def test_an_end_is_kept_until_somebody_knows_of_it(keeper: Keeper) -> None:
    """It dies while no brain lives; the next brain hears the exact code."""
    pid = keeper.spawn("a", "/bin/sh", "-c", "sleep 0.3; exit 42", memo={"who": "me"})["pid"]
    os.kill(keeper.brain, signal.SIGKILL)
    keeper.channel.close()
    keeper.accept()
    wait_for(lambda: not alive(pid))
    hello = keeper.ask("hello")
    assert hello["brain_starts"] == 2
    child = next(m for m in keeper.news if m.get("op") == "child")
    assert child["memo"] == {"who": "me"}
    if child["exit"] is None:
        assert keeper.exit_of("a")["code"] == 42
    else:
        assert child["exit"]["code"] == 42


def test_a_process_takes_all_that_it_started_with_it(keeper: Keeper, tmp_path: Path) -> None:
    """Without cgroups its group goes at least; with them (test_end.py) everything."""
    script = f"sleep 600 & echo $! > {tmp_path}/pid; sleep 0.1; exit 0"
    keeper.spawn("a", "/bin/sh", "-c", script)
    assert keeper.exit_of("a")["code"] == 0
    left = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(left))


def test_several_requests_come_in_one_message_and_one_that_is_wrong_keeps_none_back(
    keeper: Keeper,
) -> None:
    notes = [{"op": "note", "name": name, "value": name} for name in "ab"]
    wrong = [{"op": "no such"}, {"op": "spawn"}, 5, {"op": "many", "all": None}]
    keeper.ask("many", all=[notes[0], *wrong, notes[1]])
    assert keeper.ask("hello")["notes"] == {"a": "a", "b": "b"}


def test_descriptors_and_notes_outlive_a_brain(keeper: Keeper) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        keeper.number += 1
        message = {"op": "store", "name": "web", "id": keeper.number}
        socket.send_fds(keeper.channel, [json.dumps(message).encode()], [listening.fileno()])
        address = listening.getsockname()
    keeper.ask("note", name="n", value={"x": 1})
    os.kill(keeper.brain, signal.SIGKILL)
    keeper.channel.close()
    keeper.accept()
    hello = keeper.ask("hello")
    assert hello["notes"]["n"] == {"x": 1}
    assert "web" in hello["fds"]
    with socket.create_connection(address, timeout=60):
        pass  # still listening, though everybody who had it is dead


def words_of(folder: Path, *brain: str) -> list[str]:
    keeper = [sys.executable, "-I", "-S", str(FOLDER), "start", "-", "run", str(folder)]
    return [*keeper, "0", "-1", *brain]


def test_when_no_brain_can_begin_and_nothing_lives_it_gives_up(tmp_path: Path) -> None:
    """Somebody has deleted the whole project: four tries, a line, and the end."""
    words = words_of(tmp_path / "gone", "/bin/sh", "-c", "exit 75")
    done = subprocess.run(words, timeout=20, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    *_, why, _ = done.stderr.strip().splitlines()
    assert "4 brains in a row could not begin, whose folder has gone, the last one: exit" in why
    assert "the keeper gives up" in why


def test_it_upgrades_itself_and_stays_the_parent(keeper: Keeper) -> None:
    pid = keeper.spawn("a", "/bin/sh", "-c", "read x < /dev/zero; sleep 0.5; exit 9")["pid"]
    answer = keeper.ask("upgrade", python=sys.executable, folder=str(FOLDER))
    assert answer["pid"] == keeper.process.pid
    assert keeper.ask("hello")["pid"] == keeper.process.pid
    os.kill(pid, signal.SIGTERM)
    assert keeper.exit_of("a")["signal"] == signal.SIGTERM


def test_it_does_not_become_what_can_not_read_its_state(keeper: Keeper, tmp_path: Path) -> None:
    newer = tmp_path / "keeper"
    shutil.copytree(FOLDER, newer)
    loop = newer / "loop.py"
    loop.write_text(loop.read_text().replace('state["children"]', 'state["kids"]'))
    first = keeper.spawn("a", "/bin/sleep", "60")
    for folder in (newer, tmp_path / "none"):
        answer = keeper.ask("upgrade", python=sys.executable, folder=str(folder))
        assert "can't go on from here: " in answer["error"]
    assert (
        "KeyError: 'kids'"
        in keeper.ask("upgrade", python=sys.executable, folder=str(newer))["error"]
    )
    assert "No such file" in keeper.ask("upgrade", python="/no/python", folder="/")["error"]
    assert alive(first["pid"])
    assert keeper.ask("signal", key="a", signal=9)["ok"]
    assert keeper.exit_of("a")["signal"] == 9


def test_no_memory_left_does_not_end_it(keeper: Keeper) -> None:
    pid = keeper.spawn("a", "/bin/sleep", "60")["pid"]
    before = resource.prlimit(keeper.process.pid, resource.RLIMIT_AS)
    resource.prlimit(keeper.process.pid, resource.RLIMIT_AS, (1 << 20, before[1]))
    keeper.number += 1
    keeper.channel.send(json.dumps({"op": "fetch", "name": "x", "id": keeper.number}).encode())
    sent = os.times().elapsed
    wait_for(lambda: os.times().elapsed - sent > 0.3)
    resource.prlimit(keeper.process.pid, resource.RLIMIT_AS, before)
    while (message := keeper.receive()).get("re") != keeper.number:
        keeper.news.append(message)
    assert message["ok"] is False
    assert alive(pid)
    assert keeper.spawn("b", "/bin/sleep", "60")["pid"]
    keeper.end()


def test_sigterm_becomes_a_question_to_the_brain(keeper: Keeper) -> None:
    keeper.ask("hello")
    os.kill(keeper.process.pid, signal.SIGTERM)
    assert keeper.receive() == {"op": "asked", "what": "stop"}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=2000),
        st.builds(
            lambda op, extra: json.dumps({"op": op, "id": 1, **extra}).encode(),
            st.sampled_from("spawn store fetch drop note signal ack memo hello many".split()),
            st.dictionaries(
                st.sampled_from("key name argv env fds signal memo pipes all cgroup".split()),
                st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers()),
            ),
        ),
    )
)
def test_any_bytes_leave_it_alive(keeper: Keeper, data: bytes) -> None:
    if data:
        keeper.channel.send(data)
    assert keeper.ask("fetch", name="nothing")["ok"] is False
    assert keeper.process.poll() is None


SLOW = (
    'sh -c \'trap "sleep 0.3; echo bye > {0}/said; exit" TERM; echo $$ > {0}/pid;'
    " while :; do sleep 0.01; done' & wait"
)


def slow_group(keeper: Keeper, folder: Path) -> int:
    """A shell that ends at once when it is told to, and a child of its own that needs 0.3 s."""
    keeper.spawn("a", "/bin/sh", "-c", SLOW.format(folder), memo={"stop": [15, 9.0, True]})
    return int(wait_for(lambda: (folder / "pid").read_text().strip()))


def test_in_a_group_that_is_asked_to_end_each_has_its_time(keeper: Keeper, tmp_path: Path) -> None:
    pid = slow_group(keeper, tmp_path)
    keeper.ask("signal", key="a", signal=15, scope="group", grace=10.0)
    end = keeper.exit_of("a")
    assert end["signal"] == signal.SIGTERM
    assert (tmp_path / "said").exists()
    assert not alive(pid)


def test_a_group_has_its_time_through_a_new_keeper_and_a_new_brain(
    keeper: Keeper, tmp_path: Path
) -> None:
    slow_group(keeper, tmp_path)
    keeper.ask("signal", key="a", signal=15, scope="group", grace=10.0)
    keeper.ask("upgrade", python=sys.executable, folder=str(FOLDER))
    assert not keeper.ask("signal", key="nobody", signal=9)["ok"]
    os.kill(keeper.brain, signal.SIGKILL)
    keeper.channel.close()
    keeper.accept()
    keeper.ask("hello")
    child = next(m for m in keeper.news if m.get("op") == "child")
    end = child["exit"] or keeper.exit_of("a")
    assert end["signal"] == signal.SIGTERM
    assert (tmp_path / "said").exists()


def test_in_a_group_that_ends_by_itself_nobody_has_time(keeper: Keeper, tmp_path: Path) -> None:
    pid = slow_group(keeper, tmp_path)
    keeper.ask("signal", key="a", signal=15)
    assert keeper.exit_of("a")["signal"] == signal.SIGTERM
    wait_for(lambda: not alive(pid))
    assert not (tmp_path / "said").exists()


def test_of_a_first_that_has_ended_only_its_group_is_signalled(
    keeper: Keeper, tmp_path: Path
) -> None:
    pid = slow_group(keeper, tmp_path)
    (tmp_path / "said").mkdir()  # its farewell fails: it goes on
    os.kill(pid, signal.SIGSTOP)
    keeper.ask("signal", key="a", signal=15, scope="group", grace=60.0)
    first = wait_for(
        lambda: keeper.ask("hello") and not keeper.ask("signal", key="a", signal=0)["ok"]
    )
    assert first
    assert alive(pid)
    assert keeper.ask("signal", key="a", signal=9, scope="group")["ok"]
    assert keeper.exit_of("a")["signal"] == signal.SIGTERM
    assert not alive(pid)
