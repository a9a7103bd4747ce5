"""Reads the values of secrets at spawn time, and refuses files that others can read."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.core.secret import Secret
from chapiteau.run.logic.spec import SecretRef, Service

__all__ = ["read_secrets"]

_LONGEST = 1 << 20  # bytes; a larger file is no secret but a mistake


def read_secrets(
    service: Service, folder: Path, environ: Mapping[str, str] | None = None
) -> dict[str, Secret]:
    """The secret values of a service's environment, by variable name.

    Paths are relative to `folder`. Raises NotFoundError, and RefusedError when a file may be read
    by others or belongs to somebody else than root and this user.
    """
    source = os.environ if environ is None else environ
    return {
        name: _read(name, value, folder, source)
        for name, value in service.env.items()
        if isinstance(value, SecretRef)
    }


def _read(name: str, ref: SecretRef, folder: Path, environ: Mapping[str, str]) -> Secret:
    if ref.env:
        if ref.env not in environ:
            raise NotFoundError(
                f"the secret {name} should come from the variable {ref.env}, which is not set",
                hint=f"set {ref.env} before `chapiteau up`",
            )
        return Secret(environ[ref.env], f"env {ref.env}")
    return Secret(_read_file(name, folder / ref.file), f"file {ref.file}")


def _read_file(name: str, path: Path) -> str:
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
