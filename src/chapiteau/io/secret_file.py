"""Secrets from files and environment variables; files that others can read are refused."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.core.fields import setting
from chapiteau.core.secret import Secret

__all__ = ["SecretRef", "read_secret_file", "resolve_headers", "resolve_secret"]

_LONGEST = 1 << 20  # bytes; a larger file is no secret but a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """Where a secret value comes from; exactly one of the two."""

    file: str = setting("", help="Read the value from this file (a trailing newline is dropped).")
    env: str = setting("", help="Take the value from this environment variable of the supervisor.")


def resolve_secret(name: str, ref: SecretRef, folder: Path, environ: Mapping[str, str]) -> Secret:
    """The value; `name` is what errors call the secret, `folder` where relative paths begin.

    Raises NotFoundError, and RefusedError for a file that others can read.
    """
    if ref.file:
        return Secret(read_secret_file(name, folder / ref.file), f"file {ref.file}")
    if ref.env not in environ:
        raise NotFoundError(
            f"the secret {name} should come from the variable {ref.env}, which is not set",
            hint=f"set {ref.env} before `chapiteau up`",
        )
    return Secret(environ[ref.env], f"env {ref.env}")


def resolve_headers(
    name: str, headers: Mapping[str, str | SecretRef], folder: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """Request headers with their secrets filled in. Raises as `resolve_secret`."""
    return {
        key: resolve_secret(f"{name}.{key}", value, folder, environ).reveal()
        if isinstance(value, SecretRef)
        else value
        for key, value in headers.items()
    }


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
