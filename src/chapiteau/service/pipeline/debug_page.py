"""A defect as a page for a browser, and as plain values for everything else."""

import json
import linecache
import sysconfig
import traceback
from collections.abc import Callable, Iterable
from html import escape
from types import TracebackType
from typing import Any, Final

import msgspec

from chapiteau.service.protocol.headers import Environ

__all__ = [
    "UNHANDLED_KEY",
    "DebugApp",
    "ErrorReport",
    "ReportFrame",
    "error_document",
    "error_page",
    "error_report",
]

UNHANDLED_KEY: Final = "chapiteau.defects"  # in environ: where error views leave what they caught
_SHOWN: Final = 300  # characters of a value


class ReportFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the way to a defect: where, the lines around, and the names that were known."""

    file: str
    line: int
    function: str
    own: bool  # the application's own code, not a library's
    before: tuple[str, ...] = ()
    here: str = ""
    after: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that nobody has caught, its causes first."""

    kind: str
    message: str
    frames: tuple[ReportFrame, ...]
    text: str  # as Python prints it


def error_document(defect: ErrorReport) -> dict[str, Any]:
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


def error_page(defect: ErrorReport, request: Iterable[tuple[str, str]]) -> str:
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


def _frame(frame: ReportFrame) -> str:
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


# Around an application while it is being written: a defect becomes a page that tells about it.

_AROUND: Final = 4  # lines of code before and after the one that counts
_SECRET: Final = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY")
_PATHS: Final = sysconfig.get_paths()
_LIBRARIES: Final = (_PATHS["stdlib"], _PATHS["purelib"], _PATHS["platlib"], "<frozen ")


class DebugApp:
    """A WSGI application that calls another one, or tells why there is none."""

    def __init__(self, app: Callable[..., Any] | BaseException) -> None:
        self._app = app
        registry = getattr(app, "registry", None)
        if registry is not None and "chapiteau.service" in registry:
            # What a handler answers is held against the type that it declares, as in tests.
            registry["chapiteau.service"].check_answers()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if isinstance(self._app, BaseException):
            return _tell(self._app, environ, start_response)
        found: list[BaseException] = []
        environ[UNHANDLED_KEY] = found
        started: list[Any] = []
        try:
            answer = self._app(environ, lambda *said: _note(started, start_response, *said))
        except Exception as exc:  # noqa: BLE001 — a defect of whatever kind is what we are for
            return _tell(exc, environ, start_response)
        if found and started and str(started[0][0]).startswith("500"):
            if hasattr(answer, "close"):
                answer.close()
            return _tell(found[-1], environ, start_response)
        if started:
            start_response(*started[0])
        return answer  # type: ignore[no-any-return]


def _note(started: list[Any], start: Callable[..., Any], *said: Any) -> Any:
    """Keep the head back until it is known whether it will be a page of ours instead."""
    if said[0].startswith("500"):
        started.append(said)
        return lambda _data: None
    return start(*said)


def _tell(exc: BaseException, environ: Environ, start: Callable[..., Any]) -> list[bytes]:
    defect = error_report(exc)
    if "text/html" in environ.get("HTTP_ACCEPT", ""):
        media, body = "text/html; charset=utf-8", error_page(defect, _request(environ)).encode()
    else:
        media = "application/problem+json"
        body = json.dumps(error_document(defect)).encode()
    headers = [("Content-Type", media), ("Content-Length", str(len(body)))]
    start("500 Internal Server Error", [*headers, ("Cache-Control", "no-store")])
    return [body] if environ["REQUEST_METHOD"] != "HEAD" else []


def _request(environ: Environ) -> list[tuple[str, str]]:
    shown = [(n, str(environ.get(n, ""))) for n in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING")]
    shown += [
        (name, "(not shown)" if name in _SECRET else str(value))
        for name, value in sorted(environ.items())
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    ]
    return shown


def error_report(exc: BaseException) -> ErrorReport:
    """What there is to tell about an exception; those that led to it come first."""
    chain: list[BaseException] = []
    one: BaseException | None = exc
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    frames = [frame for each in reversed(chain) for frame in _frames(each.__traceback__)]
    if isinstance(exc, SyntaxError) and exc.filename:
        here = (exc.text or "").rstrip("\n")
        frames.append(
            ReportFrame(file=exc.filename, line=exc.lineno or 0, function="", own=True, here=here)
        )
    return ErrorReport(
        kind=type(exc).__name__,
        message=_safely(str, exc),
        frames=tuple(frames),
        text="".join(traceback.format_exception(exc)),
    )


def _frames(trace: TracebackType | None) -> Iterable[ReportFrame]:
    while trace is not None:
        code, line = trace.tb_frame.f_code, trace.tb_lineno
        linecache.checkcache(code.co_filename)
        all_lines = linecache.getlines(code.co_filename, trace.tb_frame.f_globals)
        lines = [text.rstrip("\n") for text in all_lines]
        names = tuple((n, _safely(repr, v)) for n, v in sorted(trace.tb_frame.f_locals.items()))
        own = not code.co_filename.startswith(_LIBRARIES) and "chapiteau" not in str(
            trace.tb_frame.f_globals.get("__package__") or ""
        ).split(".")
        yield ReportFrame(
            file=code.co_filename,
            line=line,
            function=code.co_name,
            own=own,
            before=tuple(lines[max(0, line - 1 - _AROUND) : line - 1]),
            here=lines[line - 1] if 0 < line <= len(lines) else "",
            after=tuple(lines[line : line + _AROUND]),
            names=names[:40] if own else (),
        )
        trace = trace.tb_next


def _safely(show: Callable[[Any], str], value: Any) -> str:
    try:
        return show(value)
    except Exception:  # noqa: BLE001 — a broken __repr__ must not hide the defect
        return f"<{type(value).__name__} that can't be shown>"
