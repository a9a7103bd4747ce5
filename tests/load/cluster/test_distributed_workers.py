"""Load from several machines: one contract for whatever carries the relays, and its faults."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.load.client import live
from chapiteau.load.cluster.distributed_workers import DistributedWorkers
from chapiteau.load.cluster.ssh import PipeCluster, local_relays
from chapiteau.load.errors import HostLostError, ScenarioError
from chapiteau.load.scenario.shape import Shape, Stage, constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.workers.messages import Greeting, LoadStep, encode_message
from chapiteau.load.workers.plan import Plan
from tests.load.execution.test_added_load import grown
from tests.load.workers.test_local_workers import file_plan, plan
from tests.support import wait_for, wait_for_async

pytestmark = pytest.mark.slow

Make = Callable[[], Any]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Target("queue", mean=0.0001, fixed=True) as running:
        yield running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds ahead are for networks."""
    monkeypatch.setattr("chapiteau.load.cluster.distributed_workers._AHEAD", 0.5)


class DaskHouse:
    """A scheduler and two workers, each on a loopback address of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._start("scheduler", "--port", "0", "--host", "127.0.0.1")
        for host in ("127.0.0.2", "127.0.0.3"):
            self.worker(host)

    def worker(self, host: str) -> None:
        options = ["--host", host, "--no-nanny", "--nthreads", "1", "--death-timeout", "20"]
        self._start(host, *options)

    def _start(self, name: str, *options: str) -> None:
        kind = "scheduler" if name == "scheduler" else "worker"
        argv = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard"]
        argv += ["--scheduler-file", str(self.file), *options]
        self.processes[name] = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        if kind == "scheduler":
            wait_for(self.file.is_file, 60, "the scheduler wrote its file")

    def close(self) -> None:
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskHouse]:
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    house = DaskHouse(tmp_path_factory.mktemp("dask"))
    yield house
    house.close()


async def dask_cluster(house: DaskHouse) -> Any:
    from chapiteau.load.cluster.dask_cluster import DaskCluster

    cluster = DaskCluster(scheduler_file=str(house.file))
    client = await cluster._connected()
    await client.wait_for_workers(2, timeout=30)
    return cluster


@pytest.fixture(
    params=[
        "local",
        pytest.param("dask", marks=pytest.mark.long),
    ]
)
async def cluster(request: pytest.FixtureRequest) -> Any:
    if request.param == "local":
        return local_relays(["a", "b"])
    return await dask_cluster(request.getfixturevalue("dask"))


@contextlib.asynccontextmanager
async def spread(
    cluster: Any, what: Plan, processes: int = 1, **more: Any
) -> AsyncIterator[DistributedWorkers]:
    async with DistributedWorkers(
        cluster, what, processes=processes, on_loss="stop", **more
    ) as team:
        yield team


async def run(team: DistributedWorkers, order: LoadStep, **more: Any) -> Totals:
    totals = Totals()
    await team.run(order, totals, **more)
    return totals


# ── the contract ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
async def test_load_that_is_added_is_split_exactly_too(cluster: Any, target: Target) -> None:
    shape = constant_shape(40, 3.0)
    team = DistributedWorkers(cluster, plan(target.url), processes=1, on_loss="stop")
    totals, after = await grown(team, shape, 60, LoadStep(shape=shape, arrivals="even"))
    assert totals.started == pytest.approx(after.total, abs=1.001)
    assert totals.started > shape.total + 30
    assert totals.bad == 0


async def test_the_load_is_split_exactly_over_hosts_and_counted_once(
    cluster: Any, target: Target, tmp_path: Path
) -> None:
    scenario = """
import pathlib
from chapiteau.load import scenario, setup

@setup("run")
def made(stage):
    return {"word": pathlib.Path(__file__).with_name("word.txt").read_text()}

@scenario()
async def ask(session):
    session.check(session.shared["word"] == "data", "the files came along")
    await session.get("/")
