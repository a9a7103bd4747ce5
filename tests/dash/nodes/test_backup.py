"""A hub is copied while it runs, and restored whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
import tarfile
from pathlib import Path

import pytest

from chapiteau.core.errors import ChapiteauError, NotFoundError, RefusedError
from chapiteau.dash.nodes.backup import make_backup, restore_backup
from chapiteau.dash.nodes.certificates import CertificateAuthority
from chapiteau.dash.nodes.contract import DesiredServices
from chapiteau.dash.nodes.embedded import SqliteDesiredState, SqliteLeases
from chapiteau.dash.nodes.registry import Registry
from chapiteau.dash.project import Project, read_project
from chapiteau.dash.store import Store
from chapiteau.io.clock import SystemClock
from chapiteau.io.files import lock_file


def project(folder: Path) -> Project:
    folder.mkdir()
    (folder / "chapiteau.toml").write_text('[project]\nname = "fleet"\n[hub]\nenable = true\n')
    return read_project(folder / "chapiteau.toml")


@pytest.fixture
async def hub(tmp_path: Path) -> Project:
    """One with a CA, a node, and something that is wanted."""
    made = project(tmp_path / "old")
    made.run_dir.mkdir(mode=0o700)
    CertificateAuthority(made.authority, SystemClock()).ensure()
    Store(made.store).close()
    registry, states = Registry(made.store), SqliteDesiredState(made.store)
    registry.admit("web-1", "AB", 2e9, 1.0)
    await states.put(DesiredServices(node="web-1", services={"web": {"processes": 2}}), expect=0)
    leases = SqliteLeases(made.store, SystemClock())
    await leases.take("hub", "old", 15.0)
    for part in (registry, states, leases):
        part.close()
    return made


async def test_a_restored_hub_comes_after_the_one_it_was_copied_from(
    hub: Project, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.tar"
    make_backup(hub, copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    new = project(tmp_path / "new")
    assert restore_backup(new, copy, SystemClock(), force=False) == ["web-1"]
    for name in ("ca.key", "ca.pem", "hub.key", "hub.pem"):
        found, was = new.authority / name, hub.authority / name
        assert found.read_bytes() == was.read_bytes()
        assert found.stat().st_mode & 0o777 == 0o600
    old, ours = (SqliteLeases(p.store, SystemClock()) for p in (hub, new))
    fence = (await ours.take("hub", "new", 15.0)).fence
    # However often the one before is started again, it stays behind.
    for number in range(20):
        again = await old.take("hub", "old", 15.0)
        await old.drop(again)
        assert again.fence == number + 2 < fence
    states = SqliteDesiredState(new.store)
    kept = await states.get("web-1")
    assert kept.services == {"web": {"processes": 2}}
    made = await states.put(DesiredServices(node="web-1"), expect=kept.generation)
    assert made.generation > kept.generation + 900
    for part in (old, ours, states):
        part.close()


async def test_a_hub_that_stands_here_is_replaced_by_force_alone(
    hub: Project, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.tar"
    make_backup(hub, copy)
    with pytest.raises(RefusedError, match="knows web-1"):
        restore_backup(hub, copy, SystemClock(), force=False)
    assert restore_backup(hub, copy, SystemClock(), force=True) == ["web-1"]
    with lock_file(hub.run_dir / "dash.lock"), pytest.raises(RefusedError, match="runs"):
        restore_backup(hub, copy, SystemClock(), force=True)


def bad_store() -> bytes:
    return b"SQLite format 3\0" + bytes(4096)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"hub/ca.key": b"x"},
        {"dash.sqlite3": b"", "../../etc/evil": b"x"},
        {"dash.sqlite3": bad_store(), "hub/ca.key": b"x"},
        {"dash.sqlite3": b"no database at all", "hub/ca.key": b"x"},
    ],
)
async def test_what_is_no_copy_changes_nothing(
    hub: Project, tmp_path: Path, files: dict[str, bytes]
) -> None:
    before = {p: p.read_bytes() for p in hub.run_dir.rglob("*.pem")}
    bad = tmp_path / "bad.tar"
    with tarfile.open(bad, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(ChapiteauError, match="no copy of a hub"):
        restore_backup(hub, bad, SystemClock(), force=True)
    bad.write_bytes(os.urandom(2000))
    with pytest.raises(ChapiteauError, match="no copy of a hub"):
        restore_backup(hub, bad, SystemClock(), force=True)
    assert {p: p.read_bytes() for p in hub.run_dir.rglob("*.pem")} == before
    with contextlib.closing(sqlite3.connect(hub.store)) as store:
        assert store.execute("SELECT name FROM node").fetchall() == [("web-1",)]


async def test_names_and_links_beside_a_copy_are_passed_over(hub: Project, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tar"
    make_backup(hub, copy)
    with tarfile.open(copy, "a") as tar:
        for name in ("../escaped", "/tmp/escaped", "hub/../../escaped", "hub/other"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
        link = tarfile.TarInfo("hub/next.key")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    new = project(tmp_path / "new")
    restore_backup(new, copy, SystemClock(), force=False)
    assert not list(tmp_path.rglob("*escaped*"))
    assert not (new.authority / "next.key").exists()
    assert not (new.authority / "other").exists()


def test_without_a_hub_there_is_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds no hub"):
        make_backup(project(tmp_path / "p"), tmp_path / "copy.tar")
    assert not (tmp_path / "copy.tar").exists()
