"""Follows a page of the documentation as its reader does: makes its files, types its commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["follow"]

_BLOCK = re.compile(
    r"(?ms)^(?:`(?P<file>[\w./-]+)`:\n\n)?(?P<left><!-- not run: [^\n]* -->\n)?"
    r"```(?P<lang>\w*)\n(?P<text>.*?)^```$"
)


def follow(page: str, folder: Path, ports: Mapping[str, int] | None = None) -> int:
    """Do what the page says in this folder, and return how many commands were typed.

    A block after "`NAME`:" is written as that file. Lines that begin with "$ " in a console block
    are typed; what stands below them must be shown, "…" standing for anything and digits for any
    others. Ports that begin with 8 are free ones here, and others what `ports` says. Left out are
    a block after `<!-- not run: why -->`, and lines that install something.
    """
    text = (ROOT / "docs" / page).read_text()
    here = {port: free_port() for port in re.findall(r"\b8\d{3}\b", text)} | dict(ports or {})
    text = re.sub(r"\b\d{4}\b", lambda match: str(here.get(match[0], match[0])), text)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"PATH": path}
    typed = 0
    for block in _BLOCK.finditer(text):
        if block["left"]:
            continue
        if block["file"]:
            target = folder / block["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block["text"])
        elif block["lang"] == "console":
            for line, shown in _commands(block["text"]):
                done = subprocess.run(
                    ["bash", "-c", line], cwd=folder, env=env, text=True, timeout=120,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                )  # fmt: skip
                said = f"{page}: $ {line}\n{done.stdout}"
                assert done.returncode == 0, said
                assert all(any(_same(s, one) for one in done.stdout.splitlines()) for s in shown), (
                    f"{said}\nshown there: {shown}"
                )
                typed += 1
    return typed


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command, with the lines that are shown below it."""
    for part in re.split(r"(?m)^\$ ", text.replace("\\\n", " "))[1:]:
        line, *shown = part.rstrip("\n").splitlines()
        if not re.match(r"(sudo|pip|pipx|uvx) ", line):
            yield line, [one for one in shown if one.strip()]


def _same(shown: str, line: str) -> bool:
    pattern = re.escape(re.sub(r"\d+", "0", shown.strip())).replace("…", ".*")
    return re.fullmatch(pattern, re.sub(r"\d+", "0", line.strip())) is not None
