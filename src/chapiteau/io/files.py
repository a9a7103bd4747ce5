"""Files that are whole or not there, and locks that die with their holder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["is_alive", "lock_file", "lock_owner", "write_atomic"]


# Whether a process lives.


def is_alive(pid: int) -> bool:
    """Whether a process with this pid runs, whoever's it is; a zombie does not."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and is another user's
    try:
        # pid (name) state …; the name may hold spaces and brackets, so look behind the last one.
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return not Path("/proc/self/stat").exists()  # without /proc the signal's word must do
    except OSError:
        return True
    return state not in {b"Z", b"X"}


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, lasting: bool = True) -> None:
    """Replace the file's content so that a reader, or a crash, sees the old or the new, never half.

    Temporary file in the same folder, fsync, rename, fsync of the folder. Raises OSError; the old
    file then stands untouched and nothing is left beside it. What need not outlive a fall of the
    machine (not `lasting`) spares the disk both fsyncs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if lasting:
                os.fsync(handle)
        finally:
            os.close(handle)
        draft.replace(path)
    except BaseException:  # Ctrl-C too must leave no draft beside the file
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    if not lasting:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def lock_file(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on the file while inside; gives False when somebody else has it.

    The kernel drops it when the process dies, however it dies. The file holds the holder's pid.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield True
    finally:
        os.close(handle)


def lock_owner(path: Path) -> int:
    """The pid that a lock file names, when a process with that pid lives; else 0.

    Trying the lock would say it exactly, but whoever tries holds it for a moment, and in that
    moment somebody's honest attempt would fail.
    """
    try:
        pid = int(path.read_text()[:20])
    except (OSError, ValueError):
        return 0
    return pid if is_alive(pid) else 0
