"""`… start FLAG WORDS` prepares the process; `run …` and `resume FD` are the keeper.

`try FD` reads another keeper's state and tells by its exit code whether it could go on from there.

`with PID FD run …` is a keeper whose first brain is there already, at the other end of FD.
"""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chapiteau.run.keeper.loop import Keeper
    from chapiteau.run.keeper.syscalls import close_all, open_fds
else:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from keeper.loop import Keeper
    from keeper.syscalls import close_all, open_fds

__all__: list[str] = []

PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38


def _start(argv: list[str]) -> None:
    """Take the two process attributes that survive exec, then become the keeper.

    They must be set before the keeper's first child, and they stay through its upgrades.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if argv[0] == "no-new-privs":
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.chdir("/")  # or it would hold whatever folder it was started in
    os.execv(sys.executable, [sys.executable, "-I", "-S", sys.argv[0], *argv[1:]])


def _main(what: str, argv: list[str]) -> int:
    if what == "start":
        _start(argv)
    if what == "try":
        Keeper.resumed(int(argv[0]))
        return 0
    if what == "resume":
        return Keeper.resumed(int(argv[0])).run()
    first = argv[:2] if what == "with" else []
    run_dir, owner, lock, *brain = argv[3:] if first else argv
    close_all(set(open_fds()) - {0, 1, 2, int(lock), *map(int, first[1:])})
    made = Keeper(brain, run_dir, int(owner), int(lock))
    if first:
        made.adopt_brain(*map(int, first))
    if int(lock) >= 0:
        os.close(int(lock))  # it has its copy, with a number that no child uses
    return made.run()


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2:]))
