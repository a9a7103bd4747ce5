"""Values that stand in files or in the environment, for alerts and for /metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chapiteau.core.errors import NotFoundError
from chapiteau.plumbing.secretfile import read_secret_file
from chapiteau.run.logic.spec import SecretRef

__all__ = ["Around", "reveal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Whose alerts these are, and where their secrets come from."""

    project: str
    folder: Path  # of chapiteau.toml
    environ: Mapping[str, str]


def reveal(name: str, ref: SecretRef, around: Around) -> str:
    """The value. Raises NotFoundError, RefusedError for a file that others can read."""
    if ref.file:
        return read_secret_file(name, around.folder / ref.file)
    if ref.env not in around.environ:
        raise NotFoundError(
            f"the secret {name} should come from the variable {ref.env}, which is not set",
            hint=f"set {ref.env} for the hub",
        )
    return around.environ[ref.env]
