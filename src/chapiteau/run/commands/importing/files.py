"""The files of an import: read, told apart, and looked for beside each other."""

import glob
from collections.abc import Sequence
from pathlib import Path

from chapiteau.core.errors import NotFoundError, RefusedError, UsageError
from chapiteau.plumbing.yamlfile import read_yaml
from chapiteau.run.logic.imports.kinds import KINDS, detect
from chapiteau.run.logic.imports.reading.source import Source, Tree

__all__ = ["beside", "read_sources"]

_YAML = (".yml", ".yaml")


def read_sources(files: Sequence[Path], kind: str | None) -> tuple[str, list[Source]]:
    """The files and their kind. Raises UsageError, NotFoundError or RefusedError."""
    texts = [(path, _read(path)) for path in files]
    kinds = {path: kind or detect(str(path), text) for path, text in texts}
    unknown = [str(path) for path, found in kinds.items() if not found]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: nothing tells what kind of file this is",
            hint=f"say it: --from {'|'.join(KINDS)}",
        )
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{path} ({found})" for path, found in kinds.items())
        raise UsageError(f"files of different kinds: {listed}", hint="import them one by one")
    found = next(iter(kinds.values()))
    return found, [_source(str(path), path, text, found) for path, text in texts]


def _source(name: str, path: Path, text: str, kind: str) -> Source:
    tree = None
    if kind == "process-compose" or (kind == "pm2" and path.suffix in _YAML):
        read = read_yaml(text, name)
        tree = Tree(data=read.data, lines=read.lines, repeated=read.repeated)
    return Source(name=name, folder=str(path.resolve().parent), text=text, tree=tree)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file", hint="check the name") from None
    except PermissionError:
        raise RefusedError(f"{path}: may not be read by this user") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: is a folder", hint="name the files in it") from None
    except (UnicodeDecodeError, ValueError) as exc:
        raise UsageError(f"{path}: is no text in UTF-8 ({exc})") from None
    except OSError as exc:
        raise UsageError(f"{path}: can't be read: {exc.strerror}") from None


def beside(source: Source, pattern: str) -> list[Source]:
    """Files that an imported file names, or that lie beside it; named as people would name them."""
    named = Path(source.name).parent
    found = []
    for path in sorted(_matches(source.folder, pattern)):
        place = Path(source.folder, path)
        if not place.is_file():
            continue
        kind = "process-compose" if place.suffix in _YAML else ""
        found.append(_source(str(named / path), place, _read(place), kind))
    return found


def _matches(folder: str, pattern: str) -> list[str]:
    # Not Path.glob: patterns in configuration files may be absolute, or go up with `..`.
    return glob.glob(pattern, root_dir=folder)  # noqa: PTH207
