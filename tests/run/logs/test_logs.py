"""Output: captured whole, never in the way of a service."""

from __future__ import annotations

import gzip
import json
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import zstandard

from chapiteau.run.logs.messages import LogLine, LogQuery
from tests.support import as_root, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
New = "Callable[[str], Project]"
PYTHON = sys.executable

COUNTER = """
    import os, sys, time
    lines, pause = int(sys.argv[1]), float(sys.argv[2])
    for i in range(lines):
        os.write(1, b"line %06d %s\\n" % (i, b"x" * 80))
        if pause: time.sleep(pause)
    os.write(2, b"done\\n")
    time.sleep(600)
"""


PLAIN = {
    ".gz": gzip.decompress,
    ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


def log_files(folder: Path) -> list[Path]:
    """Oldest first."""

    def age(path: Path) -> int:
        found = re.search(r"\.log\.(\d+)", path.name)
        return -int(found[1]) if found else 0

    return sorted(folder.glob("1.stdout.log*"), key=age)


def numbers(folder: Path) -> list[int]:
    found = []
    for path in log_files(folder):
        data = PLAIN.get(path.suffix, bytes)(path.read_bytes())
        assert data.endswith(b"\n") or not data, f"{path.name} ends in the middle of a line"
        found += [int(line.split()[1]) for line in data.splitlines()]
    return found


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_rotation_loses_and_tears_no_line(project: New, compress: str) -> None:
    p = project(f"""
        [log]
        max_size = "256KiB"
        keep = 100
        compress = "{compress}"
        [service.w]
        command = ["{PYTHON}", "w.py", "30000", "0"]
        ready.log = "done"
    """)
    p.file("w.py", COUNTER)
    p.up()
    p.until("w", "running")
    folder = p.folder / ".chapiteau" / "log" / "w"
    # "done" comes by another pipe: it may be heard before the last lines are in their file.
    wait_for(lambda: b"line 029999" in (folder / "1.stdout.log").read_bytes())
    if compress != "none":
        wait_for(
            lambda: all(
                p.suffix in (*PLAIN, ".1", ".place", ".past") for p in folder.glob("*.log.*")
            )
        )
    assert len(log_files(folder)) > 5
    assert numbers(folder) == list(range(30000))


def test_only_so_many_old_files_are_kept(project: New) -> None:
    p = project(f"""
        [log]
        max_size = "64KiB"
        keep = 2
        [service.w]
        command = ["{PYTHON}", "w.py", "20000", "0"]
        ready.log = "done"
    """)
    p.file("w.py", COUNTER)
    p.up()
    p.until("w", "running")
    folder = p.folder / ".chapiteau" / "log" / "w"
    wait_for(lambda: len(log_files(folder)) == 3)  # the last turn may be going on


@pytest.mark.parametrize("mode", ["raw", "line"])
def test_a_file_that_is_moved_away_is_made_anew(project: New, mode: str) -> None:
    p = project(f"""
        log.mode = "{mode}"
        [service.w]
        command = ["{PYTHON}", "w.py", "100000", "0.01"]
        ready.alive = "100ms"
    """)
    p.file("w.py", COUNTER)
    p.up()
    log = p.folder / ".chapiteau" / "log" / ("w/1.stdout.log" if mode == "raw" else "w.log")
    wait_for(lambda: log.exists() and log.stat().st_size > 0)
    log.rename(log.with_name("moved"))
    wait_for(lambda: log.exists() and log.stat().st_size > 0, what="a new file at the old place")
    p.client.command("stop", "w")
    both = log.with_name("moved").read_bytes() + log.read_bytes()
    found = [int(line.split()[-2]) for line in both.splitlines() if b"done" not in line]
    assert found == list(range(len(found)))


def test_logs_follow_with_filters_and_a_bounded_past(project: New) -> None:
    p = project("""
        [service.a]
        command = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo INFO tick $i; \
                   echo ERROR tock $i >&2; sleep 0.05; done"]
        ready.alive = "100ms"
        [service.b]
        command = ["sh", "-c", "while :; do echo other; sleep 0.05; done"]
        ready.alive = "100ms"
    """).up()
    p.until("a", "running")

    def first(query: LogQuery, count: int) -> list[LogLine]:
        lines: Iterator[object] = iter(p.client.logs(query))
        return [line for line, _ in zip(lines, range(count), strict=False)]  # type: ignore[misc]

    errors = first(LogQuery(services=("a",), level="error", follow=True, last=0), 3)
    assert all(line.stream == "stderr" and "tock" in line.text for line in errors)
    found = first(LogQuery(grep="tick 1[0-9]", follow=True, last=1000), 3)
    assert [line.text for line in found] == ["INFO tick 10", "INFO tick 11", "INFO tick 12"]
    assert len(first(LogQuery(last=5), 100)) == 5
    # A search finds what is older than as many lines as it may give back.
    (old,) = first(LogQuery(services=("a",), grep="tick 1$", last=2), 9)
    assert old.text == "INFO tick 1"
    around = first(LogQuery(until=old.time + 0.001, last=1000, follow=True), 10_000)
    assert old in around
    assert max(line.time for line in around) <= old.time + 0.001
    assert {line.service for line in first(LogQuery(services=("b",), last=20), 100)} == {"b"}


def test_line_mode_stamps_every_line_and_joins_tracebacks(project: New) -> None:
    p = project(f"""
        [log]
        mode = "line"
        multiline = "^\\\\S"
        [service.w]
        command = ["{PYTHON}", "w.py"]
        ready.log = "end"
    """)
    p.file("w.py", """
        import sys, time
        print("Traceback:\\n  one\\n  two\\nend", flush=True)
        time.sleep(600)
    """)  # fmt: skip
    p.up()
    p.until("w", "running")
    log = p.folder / ".chapiteau" / "log" / "w.log"
    wait_for(lambda: "end" in log.read_text())
    text = log.read_text()
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z w\.1 \| Traceback:\n    one\n    two\n", text
    )


