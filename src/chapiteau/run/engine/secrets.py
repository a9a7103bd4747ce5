"""The values of a service's secrets, read at spawn time."""

import os
from collections.abc import Mapping
from pathlib import Path

from chapiteau.core.errors import NotFoundError
from chapiteau.core.secret import Secret
from chapiteau.plumbing.secretfile import read_secret_file
from chapiteau.run.logic.spec import SecretRef, Service

__all__ = ["read_secrets"]


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
    return Secret(read_secret_file(name, folder / ref.file), f"file {ref.file}")
