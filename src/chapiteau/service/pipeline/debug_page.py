"""An error that nobody has caught, as a page for a browser and as a problem document for others."""

import json
import linecache
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from traceback import format_exception, walk_tb
from typing import Any, Final, NamedTuple

from chapiteau.service.protocol.headers import Environ

__all__ = ["UNHANDLED_KEY", "DebugApp", "error_document", "error_page"]

UNHANDLED_KEY: Final = "chapiteau.defects"  # in environ: where error views leave what they caught
_SHOWN: Final = 300  # characters of a value
_LOCALS: Final = 40  # of one frame
_AROUND: Final = 4  # lines of code before and after the one that counts
_SECRET: Final = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY")
_PATHS: Final = sysconfig.get_paths()
_PACKAGE: Final = __file__.partition("/service/pipeline/")[0]  # of chapiteau itself
_LIBRARIES: Final = (
    _PATHS["stdlib"], _PATHS["purelib"], _PATHS["platlib"], "<frozen ", _PACKAGE,
)  # fmt: skip
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
            return _reply(self._app, environ, start_response)
        caught: list[BaseException] = []
        environ[UNHANDLED_KEY] = caught
        held: list[Any] = []

        def start(*said: Any) -> Any:
            """Hold a 500 back until it is known whether a page of ours takes its place."""
            if said[0].startswith("500"):
                held[:] = [said]
                return lambda _data: None
            return start_response(*said)

        try:
            answer = self._app(environ, start)
        except Exception as exc:  # noqa: BLE001 — an error of whatever kind is what we are for
            return _reply(exc, environ, start_response)
        if caught and held:
            if hasattr(answer, "close"):
                answer.close()
            return _reply(caught[-1], environ, start_response)
        if held:
            start_response(*held[0])
        return answer  # type: ignore[no-any-return]


def _reply(exc: BaseException, environ: Environ, start: Callable[..., Any]) -> list[bytes]:
    if "text/html" in environ.get("HTTP_ACCEPT", ""):
        media, body = "text/html; charset=utf-8", error_page(exc, _request(environ)).encode()
    else:
        media, body = "application/problem+json", json.dumps(error_document(exc)).encode()
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


def error_document(exc: BaseException) -> dict[str, Any]:
    """A problem document (RFC 9457) with the way to the error."""
    return {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "code": "internal-server-error",
        "detail": _headline(exc),
        "where": [f"{f.file}:{f.line} in {f.function}" for f in _frames(exc)],
    }


def error_page(exc: BaseException, request: Iterable[tuple[str, str]]) -> str:
    """HTML that stands alone: no scripts, nothing from elsewhere, everything escaped."""
    title = escape(_headline(exc))
    # The last frame is where it happened: that is what one wants to see first.
    frames = "".join(_frame(frame) for frame in reversed([*_frames(exc)]))
    text = escape("".join(format_exception(exc)))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>"
        f"<p>Last frame first; frames of your own code are open.</p>{frames}"
        f"<h2>Request</h2><table>{_rows(request)}</table>"
        f"<details><summary>As text</summary><pre>{text}</pre></details></html>"
    )


def _headline(exc: BaseException) -> str:
    try:
        return f"{type(exc).__name__}: {exc}"
    except Exception:  # noqa: BLE001 — a broken __str__ must not hide the error
        return f"{type(exc).__name__} (its message can't be shown)"


class _Frame(NamedTuple):
    file: str
    line: int
    function: str
    code: str = ""
    names: Mapping[str, Any] = {}


def _frames(exc: BaseException, seen: tuple[BaseException, ...] = ()) -> Iterator[_Frame]:
    """The frames of an exception; those of the exceptions that led to it come first."""
    before = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    if before is not None and before not in seen:
        yield from _frames(before, (*seen, exc))
    for frame, line in walk_tb(exc.__traceback__):
        yield _Frame(frame.f_code.co_filename, line, frame.f_code.co_name, "", frame.f_locals)
    if isinstance(exc, SyntaxError) and exc.filename:
        yield _Frame(exc.filename, exc.lineno or 0, "", (exc.text or "").rstrip("\n"))


def _frame(frame: _Frame) -> str:
    number = frame.line
    linecache.checkcache(frame.file)
    lines = linecache.getlines(frame.file)
    before = "".join(lines[max(0, number - 1 - _AROUND) : max(0, number - 1)])
    here = lines[number - 1].rstrip("\n") if 0 < number <= len(lines) else frame.code
    after = "".join(lines[number : number + _AROUND])
    own = not frame.file.startswith(_LIBRARIES)
    names = sorted(frame.names.items())[: _LOCALS if own else 0]
    where = f"<code>{escape(frame.file)}:{number}</code> in <code>{escape(frame.function)}</code>"
    marks = ' class="own" open' if own else ""
    return (
        f"<details{marks}><summary>{where}</summary>"
        f'<pre>{escape(before)}<span class="here">{escape(here)}</span>\n{escape(after)}</pre>'
        f"<details><summary>Names</summary><table>{_rows((n, _shown(v)) for n, v in names)}</table>"
        "</details></details>"
    )


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 — a broken __repr__ must not hide the error
        return f"<{type(value).__name__} that can't be shown>"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f"<tr><td><code>{escape(name)}</code></td><td><code>{escape(value)}</code></td></tr>"
        for name, value in pairs
    )