"""
    (tmp_path / "word.txt").write_text("data")
    what = file_plan(tmp_path / "scenario.py", scenario, target.url)
    async with spread(cluster, what, processes=2) as team:
        hosts = len(team.hosts)
        totals = await run(team, LoadStep(shape=constant_shape(200, 1.5), arrivals="even"))
        assert (totals.started, totals.requests, totals.bad) == (300, 300, 0)
        assert totals.checks == {"the files came along": [300, 0]}
        assert all(len(parts) == 2 * hosts for parts in totals.cpu.values())
        # Another step, another model, the same processes.
        closed = LoadStep(shape=Shape((Stage(6, 6, 20.0),)), open=False, sessions=101)
        totals = await run(team, closed)
        assert (totals.started, totals.requests) == (101, 101)
        # And one that is stopped long before its end.
        seen: list[int] = []
        took = await team.run(
            LoadStep(shape=constant_shape(20, 60), drain=1.0),
            Totals(),
            lambda n, _: bool(seen.append(n)) or n,
        )
        assert seen
        assert took < 60


async def test_the_run_is_set_up_and_torn_down_once_and_what_goes_wrong_is_told(
    cluster: Any, target: Target, tmp_path: Path
) -> None:
    scenario = f"""
import os, pathlib
from chapiteau.load import scenario, setup, teardown
log = pathlib.Path({str(tmp_path / "log")!r})

@setup("run")
def begin(stage):
    log.open("a").write(f"setup of {{stage.workers}} in {{os.getppid()}}\\n")
    return {{"word": "shared"}}

@teardown("run")
def finish(stage):
    log.open("a").write("teardown\\n")

@teardown("worker")
def away(stage):
    stage.refused.append("the file says no")
    raise OSError("no such table")

@scenario()
async def ask(session):
    session.check(session.shared == {{"word": "shared"}}, "shared")
    await session.get("/")
