"""Where services may come: the notify socket, and the folders in which they count.

The run directory is closed to everybody else. Root's services may run as other users, though, who
must reach these; so root's supervisor keeps them in /run/chapiteau/HASH, where nothing else lies.
"""

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Any, Final

from chapiteau.io.unix_http import control_path

__all__ = ["dashboard_facts", "metrics_dir", "remove_runtime_dir", "runtime_dir"]

_ROOTS: Final = Path("/run/chapiteau")
_FIGURES: Final = "figures"


def runtime_dir(run_dir: Path) -> Path:
    """The folder, made when it is missing; where root can't have its own, the control socket's."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            _enter(_ROOTS)
            made = _own(run_dir)
            _enter(made)
            return made
    return control_path(run_dir, create=True).parent


def metrics_dir(meeting: Path, service: str, uid: int | None, gid: int | None) -> str:
    """A folder for the counts of a service's processes, its user's; "" when it can't be made."""
    figures = meeting / _FIGURES
    mine = figures / service
    try:
        _make(figures, 0o711)
        _make(mine, 0o700)
        if uid is not None or gid is not None:
            os.chown(mine, -1 if uid is None else uid, -1 if gid is None else gid)
    except OSError:
        return ""
    return str(mine)


def dashboard_facts(run_dir: Path) -> dict[str, Any]:
    """What the dashboard tells of itself, "base" and "url" (with the login token); {}: none."""
    import json  # few ask

    try:
        found = json.loads((run_dir / "dash.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remove_runtime_dir(run_dir: Path) -> None:
    """Remove what lies there; the counts of a supervisor end with it."""
    import shutil  # not needed before the end

    if os.geteuid() == 0:
        shutil.rmtree(_own(run_dir), ignore_errors=True)
    with contextlib.suppress(OSError):
        shutil.rmtree(control_path(run_dir).with_name(_FIGURES), ignore_errors=True)


def _own(run_dir: Path) -> Path:
    return _ROOTS / hashlib.sha256(os.fsencode(run_dir.resolve())).hexdigest()[:16]


def _enter(folder: Path) -> None:
    """Make a folder that all may pass and none may list or change. Raises OSError."""
    _make(folder, 0o711)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise PermissionError(f"{folder} is not root's alone")


def _make(folder: Path, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(mode)  # whatever the umask says
