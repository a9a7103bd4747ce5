"""Locust files of the common kind run as they are."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from chapiteau.load.errors import ScenarioError
from chapiteau.load.scenario.shape import Shape, Stage
from chapiteau.load.stats.totals import Totals
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import LoadStep
from chapiteau.load.workers.plan import FileSource
from chapiteau.migrate.locust.shape import shape_of_ticks
from chapiteau.migrate.locust.suite import load_locust, locust_shape
from chapiteau.migrate.locust.users import constant_pacing, constant_throughput
from tests.migrate.shims.conftest import FILES, file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.migrate.shims.shop import Shop

    Played = Callable[..., Awaitable[Totals]]


@pytest.mark.slow
async def test_users_task_sets_verdicts_and_events(
    shop: Shop, report: Path, played: Played
) -> None:
    totals = await played(file("locust_shop.py"), users=4, sessions=400)
    rows = totals.rows

    refused = totals.rows["GET too slow"].count
    assert totals.crashes == {"GET too slow: it took too long": refused}  # told with its words
    assert shop.asked["POST /login"] == 3  # three Customers, one Machine: weights 3 to 1
    assert rows["GET /products/[id]"].count == shop.asked["GET /products/N"]
    assert rows["GET /me"].statuses == {"200": rows["GET /me"].count}  # the log-in's cookie
    assert rows["GET too slow"].bad == rows["GET too slow"].count > 0  # refused by the scenario
    assert rows["GET /nowhere"].bad == 0  # a 404 that the scenario took for good
    assert rows["POST /products"].count - rows["GET /nowhere"].count in {0, 1, 2, 3}  # in order
    assert rows["QUEUE take"].count == 10  # then StopUser
    assert 4_000 < rows["QUEUE take"].latency.quantile(0.5) < 7_000  # what the file has timed
    assert ("x-session", "t1") in shop.headers  # client.headers
    calls, _, seen = report.read_text().rpartition(" ")
    counted = ast.literal_eval(calls)
    assert (counted["start"], counted["stop"]) == (1, 1)
    assert counted["failed"] == rows["GET too slow"].count
    assert counted["request"] == int(seen) == totals.requests


@pytest.mark.slow
async def test_tags_choose_tasks_and_options_reach_the_file(
    shop: Shop, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURRENCY", "USD")
    totals = await played(
        file("locust_shop.py"), users=3, sessions=9, options={"tags": "bad", "currency": "USD"}
    )

    assert totals.rows["GET too slow"].count >= 6
    assert "GET /me" not in totals.rows


@pytest.mark.slow
async def test_a_user_whose_host_is_not_said_says_so(
    shop: Shop, tmp_path: Path, played: Played
) -> None:
    path = tmp_path / "nohost.py"
    path.write_text(
        "from locust import HttpUser, events, task\n"
        "hosts = []\n"
        "@events.test_start.add_listener\n"
        "def begin(environment, **more): hosts.append(environment.host)\n"
        "class U(HttpUser):\n    @task\n    def t(self):\n"
        "        self.client.get('/products', name=f'host {hosts[0]}')\n"
    )
    source = FileSource(str(path))

    totals = await played(source, users=1, sessions=3, base=shop.url)
    assert totals.rows[f"GET host {shop.url}"].count == 3

    with pytest.raises(ScenarioError, match="U has no host"):
        await played(source, users=1, sessions=3)


def test_a_load_shape_is_asked_beforehand(shop: Shop) -> None:
    assert locust_shape(FILES / "locust_steps.py") == "0->2 1s, 2 1s, 2->6 1s, 6 1s, 6->1 1s"
    assert locust_shape(FILES / "locust_shop.py") == ""


def test_a_shape_of_old_ends_with_a_word_and_may_say_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_text(
        "from locust import LoadTestShape\n"
        "class Old(LoadTestShape):\n"
        "    def __init__(self): pass\n"
        "    def tick(self):\n"
        "        now = self.get_run_time()\n"
        "        return (round(now), 0, False) if now < 3 else (0, 0, True)\n"
    )
    assert locust_shape(path) == "0 1s, 0->2 2s"
    assert shape_of_ticks(lambda at: (0, 1) if at < 3_661 else None) == "0 3661s"


@pytest.mark.slow
async def test_names_before_locust_1_are_known(
    shop: Shop, played: Played, capfd: pytest.CaptureFixture[str]
) -> None:
    totals = await played(file("locust_old.py"), users=2, sessions=30, base=shop.url)

    assert totals.crashes == {}
    assert totals.rows["POST /login"].count == 2
    assert totals.rows["GET /products"].count > 0
    told = capfd.readouterr().err
    # As in locust, a listener that fails ends nothing.
    assert told.count("warning: the listener without_web failed: AttributeError") == 1


@pytest.mark.slow
async def test_a_file_judges_chains_and_reads_its_options(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELF", "7")
    plan = {"source": file("locust_judge.py"), "seed": "1", "most_users": 9, "timeout": 10.0}
    order = LoadStep(shape=Shape((Stage(2, 2, 15.0),)), open=False, sessions=40, drain=2.0)
    totals = Totals()
    async with LocalWorkers({**plan, "base": shop.url}, 1) as team:
        await team.run(order, totals)

    shelf, odd = totals.rows["GET shelf 7"], totals.rows["GET odd"]
    assert abs(shelf.count - odd.count) <= 2  # the steps of each user's chain take turns
    assert totals.crashes["GET shelf 7: no shelf, {'id': 7}"] == shelf.count
    assert odd.bad == odd.count
    assert any(what.startswith("GET odd: ZeroDivisionError") for what in totals.crashes)
    assert team.refused == ["locust_judge.py set process_exit_code 3"]


@pytest.mark.slow
async def test_users_wait_for_each_other(shop: Shop, tmp_path: Path, played: Played) -> None:
    path = tmp_path / "together.py"
    path.write_text(
        "from locust import HttpUser, events, task\n"
        "from gevent.lock import Semaphore\n"
        "there = Semaphore()\n"
        "there.acquire()\n"
        "@events.spawning_complete.add_listener\n"
        "def all_there(user_count, **more): there.release()\n"
        "class U(HttpUser):\n"
        "    def on_start(self): there.wait()\n"
        "    @task\n"
        "    def t(self): self.client.get('/products')\n"
    )
    totals = await played(FileSource(str(path)), sessions=4, base=shop.url)
    assert totals.rows["GET /products"].count == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no user in it"),
        ("class U(locust.HttpUser): pass\n", "U has no @task"),
        ("from locust import nothing_here\n", "can't be imported"),
        (
            "class S(locust.LoadTestShape):\n    def tick(self): return 1 / 0\n",
            "S.tick failed: ZeroDivisionError",
        ),
        (
            "class S(locust.LoadTestShape):\n    def tick(self): return 3, -1\n",
            "a spawn rate from 0 up",
        ),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("import locust\n" + text)
    ask = locust_shape if "Shape" in text else load_locust
    with pytest.raises(ScenarioError, match=message):
        ask(path)


def test_pacing_takes_off_what_the_task_took(monkeypatch: pytest.MonkeyPatch) -> None:
    class User:
        wait_time = constant_throughput(0.5)
        other = constant_pacing(1.0)

    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    user = User()
    assert user.wait_time() == 2.0
    now += 2.0 + 0.5  # waited, then half a second of work
    assert user.wait_time() == 1.5
    now += 1.5 + 7.0  # a slow task makes no debt
    assert user.wait_time() == 0.0


@pytest.mark.slow
async def test_a_task_that_fails_is_told_to_listeners(played: Played, tmp_path: Path) -> None:
    written, scenario = tmp_path / "said", tmp_path / "locustfile.py"
    scenario.write_text(
        "from locust import User, events, task\n"
        "@events.user_error.add_listener\n"
        "def told(user_instance, exception, tb, **_kw):\n"
        "    who = type(user_instance).__name__\n"
        f"    open({str(written)!r}, 'w').write(f'{{who}} {{exception}}')\n"
        "class Clumsy(User):\n"
        "    @task\n"
        "    def fall(self):\n"
        "        raise ValueError('down')\n"
    )
    totals = await played(FileSource(str(scenario)), users=1, sessions=2)

    assert written.read_text() == "Clumsy down"
    assert sum(bad for _, bad in totals.iterations.values()) == 2