"""
    what = file_plan(tmp_path / "scenario.py", scenario, target.url)
    async with spread(cluster, what, processes=2) as team:
        hosts = len(team.hosts)
        totals = await run(team, LoadStep(shape=constant_shape(40, 0.5), arrivals="even"))
        assert totals.checks == {"shared": [20, 0]}
        assert not team.problems
        names = set(team.hosts)
    assert (tmp_path / "log").read_text().splitlines() == [
        f"setup of {2 * hosts} in {os.getpid()}",
        "teardown",
    ]
    failed = "the worker's teardown, away, failed: OSError: no such table"
    assert {f"{name}: {failed}" for name in names} <= set(team.problems)
    assert team.refused == ["the file says no"]


async def test_a_broken_scenario_is_told_in_its_own_words(
    cluster: Any, target: Target, tmp_path: Path
) -> None:
    what = file_plan(tmp_path / "scenario.py", "import nowhere_at_all\n", target.url)
    with pytest.raises(ScenarioError, match="nowhere_at_all"):
        async with spread(cluster, what):
            pass


async def test_a_target_that_nobody_allowed_is_refused_there_too(cluster: Any) -> None:
    with pytest.raises(ChapiteauError, match=r"192\.0\.2\.1"):
        async with spread(cluster, plan("http://192.0.2.1/")) as team:
            await run(team, LoadStep(shape=constant_shape(20, 1)))


# ── faults ────────────────────────────────────────────────────────────────────────────────────


def relays_below(pid: int) -> list[int]:
    """The relays among a process's descendants."""
    found, waiting = [], [pid]
    while waiting:
        at = waiting.pop()
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{at}/task").glob("*/children"):
                waiting += map(int, path.read_text().split())
            if b"cluster.relay" in Path(f"/proc/{at}/cmdline").read_bytes():
                found.append(at)
    return found


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def workers_of(pid: int) -> list[int]:
    return [int(w) for w in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("policy", ["stop", "continue"])
async def test_a_killed_relay_is_told_and_its_load_ends(target: Target, policy: Any) -> None:
    pipes = local_relays(["a", "b"])
    async with DistributedWorkers(pipes, plan(target.url), processes=1, on_loss=policy) as team:
        victim = pipes._lines["b"].pid
        children = workers_of(victim)
        totals = Totals()

        def kill(second: int, _totals: Totals) -> bool:
            if second == 0:
                os.kill(victim, signal.SIGKILL)
            return False

        length = 3 if policy == "continue" else 60
        step = LoadStep(shape=constant_shape(60, length), arrivals="even")
        took = await team.run(step, totals, kill)
        assert team.lost == {"b": "its line ended with -9"}
        await wait_for_async(lambda: all(map(gone, children)), what="its load processes ended")
        # Half of the load goes on to its end, or all ends soon.
        assert took > 2.5 if policy == "continue" else took < 30
        if policy == "continue":
            assert totals.requests < 180
            rest = await run(team, LoadStep(shape=constant_shape(60, 1), arrivals="even"))
            assert rest.requests == 30
        assert team.lost_at["b"] >= 1.0
        assert team.gone == (policy == "stop")


async def test_a_host_that_falls_silent_is_lost_within_five_seconds_while_others_report(
    target: Target,
) -> None:
    pipes = local_relays(["a", "b"])
    async with DistributedWorkers(pipes, plan(target.url), processes=1, on_loss="continue") as team:
        victim, silent_since = pipes._lines["b"].pid, 0.0

        def freeze(second: int, _totals: Totals) -> bool:
            nonlocal silent_since
            if second == 1:
                silent_since = time.monotonic() - team.zero
                os.kill(victim, signal.SIGSTOP)
            return bool(team.lost)  # enough seen

        totals = Totals()
        await team.run(LoadStep(shape=constant_shape(60, 40), arrivals="even"), totals, freeze)
        os.kill(victim, signal.SIGKILL)
        assert team.lost_at["b"] - silent_since <= 5.5
        assert (
            f"50% of the load is missing from second {team.lost_at['b']:g} on"
            in (team.losses()["b"])
        )
        # What both had sent until then is there, and what the other one has sent since.
        assert totals.requests >= 2 * 60 + 30 * (team.lost_at["b"] - 3)


def test_a_loss_is_said_at_once_and_stands_in_the_result(target: Target, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "chapiteau", "load", "run", target.url, "--on", "local:2"]
    argv += ["--processes", "1", "-d", "60s", "-r", "40", "--json", "--on-loss", "continue"]
    said = tmp_path / "said"
    with said.open("w") as stderr:
        run = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        wait_for(lambda: live(tmp_path / ".chapiteau"), what="load is on")
        os.kill(relays_below(run.pid)[1], signal.SIGKILL)
        wait_for(lambda: "50% of the load is missing" in said.read_text(), what="it is said")
        run.send_signal(signal.SIGINT)  # it was still on: the rest would say no more
        document = json.loads(run.communicate()[0].splitlines()[-1])
    finally:
        run.kill()
        run.wait()
    (note,) = [one for one in document["soundness"]["notes"] if "was lost" in one]
    assert "50% of the load is missing from second" in note


async def test_a_test_that_has_lost_all_its_machines_is_over(target: Target) -> None:
    pipes = local_relays(["a", "b"])
    async with DistributedWorkers(pipes, plan(target.url), processes=1, on_loss="continue") as team:

        def kill(_second: int, _totals: Totals) -> bool:
            for line in pipes._lines.values():
                with contextlib.suppress(ProcessLookupError):
                    line.kill()
            return False

        await team.run(LoadStep(shape=constant_shape(20, 30)), Totals(), kill)
        assert (team.gone, sorted(team.lost)) == (True, ["a", "b"])
        assert await team.run(LoadStep(shape=constant_shape(20, 30)), Totals()) == 0.0


async def test_load_ends_when_the_coordinator_is_killed(target: Target, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "chapiteau", "load", "run", target.url, "--on", "local:2"]
    argv += ["--processes", "1", "-d", "60s", "-r", "10", "--no-store", "--quiet"]
    coordinator = subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(relays_below(coordinator.pid)) == 2, what="two relays")
        relays = relays_below(coordinator.pid)
        wait_for(lambda: all(workers_of(r) for r in relays), what="load processes")
        everybody = relays + [w for relay in relays for w in workers_of(relay)]
    finally:
        coordinator.kill()
        coordinator.wait()
    wait_for(lambda: all(map(gone, everybody)), what="nobody is left")


async def test_a_host_that_can_not_be_reached_is_told(target: Target) -> None:
    quiet = [sys.executable, "-c", "import sys; sys.exit('Permission denied (publickey)')"]
    chatty = [sys.executable, "-c", "print('Welcome to this machine!', flush=True)"]
    for command, why in ((quiet, "Permission denied"), (chatty, "something else than reports")):
        with pytest.raises(HostLostError, match=why):
            async with spread(PipeCluster({"h1": command}), plan(target.url)):
                pass


