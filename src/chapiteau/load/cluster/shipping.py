"""The files of a scenario, packed with the plan and laid out where the load comes from.

The folder of a scenario file goes along whole: its modules, its data. So does what the settings
name: certificates and keys. What begins with a dot stays at home: keys and caches live there.
"""

import contextlib
import dataclasses
import fcntl
import io
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import structs

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.io.clock import SystemClock
from chapiteau.load.engine.connection import ConnectionSettings
from chapiteau.load.workers.documents import named_files
from chapiteau.load.workers.messages import Setup
from chapiteau.load.workers.plan import DocumentSource, FileSource, Plan

__all__ = ["LockedFolder", "pack_scenario", "unpack_scenario"]


# A folder for what a test brings along, which does not outlive the test, however that ends.
#
# Its owner holds a lock on it. The lock goes with the owner, also with one that was killed; whoever
# begins next finds such folders and takes them away.

_PREFIX: Final = "chapiteau-relay-"
_AGE: Final = 60.0  # seconds for a folder that is new to get its lock


class LockedFolder:
    """A new folder that only this user may enter; `remove` takes it away."""

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Whatever is in it; a load process that was just killed may still have been writing."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep(place: Path) -> None:
    """Take folders away whose owners are dead: ours by name and by user, and old enough."""
    for path in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or held: both are well
            found = path.lstat()
            if (
                not stat.S_ISDIR(found.st_mode)
                or found.st_uid != os.getuid()
                or SystemClock.wall() - found.st_mtime < _AGE
            ):
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


_MOST_PACKED: Final = 40 << 20  # bytes of the archive
_MOST: Final = 400 << 20  # bytes of all files: more is a folder that was not meant
_LEFT: Final = frozenset(("venv", "node_modules", "__pycache__"))
_FILES: Final = ("ca_file", "client_certificate", "client_key")


def pack_scenario(plan: Plan) -> tuple[Plan, bytes]:
    """The plan with places in an archive instead of paths, and that archive (ZIP).

    Raises UsageError when the files are too many, or one of them can't be read.
    """
    source, connection = plan.source, plan.connection
    buffer = io.BytesIO()
    # Files older than 1980 exist, where builds are made to be repeatable.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        if isinstance(source, FileSource):
            scenario = Path(source.path)
            for path in _of(scenario):
                _add(archive, path, f"scenario/{path.relative_to(scenario.parent)}", buffer)
            source = FileSource(f"scenario/{scenario.name}")
        elif isinstance(source, DocumentSource):
            archive.writestr("document", source.text)
            files = {}
            for number, (name, path) in enumerate(named_files(source).items()):
                files[name] = f"named/{number}"
                _add(archive, path, files[name], buffer)
            source = structs.replace(source, text="", files=files)
        for name in _FILES:
            if path := getattr(connection, name):
                _add(archive, Path(path), f"connection/{name}", buffer)
        connection = _moved(connection, "connection")
    return structs.replace(plan, source=source, connection=connection), buffer.getvalue()


def unpack_scenario(order: Setup, folder: Path) -> Plan:
    """The plan with its files laid out below `folder`, which only we may read.

    They come with the order, or lie in an archive that it names: a cluster may have its own way.
    """
    data, plan = order.files, order.plan
    if order.archive:
        try:
            data = Path(order.archive).read_bytes()
        except OSError as exc:
            raise ChapiteauError(
                f"{order.archive}: the scenario's files did not come ({exc.strerror})",
                hint="the cluster should have laid them there: is its disk full?",
            ) from exc
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)
    source = plan.source
    if isinstance(source, FileSource):
        source = FileSource(str(folder / source.path))
    elif isinstance(source, DocumentSource):
        text = (folder / "document").read_bytes().decode()
        files = {name: str(folder / place) for name, place in source.files.items()}
        source = structs.replace(source, text=text, files=files)
    connection = _moved(plan.connection, str(folder / "connection"))
    return structs.replace(plan, source=source, connection=connection)


def _moved(settings: ConnectionSettings, folder: str) -> ConnectionSettings:
    """The settings with their files in another folder."""
    moved = {name: f"{folder}/{name}" for name in _FILES if getattr(settings, name)}
    return dataclasses.replace(settings, **moved)  # type: ignore[arg-type]


def _of(scenario: Path) -> Iterator[Path]:
    """The scenario's own file, whatever its name, and everything that goes with it."""
    total = 0
    for path in (scenario, *(p for p in _below(scenario.parent) if p != scenario)):
        total += path.stat().st_size
        if total > _MOST:
            raise _too_much(scenario.parent, _MOST, "")
        yield path


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _LEFT:
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and not path.is_symlink():  # a link may lead round in a circle
            yield from _below(path)


def _add(archive: zipfile.ZipFile, path: Path, name: str, buffer: io.BytesIO) -> None:
    try:
        archive.write(path, name)
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UsageError(
            f"{shown}: its name is not UTF-8, and it goes to every machine",
            hint="rename it, or give the scenario a folder of its own",
        ) from None
    except OSError as exc:
        raise UsageError(
            f"{path}: it goes to every machine, and can't be read ({exc.strerror})",
            hint="is the path right, and may you read it?",
        ) from exc
    if buffer.tell() > _MOST_PACKED:
        raise _too_much(path.parent, _MOST_PACKED, " when they are packed")


def _too_much(folder: Path, most: int, when: str) -> UsageError:
    return UsageError(
        f"{folder} has more than {most >> 20} MiB of files{when}, and all of it goes to every "
        "machine",
        hint="give the scenario a folder of its own",
    )
