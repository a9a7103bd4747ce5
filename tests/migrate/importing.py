"""What the tests of imports share: assets as sources, and golden files that can be renewed."""

from __future__ import annotations

import os
from pathlib import Path

from chapiteau.io.yaml_file import read_yaml
from chapiteau.migrate.files import KINDS
from chapiteau.migrate.report import ImportResult
from chapiteau.migrate.source import ImportOptions, Source, Tree

ASSETS = Path(__file__).parent / "assets"
RENEW = bool(os.environ.get("RENEW_GOLDEN"))  # then compare with git diff

CASES = {
    "circus": ("circus", ["circus/circus.ini"]),
    "supervisord": ("supervisord", ["supervisord/supervisord.conf"]),
    "procfile": ("procfile", ["procfile/Procfile"]),
    "procfile-foreman": ("procfile", ["procfile-foreman/Procfile"]),
    "pm2": ("pm2", ["pm2/ecosystem.config.js"]),
    "pm2-yaml": ("pm2", ["pm2/ecosystem.yaml"]),
    "process-compose": ("process-compose", ["process-compose/process-compose.yaml"]),
    "systemd": (
        "systemd",
        [
            "systemd/shop.service",
            "systemd/redis.service",
            "systemd/mailer.service",
            "systemd/tunnel@.service",
        ],
    ),
}


def source(kind: str, name: str, text: str, folder: str = "/srv/shop") -> Source:
    """A source as the command makes it."""
    tree = None
    if kind == "process-compose" or name.endswith((".yaml", ".yml")):
        read = read_yaml(text, name)
        tree = Tree(data=read.data, lines=read.lines, repeated=read.repeated)
    return Source(name=name, folder=folder, text=text, tree=tree)


def asset(kind: str, path: str) -> Source:
    return source(kind, path, (ASSETS / path).read_text())


def nearby(kind: str, near: Source, pattern: str) -> list[Source]:
    folder = Path(near.name).parent
    found = sorted((ASSETS / folder).glob(pattern))
    return [asset(kind, str(path.relative_to(ASSETS))) for path in found]


def choices(kind: str, **more: object) -> ImportOptions:
    return ImportOptions(
        nearby=lambda near, pattern: nearby(kind, near, pattern),
        cpus=4,
        **more,  # type: ignore[arg-type]
    )


def imported(case: str, **more: object) -> ImportResult:
    kind, paths = CASES[case]
    return KINDS[kind]([asset(kind, path) for path in paths], choices(kind, **more))


def convert(kind: str, text: str, name: str = "file", **more: object) -> ImportResult:
    """One text, with nothing beside it."""
    return KINDS[kind]([source(kind, name, text)], ImportOptions(cpus=4, **more))  # type: ignore[arg-type]


def account(made: ImportResult) -> str:
    """The report as lines, for a golden file."""
    rows = []
    for fate in ("kept", "changed", "lost"):
        for note in made.of(fate):
            hint = f" → {note.hint}" if note.hint else ""
            rows.append(f"{fate:8}{note.where} {note.setting}: {note.what}{hint}")
    return "\n".join(rows) + "\n"
