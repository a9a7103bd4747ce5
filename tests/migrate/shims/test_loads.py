"""Loads' test cases run as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chapiteau.load.errors import ScenarioError
from chapiteau.load.workers.plan import FileSource
from chapiteau.load.workers.suite_loader import suite_from_file
from tests.migrate.shims.conftest import file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from chapiteau.load.stats.totals import Totals
    from tests.migrate.shims.shop import Shop

    Played = Callable[..., Awaitable[Totals]]

pytestmark = pytest.mark.slow


async def test_names_of_python_2_are_known(shop: Shop, tmp_path: Path, played: Played) -> None:
    path = tmp_path / "old.py"
    path.write_text(
        "import gevent, os\n"
        "from urlparse import urljoin\n"
        "from loads.case import TestCase\n"
        "class TestOld(TestCase):\n"
        "    def test_old(self):\n"
        "        found = self.session.get(urljoin(os.environ['SHOP'], '/products'))\n"
        "        gevent.sleep(.001)\n"
        "        self.assertTrue('tent' in found.content)\n"
    )
    totals = await played(FileSource(str(path)), sessions=4)
    assert (totals.crashes, totals.iterations) == ({}, {"TestOld.test_old": [4, 0]})


def test_a_file_for_python_2_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text("from loads.case import TestCase\nprint 'two'\n")
    with pytest.raises(ScenarioError, match=r"two\.py:2: can't be imported") as told:
        suite_from_file(path)
    assert "for Python 2" in told.value.hint


async def test_session_app_counters_and_sockets(shop: Shop, played: Played) -> None:
    totals = await played(file("loads_shop.py"), users=3, sessions=120)

    assert set(totals.iterations) == {
        "TestShop.test_list_and_read",
        "TestShop.test_app",
        "TestShop.test_socket",
        "TestShop.test_failure",
    }
    for name, (good, bad) in totals.iterations.items():
        assert (good == 0) == (name == "TestShop.test_failure"), (name, totals.crashes)
        assert (bad == 0) == (name != "TestShop.test_failure")
    asked_for = sum(totals.iterations["TestShop.test_app"])  # a 404, and no other test did
    gone = totals.rows["GET /nowhere"]
    assert gone.bad == gone.count - asked_for
    runs = {name.rpartition("_")[2]: sum(counts) for name, counts in totals.iterations.items()}
    assert totals.metrics["products read"].value == runs["read"]
    assert totals.metrics["websockets opened"].value == runs["socket"]
    assert totals.metrics["websockets closed"].value == runs["socket"]
    assert totals.metrics["websocket bytes"].value == runs["socket"] * 180_003
    assert shop.asked["POST /products"] == runs["app"]
    assert ("x-test", "1") in shop.headers
    (crash,) = totals.crashes
    assert crash.startswith("AssertionError: 404 != 200 (loads_shop.py:")


async def test_only_the_named_test_runs(shop: Shop, played: Played) -> None:
    totals = await played(
        file("loads_shop.py"), sessions=5, scenarios=["TestShop.test_list_and_read"]
    )

    assert totals.iterations == {"TestShop.test_list_and_read": [5, 0]}


async def test_a_test_case_lives_as_long_as_its_user(
    shop: Shop, tmp_path: Path, played: Played
) -> None:
    path = tmp_path / "kept.py"
    path.write_text(
        """
import unittest
from loads.case import TestCase

class TestKept(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ready = getattr(cls, "ready", 0) + 1

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.turns = 0
        assert self.session.post(self.app.server_url + "/login").status_code == 201

    def test_it(self):
        self.turns += 1
        assert self.ready == 1
        self.assertEqual(self.app.get("/me").status_int, 200)  # still the log-in's cookie
        self.addCleanup(self.incr_counter, "cleaned")
        if self.turns == 2:
            raise unittest.SkipTest("not now")
"""
    )

    totals = await played(FileSource(str(path)), users=2, sessions=20, base=shop.url)

    assert totals.iterations == {"TestKept.test_it": [20, 0]}
    assert shop.asked["POST /login"] == 2
    assert totals.metrics["cleaned"].value == 20
