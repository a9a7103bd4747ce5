"""Reads secrets from files, and refuses files that others can read."""

import os
import stat
from pathlib import Path

from chapiteau.core.errors import NotFoundError, RefusedError

__all__ = ["read_secret_file"]

_LONGEST = 1 << 20  # bytes; a larger file is no secret but a mistake


def read_secret_file(name: str, path: Path) -> str:
    """What the file holds, without its last newline; `name` is what errors call the secret.

    Raises NotFoundError, and RefusedError when the file may be read by others or belongs to
    somebody else than root and this user.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(
            f"the secret {name}: {path} does not exist", hint=f"create it with mode 0600: {path}"
        ) from None
    except OSError as exc:
        raise RefusedError(f"the secret {name}: {path}: {exc.strerror}") from None
    try:
        # The open file is checked, not the path: nobody can swap it in between.
        _check_private(name, path, os.fstat(handle))
        value = os.read(handle, _LONGEST + 1)
    finally:
        os.close(handle)
    if len(value) > _LONGEST:
        raise RefusedError(f"the secret {name}: {path} is larger than 1 MiB")
    return value.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")


def _check_private(name: str, path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise RefusedError(f"the secret {name}: {path} is not a plain file")
    if found.st_uid not in {0, os.geteuid()}:
        raise RefusedError(
            f"the secret {name}: {path} belongs to uid {found.st_uid}",
            hint="it must belong to root or to the supervisor's user",
        )
    if found.st_mode & 0o027:
        raise RefusedError(
            f"the secret {name}: {path} has mode {found.st_mode & 0o777:04o}",
            hint=f"others may read or change it: chmod 600 {path}",
        )
