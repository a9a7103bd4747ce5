"""As whom a process runs: what the kernel says of it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import as_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.run.project import Project

pytestmark = [pytest.mark.slow, as_root]
NET_BIND_SERVICE = 1 << 10  # capabilities(7)


def facts(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_users_by_name_and_number_have_their_groups_and_no_capabilities(
    project: Callable[[str], Project],
) -> None:
    p = project("""
        [service.named]
        command = "sleep 600"
        user = "nobody"
        limits.processes = 4000

        [service.listed]
        command = "sleep 600"
        user = "65534"

        [service.unlisted]
        command = "sleep 600"
        user = "47110"

        [service.both]
        command = "sleep 600"
        user = "47110"
        group = "47111"

        [service.able]
        command = "sleep 600"
        user = "nobody"
        capabilities = ["CAP_NET_BIND_SERVICE"]

        [service.nobody]
        command = "sleep 600"
        user = "not-there"
        autostart = false
    """).up()
    entry = pwd.getpwnam("nobody")
    own = {str(gid) for gid in os.getgrouplist("nobody", entry.pw_gid)}
    for name, uid, gid, groups in (
        ("named", entry.pw_uid, entry.pw_gid, own),
        ("listed", entry.pw_uid, entry.pw_gid, own),
        ("unlisted", 47110, 47110, set()),
        ("both", 47110, 47111, set()),
        ("able", entry.pw_uid, entry.pw_gid, own),
    ):
        p.until(name, "running")
        found = facts(p.pids(name)[0])
        assert found["Uid"].split() == [str(uid)] * 4, name
        assert found["Gid"].split() == [str(gid)] * 4, name
        assert set(found["Groups"].split()) == groups, name
        assert found["NoNewPrivs"] == "1", name
        able = NET_BIND_SERVICE if name == "able" else 0
        assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == able, name
    outcome = p.client.command("start", "nobody")
    assert not outcome.ok
    assert "there is no user 'not-there'" in outcome.error
    assert outcome.hint == "look with: getent passwd not-there"
