"""A copy of all that a hub must not forget, and a hub made from one."""

import contextlib
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError, NotFoundError, RefusedError
from chapiteau.dash.nodes.embedded import SqliteDesiredState, SqliteLeases
from chapiteau.dash.nodes.leadership import LEASE_NAME
from chapiteau.dash.nodes.registry import Registry
from chapiteau.dash.project import Project
from chapiteau.io.files import lock_file, write_atomic

__all__ = ["make_backup", "restore_backup"]

_STORE: Final = "dash.sqlite3"
_PAPERS: Final = ("ca.key", "ca.pem", "hub.key", "hub.pem", "next.key", "next.pem")
_LARGEST: Final = 16 << 30  # bytes of one file in a copy


def make_backup(project: Project, target: Path) -> None:
    """Write a copy, readable by this user alone. The hub may run on.

    Raises NotFoundError without a hub here, ChapiteauError when it can't be written.
    """
    if not project.store.exists():
        raise NotFoundError(
            f"{project.run_dir} holds no hub", hint="it is made by: chapiteau hub up"
        )
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            whole = Path(scratch) / _STORE
            with contextlib.closing(sqlite3.connect(project.store)) as store:
                store.execute("VACUUM INTO ?", (str(whole),))
            draft = Path(scratch) / "copy"
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as tar:
                tar.add(whole, _STORE)
                for name in _PAPERS:
                    if (project.authority / name).exists():
                        tar.add(project.authority / name, f"hub/{name}")
                stream.flush()
                os.fsync(handle)
            draft.replace(target)
    except (OSError, sqlite3.Error) as exc:
        raise ChapiteauError(f"{target}: the copy can't be written ({exc})") from exc


def restore_backup(project: Project, source: Path, clock: Clock, *, force: bool) -> list[str]:
    """Make this project's hub from a copy; returns the names of its nodes.

    It comes after every hub that had the same nodes: they obey it from their first call on, and
    refuse the one that the copy was made of. Raises RefusedError while a hub runs or stands here,
    ChapiteauError for what is no copy.
    """
    with lock_file(project.run_dir / "dash.lock") as mine:
        if not mine:
            raise RefusedError("this project's hub runs", hint="stop it first")
        known = _nodes(project.store)
        if known and not force:
            raise RefusedError(
                f"{project.run_dir} holds a hub that knows {', '.join(known)}",
                hint="--force replaces it (keep a copy: chapiteau hub backup FILE)",
            )
        _unpack(project, source)
        leases, states = SqliteLeases(project.store, clock), SqliteDesiredState(project.store)
        try:
            leases.take_over(LEASE_NAME)
            states.leap()
        finally:
            leases.close()
            states.close()
        return _nodes(project.store)


def _nodes(store: Path) -> list[str]:
    if not store.exists():
        return []
    registry = Registry(store)
    try:
        return [node.name for node in registry.nodes() if not node.revoked]
    finally:
        registry.close()


def _unpack(project: Project, source: Path) -> None:
    try:
        with tarfile.open(source) as tar:
            files = dict(_files(tar))
            if _STORE not in files or "hub/ca.key" not in files:
                raise ValueError("it holds no hub")
            _check_store(files[_STORE])
            # Nothing is touched before all of it was read.
            project.authority.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in _PAPERS:
                (project.authority / name).unlink(missing_ok=True)
            for end in ("-wal", "-shm"):
                project.store.with_name(project.store.name + end).unlink(missing_ok=True)
            for name, content in files.items():
                write_atomic(project.run_dir / name, content, mode=0o600)
    except (OSError, tarfile.TarError, ValueError, EOFError) as exc:
        raise ChapiteauError(
            f"{source} is no copy of a hub: {exc}", hint="made by: chapiteau hub backup FILE"
        ) from exc


def _files(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """Those that a copy has; links, folders and other names are passed over."""
    wanted = {_STORE, *(f"hub/{name}" for name in _PAPERS)}
    for member in tar:
        stream = tar.extractfile(member) if member.isreg() and member.name in wanted else None
        if stream is not None:
            if member.size > _LARGEST:
                raise ValueError(f"{member.name} is too large")
            yield member.name, stream.read()


def _check_store(content: bytes) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as store:
        try:
            store.deserialize(content)
            (told,) = store.execute("PRAGMA quick_check").fetchone()
        except sqlite3.Error as exc:
            raise ValueError(f"{_STORE}: {exc}") from exc
        if told != "ok":
            raise ValueError(f"{_STORE}: {told}")
