"""Molotov files run as they are."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.load.errors import ScenarioError
from chapiteau.load.workers.plan import FileSource
from chapiteau.migrate.molotov import load_molotov
from tests.migrate.shims.conftest import FILES, file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from chapiteau.load.stats.totals import Totals
    from tests.migrate.shims.shop import Shop

    Played = Callable[..., Awaitable[Totals]]


@pytest.mark.slow
async def test_scenarios_fixtures_events_and_variables(
    shop: Shop, report: Path, played: Played
) -> None:
    totals = await played(file("molotov_shop.py"), users=3, sessions=200)

    assert {name: row.count for name, row in totals.rows.items()} == {
        "GET /products": shop.asked["GET /products"],
        "POST /login": 3,
        "GET /products/{id}": shop.asked["GET /products/N"],
        "GET /me": shop.asked["GET /me"],
        "GET /nowhere": shop.asked["GET /nowhere"],
    }
    assert shop.asked["GET /products"] == 1  # global_setup, once
    assert shop.asked["POST /logout"] == 3  # teardown_session, after the counting has ended
    good, bad = map(sum, zip(*totals.iterations.values(), strict=True))
    assert (good + bad, bad) == (200, shop.asked["GET /nowhere"])
    assert set(totals.iterations) == {"read_one", "cookies", "broken"}
    assert totals.rows["GET /me"].statuses == {"200": shop.asked["GET /me"]}  # the log-in's cookie
    assert {("x-worker", "1"), ("x-worker", "3")} <= shop.headers  # what setup returned
    (crash,) = totals.crashes
    assert crash.startswith("AssertionError: status 404 (molotov_shop.py:")
    counts = ast.literal_eval(report.read_text())
    assert counts["response_received"] == 200 + 3 + 3  # log-ins and log-outs
    assert counts["scenario_failure"] == bad


@pytest.mark.slow
async def test_weights_are_kept(shop: Shop, played: Played) -> None:
    totals = await played(file("molotov_shop.py"), sessions=1000, workers=2)

    share = sum(totals.iterations["read_one"]) / 1000
    assert 0.62 < share < 0.78  # 7 of 10


@pytest.mark.slow
async def test_contexts_listeners_and_forms(
    shop: Shop, tmp_path: Path, played: Played, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "more.py"
    path.write_text(
        "import aiohttp, molotov, os\n"
        "@molotov.setup_session()\n"
        "async def begin(number, session):\n"
        "    molotov.get_context(session).attach('own', number)\n"
        "@molotov.events()\n"
        "async def broken(event, **info): raise ValueError('of its own')\n"
        "@molotov.events()\n"
        "async def watch(event, **info):\n"
        "    if event == 'current_workers': assert info['workers'] > 0; print('WORKERS')\n"
        "@molotov.scenario()\n"
        "async def send(session):\n"
        "    if session.statsd: session.statsd.incr('own', molotov.get_context(session).own)\n"
        "    form = aiohttp.FormData({'name': 'a b'})\n"
        "    async with session.post(os.environ['SHOP'] + '/echo', data=form) as answer:\n"
        "        assert (await answer.json())['body'] == 'name=a+b'\n"
        "    form.add_field('file', b'xyz', filename='f.txt', content_type='text/plain')\n"
        "    async with session.post(os.environ['SHOP'] + '/echo', data=form) as answer:\n"
        "        assert 'filename=\"f.txt\"' in (await answer.json())['body']\n"
        "    async with session.ws_connect(os.environ['SHOP'] + '/socket') as ws:\n"
        "        await ws.send_json([1])\n"
        "        assert (await ws.receive(timeout=60)).type == aiohttp.WSMsgType.TEXT\n"
        "        await ws.send_str('[2]')\n"
        "        assert await ws.receive_json() == [2]\n"
    )
    totals = await played(FileSource(str(path)), users=2, sessions=10)

    assert totals.crashes == {}
    assert totals.iterations == {"send": [10, 0]}
    # Ten sessions of users 1 and 2: who is quicker takes more of them.
    assert 10 < totals.metrics["own"].value < 20
    told = capfd.readouterr().err
    assert told.count("warning: the listener broken failed: ValueError: of its own") == 1
    assert "WORKERS" in told


@pytest.mark.slow
async def test_a_global_setup_that_fails_ends_the_run_in_words(
    tmp_path: Path, played: Played
) -> None:
    path = written(
        tmp_path / "bad.py",
        "@global_setup()\ndef begin(args): raise KeyError('no host')\n"
        "@scenario()\nasync def one(session): pass\n",
    )
    with pytest.raises(ScenarioError, match="global_setup failed: KeyError: 'no host'"):
        await played(FileSource(str(path)))


def written(path: Path, text: str) -> Path:
    path.write_text("from molotov import *\nimport molotov\n" + text)
    return path


@pytest.mark.slow
async def test_a_picker_and_session_factories_decide(
    shop: Shop, tmp_path: Path, played: Played
) -> None:
    path = written(
        tmp_path / "picked.py",
        """
made = []

@molotov.session_factory("plain")
def factory(loop=None, **more):
    made.append(loop)
    return {"kind": "plain"}

@molotov.scenario_picker()
def pick(worker_id, step_id):
    return "one" if step_id % 2 else "two"

@molotov.scenario()
async def one(session):
    await session.get("/echo")

@molotov.scenario()
async def two(session, session_factory="plain"):
    assert session == {"kind": "plain"}
    assert len(made) == 1
""",
    )

    totals = await played(FileSource(str(path)), users=1, sessions=10, base=shop.url)

    assert totals.iterations == {"picked": [10, 0]}
    assert shop.asked["GET /echo"] == 5


@pytest.mark.slow
async def test_a_blocking_request_inside_a_scenario_is_refused(
    shop: Shop, tmp_path: Path, played: Played
) -> None:
    path = written(
        tmp_path / "blocks.py",
        '@molotov.scenario()\nasync def one(session):\n    molotov.request("http://127.0.0.1:1/")\n',
    )

    with pytest.raises(ScenarioError, match=r"molotov\.request blocks"):
        await played(FileSource(str(path)), sessions=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no scenario in it"),
        ("@molotov.scenario()\ndef f(session): pass\n", "must be an async def"),
        ("@molotov.scenario\nasync def f(session): pass\n", "with its parentheses"),
        (
            "@molotov.setup()\nasync def a(w, args): ...\n@molotov.setup()\nasync def b(w): ...\n",
            "there is a second setup",
        ),
        ("import nothing_of_that_name\n", "blocks.py:3: can't be imported"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        load_molotov(written(tmp_path / "blocks.py", text))


def test_stand_ins_are_gone_after_the_import(shop: Shop) -> None:
    import sys

    before: Any = sys.modules.get("molotov")
    load_molotov(FILES / "molotov_shop.py")

    assert sys.modules.get("molotov") is before


@pytest.mark.slow
async def test_fixtures_are_told_what_load_was_asked_for(played: Played, tmp_path: Path) -> None:
    """`args` are those that molotov's own command line would have had."""
    written, scenario = tmp_path / "said", tmp_path / "loadtest.py"
    scenario.write_text(
        "import molotov\n"
        "@molotov.global_setup()\n"
        "def start(args):\n"
        f"    open({str(written)!r}, 'w').write(f'{{args.workers}} {{args.duration}}')\n"
        "@molotov.scenario()\n"
        "async def nothing(session):\n"
        "    pass\n"
    )
    source = FileSource(str(scenario))
    await played(source, sessions=1, asked={"users": 8, "seconds": 3.0, "sessions": None})

    assert written.read_text() == "8 3"
