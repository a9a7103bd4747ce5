"""Start the server again when its code changes.

The parent holds the listening sockets and a child serves on them: while one child ends and the next
one starts, connections wait, and none is refused. The child itself knows which files it has read,
so it looks for changes and ends with `CHANGED`.
"""

import os
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["CHANGED", "keep_serving", "own_files", "stamps", "watch"]

CHANGED: Final = 64 + 11  # exit code of a child that wants to be started again
_LOOK: Final = 0.3  # seconds between two looks at the files


def own_files(folder: Path) -> set[Path]:
    """Files whose change is a reason to start again: modules that are loaded and belong to no
    library, every Python file beside them, and chapiteau.toml."""
    libraries = tuple(sysconfig.get_paths()[n] for n in ("stdlib", "purelib", "platlib"))
    found = {
        Path(file)
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and not str(file).startswith(libraries)
    }
    places = {path.parent for path in found if path.is_relative_to(folder)} | {folder}
    for place in places:
        found.update(place.glob("*.py"))
    return found | {folder / "chapiteau.toml"}


def stamps(files: Iterable[Path]) -> dict[Path, int]:
    """When each file was last written; those that are not there are left out."""
    found = {}
    for path in files:
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:
            continue
    return found


def watch(
    folder: Path,
    before: dict[Path, int],
    changed: Callable[[str], None],
    ended: threading.Event,
) -> None:
    """Look until a file has changed, gone or come, or the parent has gone; then tell, once.

    `before` are the stamps from before anything was imported: so nothing is missed meanwhile.
    """
    parent = os.getppid()
    while not ended.wait(_LOOK):
        if os.getppid() != parent:
            changed("nobody starts this server again")
            return
        now = stamps(own_files(folder))
        # A file that is new to us but older than the others was only imported late.
        newest = max(before.values(), default=0)
        for path in sorted(before.keys() | now.keys()):
            if before.get(path) != now.get(path) and (path in before or now[path] > newest):
                changed(f"{path} has changed")
                return
        before = {**now}


def keep_serving(words: Sequence[str], handles: Sequence[int], environ: dict[str, str]) -> int:
    """Start children until one ends for good; gives its exit code. TERM and INT go to the child."""
    told: list[int] = []
    child: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: Any) -> None:
        told.append(number)
        if child:
            child[0].send_signal(number)

    before = {n: signal.signal(n, pass_on) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        while True:
            child[:] = [_child(words, handles, environ)]
            if told:  # in the moment in which there was none
                child[0].send_signal(signal.SIGTERM)
            code = child[0].wait()
            # TERM: the change came before the child was there to hear of it.
            if code not in (CHANGED, -signal.SIGTERM) or told:
                return 0 if told and code in (CHANGED, -signal.SIGINT, -signal.SIGTERM) else code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# The sockets must stand at descriptor 3 and after (sd_listen_fds(3)).
_HAND_OVER: Final = """
import os, sys
count = int(sys.argv[1])
high = [os.dup(int(word)) for word in sys.argv[2:2 + count]]
while min(high) < 3 + count:
    high = [os.dup(h) for h in high]
for at, handle in enumerate(high):
    os.dup2(handle, 3 + at)
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


def _child(
    words: Sequence[str], handles: Sequence[int], environ: dict[str, str]
) -> subprocess.Popen[bytes]:
    before = [sys.executable, "-S", "-c", _HAND_OVER, str(len(handles)), *map(str, handles)]
    return subprocess.Popen(
        [*before, *words],
        pass_fds=tuple(handles),
        env={**os.environ, **environ, "LISTEN_FDS": str(len(handles))},
        start_new_session=True,  # Ctrl-C reaches the parent alone, which passes it on
    )
