"""Pipes of the keeper leave its user a share of the kernel's pages."""

from __future__ import annotations

import json
import subprocess
import sys

from chapiteau.run.keeper.syscalls import pipe_limit_exempt
from tests.support import as_root

PIPES = """
import fcntl, json, os, sys
from chapiteau.run.keeper.syscalls import make_pipe
if int(sys.argv[1]):
    os.setgroups([]); os.setgid(64123); os.setuid(64123)
made = [make_pipe() for _ in range(200)]
sizes = [fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) for reader, _ in made]
print(json.dumps([min(sizes), max(sizes), fcntl.fcntl(os.pipe()[0], fcntl.F_GETPIPE_SZ)]))
"""


def sizes(uid: int) -> list[int]:
    """Of the smallest and largest of 200 pipes, and of another one of that user."""
    asked = [sys.executable, "-c", PIPES, str(uid)]
    found = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout
    return list(json.loads(found))


def test_who_is_exempt_has_pipes_that_hold_a_mebibyte_from_the_start() -> None:
    wanted = [1 << 20, 1 << 20, 65536] if pipe_limit_exempt() else [65536, 65536, 65536]
    assert sizes(0) == wanted


@as_root
def test_an_ordinary_user_is_left_pages_for_its_other_pipes() -> None:
    assert sizes(64123) == [65536, 65536, 65536]