async def test_another_version_is_refused(target: Target) -> None:
    hello = encode_message(Greeting("0.0.1", 1)).decode().strip()
    other = [sys.executable, "-c", f"input(); print({hello!r}); input()"]
    with pytest.raises(ChapiteauError, match=r"h1 has Chapiteau 0\.0\.1"):
        async with spread(PipeCluster({"h1": other}), plan(target.url)):
            pass


@pytest.mark.long
async def test_a_killed_dask_worker_is_lost_and_never_repeated(
    dask: DaskHouse, target: Target
) -> None:
    cluster = await dask_cluster(dask)
    async with DistributedWorkers(
        cluster, plan(target.url), processes=1, on_loss="continue"
    ) as team:
        (relay,) = relays_below(dask.processes["127.0.0.3"].pid)
        children = workers_of(relay)

        def kill(second: int, _totals: Totals) -> bool:
            if second == 0:
                dask.processes["127.0.0.3"].kill()
            return False

        totals = Totals()
        await team.run(LoadStep(shape=constant_shape(60, 3), arrivals="even"), totals, kill)
        assert list(team.lost) == ["127.0.0.3"]
        assert team.lost_at["127.0.0.3"] <= 6.0  # killed in the first second, or soon after
        assert "Dask worker ended" in team.lost["127.0.0.3"]
        assert 90 <= totals.requests < 180
        await wait_for_async(lambda: all(map(gone, [relay, *children])), what="its load ended")
    dask.processes["127.0.0.3"].wait()
    dask.worker("127.0.0.3")


@pytest.mark.long
async def test_load_ends_when_the_scheduler_is_killed(target: Target, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    house = DaskHouse(tmp_path)
    try:
        cluster = await dask_cluster(house)
        async with DistributedWorkers(
            cluster, plan(target.url), processes=1, on_loss="stop"
        ) as team:
            relays = [
                r for h in ("127.0.0.2", "127.0.0.3") for r in relays_below(house.processes[h].pid)
            ]
            assert len(relays) == 2

            def kill(second: int, _totals: Totals) -> bool:
                if second == 0:
                    house.processes["scheduler"].kill()
                return False

            took = await team.run(LoadStep(shape=constant_shape(40, 60), drain=1.0), Totals(), kill)
            assert team.lost
            assert took < 60
        await wait_for_async(lambda: all(map(gone, relays)), what="no relay is left")
    finally:
        house.close()


async def test_a_scheduler_in_the_open_is_refused() -> None:
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    from chapiteau.load.cluster.dask_cluster import DaskCluster

    with pytest.raises(UsageError, match="not encrypted"):
        await DaskCluster("tcp://192.0.2.1:8786").hosts()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ── ssh ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[str]:
    """A server of our own on loopback; gives the words that reach it."""
    server, keygen = shutil.which("sshd", path="/usr/sbin:/usr/bin"), shutil.which("ssh-keygen")
    if not server or not keygen or not shutil.which("ssh"):
        pytest.skip("openssh-server is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    keys = tmp_path / "authorized_keys"
    keys.write_bytes((tmp_path / "user.pub").read_bytes())
    keys.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nStrictModes no\n"
        f"AuthorizedKeysFile {keys}\nPidFile none\nUsePAM no\nPasswordAuthentication no\n"
        "PermitRootLogin prohibit-password\n"
    )
    process = subprocess.Popen([server, "-D", "-e", "-f", config])
    try:
        wait_for(lambda: answers(int(port)), what="sshd listens")
        known = f"-o UserKnownHostsFile={tmp_path}/known -o StrictHostKeyChecking=accept-new"
        yield f"ssh -F none -p {port} -i {tmp_path}/user {known}"
    finally:
        process.kill()
        process.wait()


def test_hosts_over_ssh_put_the_load_on(sshd: str, target: Target, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "chapiteau", "load", "run", target.url, "--json", "--no-store"]
    argv += ["--on", "ssh:127.0.0.1,localhost", "--on-ssh", sshd, "--on-python", sys.executable]
    argv += ["--processes", "1", "-d", "2s", "-r", "50", "--arrivals", "even", "--quiet"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["totals"]["requests"], found["totals"]["bad"]) == (100, 0)
    assert found["soundness"]["processes"] == 2
