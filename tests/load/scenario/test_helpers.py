"""Rows of data and ways to log in, used by real sessions and real load processes."""

from __future__ import annotations

import asyncio
import base64
import csv
import importlib
import io
import json
from typing import TYPE_CHECKING

import pytest

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.load import auth, feeder
from chapiteau.load.scenario.data_files import LargeFile
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import LoadStep
from tests.load.engine.test_session import session
from tests.load.server import Asked, answer, serving
from tests.load.workers.test_local_workers import file_plan

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

ONCE = """
from chapiteau.load import feeder, scenario

people = feeder("people.csv", "once")

@scenario
async def visit(session):
    person = people.next(session)
    session.check(person["name"], person["name"])
    await session.get("/")
"""


async def test_rows_used_once_end_the_load_when_all_have_had_theirs(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("name\n" + "".join(f"p{n}\n" for n in range(41)))
    with Target("queue", mean=0.0001, fixed=True) as target:
        plan = file_plan(tmp_path / "once.py", ONCE, target.url)
        async with LocalWorkers(plan, 2) as team:
            for order in (
                LoadStep(shape=constant_shape(4, 60.0), open=False),
                LoadStep(shape=constant_shape(200, 60.0), step=1),
            ):
                totals = Totals()
                took = await team.run(order, totals)
                assert took < 30
                if not order.step:
                    assert {k: v for k, v in totals.checks.items() if v != [1, 0]} == {}
                    assert len(totals.checks) == totals.requests == totals.started == 41
                assert "all 41 rows of people.csv are used up" in totals.used_up
                assert totals.crashes == {}


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.ndjson"])
def test_a_large_file_gives_the_same_rows_and_is_not_held_in_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comma = "\t" if name.endswith("tsv") else ","
    cells = [["name", "note"], ["ana", 'says "hi",\n\nand leaves'], ["käse", "\u2028"], ["", "x"]]
    with io.StringIO(newline="") as out:
        csv.writer(out, delimiter=comma, lineterminator="\r\n").writerows(cells)
        quoted = [out.getvalue().replace("\r\nkäse", "\r\n\r\nkäse")]
    if name.endswith("ndjson"):
        rows = [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]
        quoted = [json.dumps(row, ensure_ascii=False) + "\n\n" for row in rows]
    (tmp_path / name).write_text("\ufeff" + "".join(quoted), encoding="utf-8", newline="")
    small = list(feeder(tmp_path / name).rows)
    monkeypatch.setattr(importlib.import_module("chapiteau.load.scenario.feeder"), "_LARGE", 0)
    large = feeder(tmp_path / name)
    assert isinstance(large.rows, LargeFile)
    assert list(large.rows) == small == list(large.rows[:])
    assert (len(large), small[1]) == (3, {"name": "käse", "note": "\u2028"})


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "a.csv: row 2: 3 cells under 2 names"),
        ("a.csv", b'a,b\n1,2\n"1,2\n', "the quote that row 2 opens never ends"),
        ("a.csv", b"a,a\n1,2\n", "stands there twice"),
        ("a.csv", b"a\n\xff\n", "row 1: 'utf-8' codec"),
        ("a.csv", b"a,b\n", "no rows in it"),
        ("a.ndjson", b"{}\n{\n", "row 2: no JSON"),
    ],
)
def test_what_is_wrong_in_a_large_file_is_told_with_its_row(
    name: str, data: bytes, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=says):
        list(LargeFile(tmp_path / name, name))


async def test_a_user_has_a_row_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text(json.dumps([f"u{n}" for n in range(6)]))
    rows = feeder(path)
    async with session("http://127.0.0.1:1") as s:
        names = set()
        s.workers = 2
        for s.worker in (0, 1):
            for s.user in (1, 2, 3):
                assert rows.mine(s) is rows.mine(s)
                names.add(rows.mine(s)["value"])
        assert names == {f"u{n}" for n in range(6)}
        s.user = 4
        with pytest.raises(UsageError, match="user 8 has none"):
            rows.mine(s)


async def test_random_rows_are_the_same_with_the_same_seed(tmp_path: Path) -> None:
    (tmp_path / "n.ndjson").write_text("\n".join(str(n) for n in range(50)))
    rows = feeder(tmp_path / "n.ndjson", "random")
    async with session("http://127.0.0.1:1") as one, session("http://127.0.0.1:1") as two:
        assert [rows.next(one) for _ in range(9)] == [rows.next(two) for _ in range(9)]


def test_what_is_no_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file of data"):
        feeder(tmp_path / "none.csv")
    with pytest.raises(UsageError) as caught:
        feeder(tmp_path / "none.csv", "sequentially")  # type: ignore[arg-type]
    assert "sequential" in caught.value.hint


async def test_a_token_is_asked_for_once_and_again_before_it_ends() -> None:
    tokens = 0

    async def serve(asked: Asked) -> bytes:
        nonlocal tokens
        if asked.path == "/token":
            assert b"grant_type=client_credentials" in asked.body
            secret = base64.b64encode(b"me:secret").decode()
            assert f"authorization: basic {secret}".lower() in asked.head.lower()
            tokens += 1
            seconds = 3600 if tokens == 1 else 10
            body = {"access_token": f"t{tokens}", "expires_in": seconds}
            return answer(json.dumps(body).encode())
        return answer(asked.head.partition("uthorization: ")[2].split("\r\n")[0].encode())

    async with serving(serve) as server, session(server.url) as s:
        seen = []
        for _ in range(2):
            await auth.client_credentials(s, "/token", client="me", secret="secret")
            seen.append((await s.get("/")).text())
        s.state.clear()
        for _ in range(2):
            await auth.client_credentials(s, "/token", client="me", secret="secret")
            seen.append((await s.get("/")).text())
        auth.basic(s, "a", "b")
        seen.append((await s.get("/")).text())

    assert seen == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t3", "Basic YTpi"]


async def test_a_form_is_filled_in_with_its_hidden_fields() -> None:
    async def serve(asked: Asked) -> bytes:
        if asked.method == "GET":
            return answer(b'<form><input name="csrf" value="x1"><input name="user"></form>')
        assert b"csrf=x1" in asked.body
        return answer(b"in", "200 OK", "Set-Cookie: sid=9")

    async with serving(serve) as server, session(server.url) as s:
        await auth.form_login(s, "/login", {"user": "ana", "password": "p"})
        await s.get("/me")

    assert b"user=ana" in server.asked[1].body
    assert "cookie: sid=9" in server.asked[2].head.lower()
    await asyncio.sleep(0)
