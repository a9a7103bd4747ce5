"""The files of an import: read, their kind detected, and those that lie near them."""

import glob
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from chapiteau.core.errors import NotFoundError, RefusedError, UsageError
from chapiteau.io.yaml_file import read_yaml
from chapiteau.migrate.circus.importer import import_circus
from chapiteau.migrate.pm2.importer import import_pm2
from chapiteau.migrate.process_compose.importer import import_process_compose
from chapiteau.migrate.procfile.importer import import_procfile
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.source import ImportOptions, Source, Tree
from chapiteau.migrate.supervisord.importer import import_supervisord
from chapiteau.migrate.systemd.importer import import_systemd

__all__ = ["KINDS", "detect", "nearby_files", "read_sources"]

KINDS: Final[dict[str, Callable[[Sequence[Source], ImportOptions], ImportResult]]] = {
    "circus": import_circus,
    "supervisord": import_supervisord,
    "procfile": import_procfile,
    "pm2": import_pm2,
    "process-compose": import_process_compose,
    "systemd": import_systemd,
}
_YAML: Final = (".yml", ".yaml")
# What is looked at first: these names are not chosen freely. Then comes the content.
_SURE_NAMES: Final = {
    "systemd": re.compile(r".*\.(?:service|socket)"),
    "procfile": re.compile(r"(?:.*[._-])?procfile(?:[._-].*)?", re.IGNORECASE),
}
_CONTENT: Final = {
    "circus": re.compile(r"^\[(?:circus|(?:watcher|socket|plugin):[^\]]+)\]", re.MULTILINE),
    "supervisord": re.compile(
        r"^\s*\[(?:supervisord|(?:program|fcgi-program|eventlistener|group):[^\]]+)\]", re.MULTILINE
    ),
    "systemd": re.compile(r"^\s*\[(?:Service|Socket)\]\s*$", re.MULTILINE),
    "process-compose": re.compile(r"^processes\s*:", re.MULTILINE),
    "pm2": re.compile(r"""^\s*["']?apps["']?\s*:|module\.exports\s*=|["']apps["']""", re.MULTILINE),
}
_NAMES: Final = {
    "process-compose": re.compile(r"process-compose.*\.(?:ya?ml|json)"),
    "pm2": re.compile(r"(?:ecosystem|pm2|process).*\.(?:json5?|[cm]?js|ya?ml)"),
    "supervisord": re.compile(r"supervisor.*\.(?:conf|ini)"),
    "circus": re.compile(r"circus.*\.(?:ini|conf)"),
}


def detect(name: str, text: str) -> str:
    """The kind of a file by its name and content; empty when nothing tells."""
    base = name.rpartition("/")[2]
    found = [kind for kind, pattern in _SURE_NAMES.items() if pattern.fullmatch(base)]
    found += [kind for kind, pattern in _CONTENT.items() if pattern.search(text)]
    found += [kind for kind, pattern in _NAMES.items() if pattern.fullmatch(base)]
    return found[0] if found else ""


def read_sources(files: Sequence[Path], kind: str | None) -> tuple[str, list[Source]]:
    """The files and their kind. Raises UsageError, NotFoundError or RefusedError."""
    texts = [(path, _read(path)) for path in files]
    kinds = {path: kind or detect(str(path), text) for path, text in texts}
    unknown = [str(path) for path, found in kinds.items() if not found]
    if unknown:
        what = f"{', '.join(unknown)}: the kind of file is not clear"
        raise UsageError(what, hint=f"set it: --from {'|'.join(KINDS)}")
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
        raise RefusedError(f"{path}: permission denied") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: is a folder", hint="name the files in it") from None
    except (UnicodeDecodeError, ValueError) as exc:
        raise UsageError(f"{path}: is not text in UTF-8 ({exc})") from None
    except OSError as exc:
        raise UsageError(f"{path}: can't be read: {exc.strerror}") from None


def nearby_files(source: Source, pattern: str) -> list[Source]:
    """Files that an imported file names, or that lie near it; named as people would name them."""
    named = Path(source.name).parent
    found = []
    # Not Path.glob: patterns in configuration files may be absolute, or go up with `..`.
    for path in sorted(glob.glob(pattern, root_dir=source.folder)):  # noqa: PTH207
        place = Path(source.folder, path)
        if place.is_file():
            kind = "process-compose" if place.suffix in _YAML else ""
            found.append(_source(str(named / path), place, _read(place), kind))
    return found
