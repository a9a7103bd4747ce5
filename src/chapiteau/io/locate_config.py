"""Where the project's file is."""

from pathlib import Path
from typing import Final

from chapiteau.core.errors import NotFoundError

__all__ = ["FILE_NAME", "find_config", "may_define"]

FILE_NAME: Final = "chapiteau.toml"


def may_define(path: Path, *words: str) -> bool:
    """Whether a file could give any of these keys, by itself or by files that it includes.

    A look at its bytes: reading a big file as TOML costs more than whatever one asks it for.
    """
    try:
        text = path.read_bytes()
    except OSError:
        return True
    return b"\\" in text or any(word.encode() in text for word in ("include", *words))


def find_config(given: str | Path | None = None, start: Path | None = None) -> Path:
    """The file given (or the one in that folder), else chapiteau.toml here or in a folder above.

    Raises NotFoundError.
    """
    if given:
        path = Path(given)
        path = path / FILE_NAME if path.is_dir() else path
        if not path.exists():
            raise NotFoundError(
                f"{path}: no such file", hint="run `chapiteau new NAME` for a start"
            )
        return path.absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise NotFoundError(
        f"no {FILE_NAME} in {here} or above it",
        hint="change into the project's folder, pass --config FILE, or run `chapiteau new NAME`",
    )
