"""Around an application while it is being written: a defect becomes a page that tells about it."""

import json
import linecache
import sysconfig
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final

from chapiteau.service.logic.develop.page import (
    DEFECTS_KEY,
    Defect,
    Frame,
    defect_document,
    defect_page,
)

__all__ = ["DevelopApp", "defect_of"]

Environ = dict[str, Any]
_AROUND: Final = 4  # lines of code before and after the one that counts
_SECRET: Final = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY")
_PATHS: Final = sysconfig.get_paths()
_LIBRARIES: Final = (_PATHS["stdlib"], _PATHS["purelib"], _PATHS["platlib"], "<frozen ")


class DevelopApp:
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
        environ[DEFECTS_KEY] = found
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
    defect = defect_of(exc)
    if "text/html" in environ.get("HTTP_ACCEPT", ""):
        media, body = "text/html; charset=utf-8", defect_page(defect, _request(environ)).encode()
    else:
        media = "application/problem+json"
        body = json.dumps(defect_document(defect)).encode()
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


def defect_of(exc: BaseException) -> Defect:
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
            Frame(file=exc.filename, line=exc.lineno or 0, function="", own=True, here=here)
        )
    return Defect(
        kind=type(exc).__name__,
        message=_safely(str, exc),
        frames=tuple(frames),
        text="".join(traceback.format_exception(exc)),
    )


def _frames(trace: TracebackType | None) -> Iterable[Frame]:
    while trace is not None:
        code, line = trace.tb_frame.f_code, trace.tb_lineno
        linecache.checkcache(code.co_filename)
        all_lines = linecache.getlines(code.co_filename, trace.tb_frame.f_globals)
        lines = [text.rstrip("\n") for text in all_lines]
        names = tuple((n, _safely(repr, v)) for n, v in sorted(trace.tb_frame.f_locals.items()))
        own = not code.co_filename.startswith(_LIBRARIES) and "chapiteau" not in str(
            trace.tb_frame.f_globals.get("__package__") or ""
        ).split(".")
        yield Frame(
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
