"""A defect as a page for a browser, and as plain values for everything else."""

from collections.abc import Iterable
from html import escape
from typing import Any, Final

import msgspec

__all__ = ["DEFECTS_KEY", "Defect", "Frame", "defect_document", "defect_page"]

DEFECTS_KEY: Final = "chapiteau.defects"  # in environ: where error views leave what they caught
_SHOWN: Final = 300  # characters of a value


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the way to a defect: where, the lines around, and the names that were known."""

    file: str
    line: int
    function: str
    own: bool  # the application's own code, not a library's
    before: tuple[str, ...] = ()
    here: str = ""
    after: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()


class Defect(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that nobody has caught, its causes first."""

    kind: str
    message: str
    frames: tuple[Frame, ...]
    text: str  # as Python prints it


def defect_document(defect: Defect) -> dict[str, Any]:
    """A problem document (RFC 9457) with the way to the defect."""
    return {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "code": "internal-server-error",
        "detail": f"{defect.kind}: {defect.message}",
        "where": [f"{f.file}:{f.line} in {f.function}" for f in defect.frames],
    }


_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;
color:#1c1c1c;background:#fff}h1{font-size:1.3rem}code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f4f4f4;padding:.6rem;overflow:auto;margin:.3rem 0}.here{background:#ffe2a8}
details{margin:.4rem 0;border-left:3px solid #ccc;padding-left:.8rem}
details.own{border-color:#b3261e}
table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}pre{background:#242424}
.here{background:#5a4300}}
"""


def defect_page(defect: Defect, request: Iterable[tuple[str, str]]) -> str:
    """HTML that stands alone: no scripts, nothing from elsewhere, everything escaped."""
    title = f"{defect.kind}: {defect.message}"
    # The last step is where it happened: that is what one wants to see first.
    frames = "".join(_frame(frame) for frame in reversed(defect.frames))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td><code>{escape(value)}</code></td></tr>"
        for name, value in request
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<p>Last step first; steps in your own code are open.</p>{frames}"
        f"<h2>Request</h2><table>{rows}</table>"
        f"<details><summary>As text</summary><pre>{escape(defect.text)}</pre></details></html>"
    )


def _frame(frame: Frame) -> str:
    lines = "".join(
        (
            *(f"{escape(line)}\n" for line in frame.before),
            f'<span class="here">{escape(frame.here)}</span>\n',
            *(f"{escape(line)}\n" for line in frame.after),
        )
    )
    names = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td><code>{escape(_short(value))}</code></td></tr>"
        for name, value in frame.names
    )
    where = (
        f"<code>{escape(frame.file)}:{frame.line}</code> in <code>{escape(frame.function)}</code>"
    )
    marks = ' class="own" open' if frame.own else ""
    return (
        f"<details{marks}><summary>{where}</summary><pre>{lines}</pre>"
        f"<details><summary>Names</summary><table>{names}</table></details></details>"
    )


def _short(value: str) -> str:
    return value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