def test_json_lines_and_syslog(project: New) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        syslog.settimeout(60)
        p = project(f"""
            [log]
            mode = "line"
            format = "json"
            syslog = "127.0.0.1:{syslog.getsockname()[1]}"
            [service.w]
            command = ["sh", "-c", "echo 'ERROR no luck'; echo '{{\\"a\\":1}}'; exec sleep 600"]
            ready.alive = "100ms"
        """).up()
        p.until("w", "running")
        log = p.folder / ".chapiteau" / "log" / "w.log"
        wait_for(lambda: len(log.read_text().splitlines()) == 2)
        first, second = (json.loads(line) for line in log.read_text().splitlines())
        assert (first["service"], first["process"], first["level"]) == ("w", 1, "error")
        assert first["message"] == "ERROR no luck"
        assert second["fields"] == {"a": 1}
        message = syslog.recv(1000).decode()
        assert message.startswith("<11>1 "), "user facility, severity error"
        assert message.endswith("- - ERROR no luck")


def test_line_mode_goes_on_where_the_last_brain_was(project: New) -> None:
    p = project(f"""
        [log]
        mode = "line"
        [service.w]
        command = ["{PYTHON}", "w.py", "1000000", "0.0005"]
        ready.alive = "100ms"
    """)
    p.file("w.py", COUNTER)
    p.up()
    p.until("w", "running")
    for _ in range(3):
        p.kill_brain()
    p.client.command("stop", "w")
    log = p.folder / ".chapiteau" / "log" / "w.log"
    found = [int(n) for n in re.findall(r"line (\d{6}) ", log.read_text())]
    assert sorted(set(found)) == list(range(max(found) + 1)), "a line is missing"


def test_services_may_share_one_file_that_is_turned(project: New) -> None:
    p = project(f"""
        [log]
        mode = "line"
        file = "all.log"
        max_size = "64KiB"
        keep = 100
        [service.a]
        command = ["{PYTHON}", "w.py", "3000", "0"]
        ready.log = "done"
        [service.b]
        command = ["{PYTHON}", "w.py", "3000", "0"]
        ready.log = "done"
    """)
    p.file("w.py", COUNTER)
    p.up()
    folder = p.folder / ".chapiteau" / "log"

    def lines() -> list[list[str]]:
        return [
            line.split() for f in folder.glob("all.log*") for line in f.read_text().splitlines()
        ]

    wait_for(lambda: len([1 for words in lines() if "line" in words]) >= 6000)
    for name in ("a", "b"):
        found = sorted(int(w[-2]) for w in lines() if w[1] == f"{name}.1" and "line" in w)
        assert found == list(range(3000))
    assert all(f.stat().st_size > 30_000 for f in folder.glob("all.log.*"))


def test_a_rate_cap_says_what_it_dropped(project: New) -> None:
    p = project(f"""
        [log]
        rate = "20kB"
        [service.w]
        command = ["{PYTHON}", "w.py", "30000", "0"]
        ready.alive = "100ms"
    """)
    p.file("w.py", COUNTER)
    p.up()
    told = wait_for(lambda: p.events("log.dropped"))
    assert "rate cap" in told[0].text
    log = p.folder / ".chapiteau" / "log" / "w" / "1.stdout.log"
    assert log.stat().st_size < 200_000


@as_root
def test_a_full_disk_stops_no_service_and_is_said_once(project: New) -> None:
    p = project("")
    run = p.folder / ".chapiteau"
    (run / "log").mkdir(parents=True, mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(run / "log")], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        p.write(f"""
            [service.w]
            command = ["{PYTHON}", "w.py", "20000", "0"]
            ready.alive = "100ms"
        """)
        p.file("w.py", COUNTER)
        p.up()
        # It got to its end though nobody could write its lines: "done" is on stderr, and it sleeps.
        wait_for(lambda: p.events("log.dropped"))
        assert "No space left" in p.events("log.dropped")[0].text
        p.until("w", "running")
        assert p.service("w").restarts == 0
        assert len(p.events("log.dropped")) <= 2
        # Room again: it goes on, and the gap is marked in the file itself.
        log = run / "log" / "w" / "1.stdout.log"
        log.write_bytes(b"")

        def says_so_after_more_output() -> bool:
            p.client.command("restart", "w")
            return b"bytes of output were dropped here" in log.read_bytes()[:4096]

        wait_for(says_so_after_more_output)
    finally:
        p.down()
        subprocess.run(["umount", "-l", str(run / "log")], check=False)


def test_a_line_without_end_is_cut_and_memory_stays_bounded(project: New) -> None:
    p = project(f"""
        [service.w]
        command = ["{PYTHON}", "long.py"]
        ready.log = "end"
    """)
    p.file("long.py", """
        import os, time
        for _ in range(300):
            os.write(1, b"x" * 65536)
        os.write(2, b"end\\n")
        time.sleep(600)
    """)  # fmt: skip
    p.up()
    p.until("w", "running")
    lines = list(p.client.logs(LogQuery(services=("w",), stream="stdout", last=10)))
    assert all(len(line.text) <= 1 << 21 for line in lines), "it comes in pieces"
    assert p.status().rss_bytes < 120 << 20
