"""`chapiteau load …` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.load import client
from chapiteau.load.execution.jobs import find_job
from chapiteau.load.testing import Target
from chapiteau.load.workers.plan import UrlSource
from tests.support import run_cli, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Target("queue", mean=0.0002, fixed=True) as target:
        yield target.url


def load(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return run_cli("load", *args, cwd=folder)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout.splitlines()[-1])


def test_a_run_is_judged_stored_and_reported(url: str, tmp_path: Path) -> None:
    done = load(tmp_path, "run", url, "--rate", "500/s", "-d", "1", "--objective", "p99 < 5s")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("✓ met: p99 < 5s")
    (kept,) = client.results(tmp_path / ".chapiteau")
    assert (kept.verdict, kept.kind, kept.id) == ("met", "run", 1)
    report = client.report_path(tmp_path / ".chapiteau", 1)
    assert report is not None
    html = report.read_text()
    assert "<svg" in html
    assert "<script" not in html
    assert "http://" not in html.replace(url.rstrip("/"), "")
    assert len(html) < 400_000


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--objective", "p50 < 1us"], 8, "not met"),
        (["--objective", "p99 <"], 2, "not understood"),
        (["--rate", "5/s", "--users", "3"], 2, "can't be given together"),
        (["--rate", "fast"], 2, "is not a rate"),
        (["--shape", "up 10s"], 2, "is not"),
        (["--rate", "2000000"], 2, "above the ceiling of 20000/s"),
        (["--shape", "1/s 5h"], 2, "longer than 4h"),
        (["--scenarios", "x", "--rate", "1"], 2, "no scenario 'x'"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(
    args: list[str], code: int, says: str, url: str, tmp_path: Path
) -> None:
    done = load(tmp_path, "run", url, "-d", "1", *args)

    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_target_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    done = load(tmp_path, "run", "http://example.com/")

    assert done.returncode == 4
    assert "--allow example.com" in done.stderr


def test_a_service_that_is_not_there_is_no_measurement(tmp_path: Path) -> None:
    done = load(tmp_path, "run", "http://127.0.0.1:1/", "-d", "1", "--objective", "p99 < 1s")

    assert done.returncode == 11
    assert "connection refused" in done.stdout
    assert "? p99 < 1s: no data" in done.stdout
    assert "✓" not in done.stdout


def test_a_dry_run_sends_nothing(tmp_path: Path) -> None:
    done = load(tmp_path, "run", "http://127.0.0.1:1/", "--shape", "1/s->9/s 10s", "--dry-run")

    assert done.returncode == 0
    assert "1/s to 9/s in 10s" in done.stdout
    assert "in all   50 sessions, poisson" in done.stdout
    assert "/s ┤" in done.stdout  # and drawn
    assert not (tmp_path / ".chapiteau").exists()


def test_a_password_in_the_url_is_sent_and_shown_nowhere(url: str, tmp_path: Path) -> None:
    private = url.replace("http://", "http://joe:pass-word@")
    done = load(tmp_path, "run", private, "--base", private, "--users", "1", "--iterations", "2")
    dry = load(tmp_path, "run", private, "--dry-run")

    assert done.returncode == dry.returncode == 0, done.stderr
    stored = load(tmp_path, "show", "1", "--json").stdout
    (report,) = (tmp_path / ".chapiteau/load").glob("*.html")
    for shown in (done.stdout, done.stderr, dry.stdout, stored, report.read_text()):
        assert "pass-word" not in shown
    job = find_job(private, {}, None, ())
    assert isinstance(job.source, UrlSource)
    assert "joe:pass-word@" in job.source.url


def test_a_section_of_the_project_is_a_test(url: str, tmp_path: Path) -> None:
    (tmp_path / "chapiteau.toml").write_text(
        f'[load.home]\ntarget = "{url}"\nusers = 2\nduration = "1s"\nobjective = "errors < 1%"\n'
    )
    done = load(tmp_path, "run", "home", "--json")
    wrong = load(tmp_path, "run", "hom")

    assert done.returncode == 0, done.stderr
    found = document(done)
    assert (found["name"], found["plan"]["model"]) == ("home", "closed")
    assert found["format"] == "chapiteau-load/1"
    assert wrong.returncode == 3
    assert "did you mean 'home'?" in wrong.stderr


def test_with_json_each_second_is_a_line_as_it_passes(url: str, tmp_path: Path) -> None:
    words = ["load", "run", url, "--rate", "20/s", "-d", "30s", "--json", "--no-store"]
    with subprocess.Popen(
        [sys.executable, "-m", "chapiteau", *words], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        first = json.loads(run.stdout.readline())  # long before the end
        run.send_signal(signal.SIGINT)
        *_, last = map(json.loads, run.stdout)

    assert (first["t"], first["of"], first["rate"] > 0) == (0, 30.0, True)
    assert last["format"] == "chapiteau-load/1"
    assert last["verdict"]["exit_code"] == run.returncode == 130


def test_a_typo_in_the_project_is_shown_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "chapiteau.toml").write_text('[load.home]\ntarget = "http://x/"\nratee = 3\n')
    done = load(tmp_path, "run", "home")

    assert done.returncode == 2
    assert "load.home.ratee" in done.stderr
    assert "rate" in done.stderr


def test_results_are_listed_shown_and_rendered(url: str, tmp_path: Path) -> None:
    for _ in range(2):
        load(tmp_path, "run", url, "--rate", "50", "-d", "1", "-q")
    listed = load(tmp_path, "list", "--json")
    shown = load(tmp_path, "show", "1")
    compared = load(tmp_path, "compare", "1", "2", "--json")
    missing = load(tmp_path, "show", "9")

    assert [one["id"] for one in json.loads(listed.stdout)] == [2, 1]
    assert "requests" in shown.stdout
    assert json.loads(compared.stdout)["word"] in {"cannot tell", "same"}
    assert missing.returncode == 3
    for form, start in (
        ("html", "<!doctype html>"),
        ("json", "{"),
        ("csv", "name,requests"),
        ("junit", "<?xml"),
        ("markdown", ("###", "**!")),  # a measurement that is not sound says so before its heading
        ("md", ("###", "**!")),
    ):
        made = load(tmp_path, "report", "1", "--format", form)
        assert made.stdout.startswith(start), form


def test_a_running_test_can_be_seen_and_stopped(tmp_path: Path) -> None:
    """What waits for its answer then is cut off, which is nobody's error."""
    with Target("queue", mean=0.9, servers=100, fixed=True) as target:
        _seen_and_stopped(target.url, tmp_path)


