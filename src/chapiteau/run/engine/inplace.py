"""Become the keeper in this very process: for systemd, containers and other supervisors above."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from chapiteau.run.engine.launch import LOCK_FD, keeper_words, prepare_run_dir
from chapiteau.run.logic.spec import Spec

__all__ = ["become_keeper"]


def become_keeper(config: Path, spec: Spec, only: Sequence[str] = ()) -> NoReturn:
    """Exec the keeper: our pid, our output, our NOTIFY_SOCKET stay. Raises AlreadyRunningError."""
    run_dir = (config.parent / spec.project.run_dir).absolute()
    lock = prepare_run_dir(run_dir)
    (run_dir / "failure.json").unlink(missing_ok=True)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    if lock == LOCK_FD:
        os.set_inheritable(lock, True)
    else:
        os.dup2(lock, LOCK_FD)
    words = keeper_words(config.absolute(), spec, run_dir, 0, only)
    os.execv(words[0], words)  # noqa: S606 — no shell is wanted
