"""What a scenario says that it needs, in the comment that uv and pipx read, too."""

import tomllib
from dataclasses import dataclass
from typing import Final

from chapiteau.core.errors import UsageError

__all__ = ["Needs", "needs_of"]

_BEGIN: Final = "# /// script"
_END: Final = "# ///"


@dataclass(frozen=True, slots=True)
class Needs:
    """Packages as pip names them, and a version specifier of Python ("" for any)."""

    packages: tuple[str, ...] = ()
    python: str = ""


def needs_of(text: str) -> Needs:
    """The inline script metadata of a Python file (PEP 723). Raises UsageError when it is broken.

    # /// script
    # dependencies = ["numpy>=2"]
    # ///
    """
    lines = text.splitlines()
    if _BEGIN not in lines:
        return Needs()
    block: list[str] = []
    for line in lines[lines.index(_BEGIN) + 1 :]:
        if line == _END or not line.startswith("#"):
            break
        block.append(line[1:].removeprefix(" "))
    try:
        told = tomllib.loads("\n".join(block))
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(f"the scenario's {_BEGIN!r} block is no TOML: {exc}") from exc
    packages, python = told.get("dependencies", []), told.get("requires-python", "")
    if not isinstance(packages, list) or not all(isinstance(p, str) for p in packages):
        raise UsageError(f"dependencies in the scenario's {_BEGIN!r} block is no list of texts")
    return Needs(tuple(packages), str(python))