def _seen_and_stopped(url: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "load", "run", url, "-d", "60", "-q",
         "--objective", "errors < 1%"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = tmp_path / ".chapiteau"
    try:
        state = wait_for(lambda: client.live(folder))[0]
        assert (state["pid"], state["kind"]) == (process.pid, "run")
        assert load(tmp_path, "mark", "cache emptied").returncode == 0
        assert client.mark(folder, state["run"], "again", who="ana")
        shown = client.live(folder)[0]
        assert [one["text"] for one in shown["marks"]] == ["cache emptied", "again"]
        assert shown["rows"][0]["requests"] >= 0
        assert client.stop(folder, state["run"], "ana")
        assert client.stop(folder, state["run"], "bob"), "asked again it is not hurried"
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 130
    assert "kept so far: errors < 1%" in out
    assert "stopped early by ana" in out
    assert client.live(folder) == []
    assert not list((folder / "load" / "live").glob("*.said"))
    assert len(client.results(folder)) == 1
    found = client.result(folder, 1)
    assert [(one["who"], one["text"]) for one in found["marks"]][1] == ("ana", "again")
    assert "again (ana)" in load(tmp_path, "show", "1").stdout
    report = client.report_path(folder, 1)
    assert report is not None
    assert "<title>again (ana)</title>" in report.read_text()
    assert found["soundness"]["cut"] > 0
    assert (found["totals"]["bad"], found["failures"]) == (0, [])


def test_a_test_runs_on_by_itself_and_can_be_watched_and_ended(url: str, tmp_path: Path) -> None:
    sent = load(
        tmp_path, "run", url, "-d", "60", "--users", "1", "--detach", "--objective", "p99<9s"
    )
    run = sent.stdout.strip()
    folder = tmp_path / ".chapiteau"
    assert sent.returncode == 0, sent.stderr
    watching = subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "load", "attach"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert watching.stderr is not None
        assert "running" in watching.stderr.readline()
        assert f"running: {run}  run" in load(tmp_path, "list").stderr
        leaving = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", "load", "attach", run, "--json"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with leaving:
            assert leaving.stdout is not None
            assert json.loads(leaving.stdout.readline())["run"] == run
            leaving.send_signal(signal.SIGINT)
            assert (leaving.wait(60), client.live(folder)[0]["run"]) == (130, run)
        ended = load(tmp_path, "stop", run)
        out, _ = watching.communicate(timeout=60)
    finally:
        client.stop(folder, run)
        watching.kill()
        watching.wait()

    assert (ended.returncode, watching.returncode) == (0, 130)
    assert "chapiteau load show 1" in ended.stderr
    assert out.startswith("? kept so far: p99<9s, errors < 1% (stopped early")
    assert load(tmp_path, "stop").returncode == 3
    assert load(tmp_path, "attach", "1").returncode == 3


def test_what_can_not_begin_is_told_before_it_is_sent_away(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("raise ValueError('boom')\n")

    done = load(tmp_path, "run", "bad.py", "--url", "http://127.0.0.1:1", "--detach")
    assert done.returncode == 11
    assert "boom" in done.stderr


def test_the_dashboard_is_named_where_one_runs(url: str, tmp_path: Path) -> None:
    none = load(tmp_path, "run", url, "-d", "1", "--web")
    (tmp_path / ".chapiteau").mkdir(exist_ok=True)
    (tmp_path / ".chapiteau" / "dash.json").write_text(
        '{"url": "http://127.0.0.1:8800/#key", "base": "http://127.0.0.1:8800/"}'
    )
    told = load(tmp_path, "run", url, "-d", "1", "--users", "1", "--web", "-q")

    assert (none.returncode, told.returncode) == (5, 0)
    assert "live at http://127.0.0.1:8800/load" in told.stderr
    assert "key" not in told.stderr


def test_load_processes_end_with_a_killed_parent(url: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "load", "run", url, "-d", "60", "-q"], cwd=tmp_path
    )
    folder = tmp_path / ".chapiteau"
    try:
        wait_for(lambda: client.live(folder))
        children = _children(process.pid)
        assert children
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    wait_for(lambda: not any(_is_alive(pid) for pid in children))
    assert client.live(folder) == []


def _children(pid: int) -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return [int(line) for line in found.split()]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_capacity_needs_an_objective(url: str, tmp_path: Path) -> None:
    done = load(tmp_path, "capacity", url)

    assert done.returncode == 2
    assert "objective" in done.stderr


@pytest.mark.long
def test_two_services_are_compared_in_turns(url: str, tmp_path: Path) -> None:
    """One answers after 0.2 ms, the other after 20: B is slower, and the other way faster."""
    scenario = tmp_path / "both.py"
    scenario.write_text(
        "from chapiteau.load import scenario\n"
        "@scenario\nasync def one(session):\n    await session.get('/x')\n"
    )
    with Target("queue", mean=0.02, servers=50, fixed=True) as other:
        args = ("--users", "2", "-d", "18", "--scenario", str(scenario), "-q", "--json")
        slower = subprocess.Popen(
            [sys.executable, "-m", "chapiteau", "load", "ab", url, other.url, *args],
            cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        faster = load(tmp_path, "ab", other.url, url, *args)
        out, _ = slower.communicate(timeout=60)
    found = json.loads(out)

    assert (slower.returncode, faster.returncode) == (8, 0), faster.stderr
    assert (found["comparison"]["word"], found["kind"]) == ("slower", "ab")
    assert found["verdict"]["line"].startswith("slower: ")
    assert document(faster)["comparison"]["word"] == "faster"
    assert "B" in load(tmp_path, "show", "1").stdout
    assert load(tmp_path, "ab", url, url, "-d", "5").returncode == 9
    silent = load(tmp_path, "ab", url, "http://127.0.0.1:1/", "-d", "18", "--users", "1", "-q")
    assert silent.returncode == 11
    assert "no request was answered" in silent.stdout


@pytest.mark.long
def test_a_capacity_up_to_a_rate_is_found_and_told(url: str, tmp_path: Path) -> None:
    done = load(
        tmp_path, "capacity", url, "--objective", "p90 < 2s", "--max-rate", "60",
        "--budget", "32s", "--confidence", "low", "--json",
    )  # fmt: skip

    found = document(done)
    assert done.returncode in {0, 10}, done.stderr
    assert found["capacity"]["held"] == pytest.approx(60, rel=0.35)
    assert {s["phase"] for s in found["capacity"]["steps"]} >= {"probe", "climb", "hold"}


def test_the_front_door_stays_light() -> None:
    """`chapiteau load --help` imports neither the engine nor asyncio."""
    script = (
        "import sys; sys.argv = ['chapiteau', 'load', '--help']\n"
        "from chapiteau.cli.main import run\n"
        "try: run()\nexcept SystemExit: pass\n"
        "print([m for m in ('asyncio', 'ssl', 'sqlite3') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stderr.strip() == "[]"
