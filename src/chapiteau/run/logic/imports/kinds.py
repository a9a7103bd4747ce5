"""The formats that can be imported, and how one is told from another."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from chapiteau.run.logic.imports.circus import import_circus
from chapiteau.run.logic.imports.notes import Imported
from chapiteau.run.logic.imports.pm2 import import_pm2
from chapiteau.run.logic.imports.process_compose import import_process_compose
from chapiteau.run.logic.imports.procfile import import_procfile
from chapiteau.run.logic.imports.reading.source import Choices, Source
from chapiteau.run.logic.imports.supervisord import import_supervisord
from chapiteau.run.logic.imports.systemd import import_systemd

__all__ = ["KINDS", "detect"]

Importer = Callable[[Sequence[Source], Choices], Imported]

KINDS: Final[dict[str, Importer]] = {
    "circus": import_circus,
    "supervisord": import_supervisord,
    "procfile": import_procfile,
    "pm2": import_pm2,
    "process-compose": import_process_compose,
    "systemd": import_systemd,
}

# Names are what people choose, so what stands in the file is asked first.
_CONTENT: Final = (
    ("circus", re.compile(r"^\[(?:circus|(?:watcher|socket|plugin):[^\]]+)\]", re.MULTILINE)),
    (
        "supervisord",
        re.compile(
            r"^\s*\[(?:supervisord|(?:program|fcgi-program|eventlistener|group):[^\]]+)\]",
            re.MULTILINE,
        ),
    ),
    ("systemd", re.compile(r"^\s*\[(?:Service|Socket)\]\s*$", re.MULTILINE)),
    ("process-compose", re.compile(r"^processes\s*:", re.MULTILINE)),
    (
        "pm2",
        re.compile(r"""^\s*["']?apps["']?\s*:|module\.exports\s*=|["']apps["']""", re.MULTILINE),
    ),
)
_NAME: Final = (
    ("systemd", re.compile(r".*\.(?:service|socket)")),
    ("procfile", re.compile(r"(?:.*[._-])?procfile(?:[._-].*)?", re.IGNORECASE)),
    ("process-compose", re.compile(r"process-compose.*\.(?:ya?ml|json)")),
    ("pm2", re.compile(r"(?:ecosystem|pm2|process).*\.(?:json5?|[cm]?js|ya?ml)")),
    ("supervisord", re.compile(r"supervisor.*\.(?:conf|ini)")),
    ("circus", re.compile(r"circus.*\.(?:ini|conf)")),
)


def detect(name: str, text: str) -> str:
    """The kind of a file by its name and content; empty when nothing tells."""
    base = name.rpartition("/")[2]
    if _NAME[0][1].fullmatch(base) or _NAME[1][1].fullmatch(base):
        return "systemd" if _NAME[0][1].fullmatch(base) else "procfile"
    for kind, pattern in _CONTENT:
        if pattern.search(text):
            return kind
    return next((kind for kind, pattern in _NAME if pattern.fullmatch(base)), "")
