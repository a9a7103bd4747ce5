"""`chapiteau service serve`: one process that serves a WSGI application."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["serve", "serve_reloaded"]

_SIZES = "Sizes in bytes, or with a unit: 64MiB."


def _limit(name: str, default: Any, kind: Any, words: str) -> Callable[[F], F]:
    """An option that `chapiteau.toml` can set too, by the environment of the service."""
    variable = "CHAPITEAU_SERVE_" + name.strip("-").replace("-", "_").upper()
    return click.option(
        name, default=default, type=kind, help=words, envvar=variable,
        show_default=True, show_envvar=True,
    )  # fmt: skip


_SECONDS = click.FloatRange(0, min_open=True)


@click.command()
@click.argument("app", metavar="MODULE:FACTORY")
@click.option("--bind", multiple=True, metavar="HOST:PORT", help="Listen here (also unix:/path).")
@click.option("--port", type=click.IntRange(0, 65535), help="Short for --bind 127.0.0.1:PORT.")
@click.option("--dev", is_flag=True, help="Start again when code changes; show defects in full.")
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1), help="Threads.")
@click.option("--linger", default=1.0, show_default=True, type=click.FloatRange(0),
              help="After TERM, seconds for which idle connections may still ask.")  # fmt: skip
@click.option("--drain", default=60.0, show_default=True, type=click.FloatRange(0),
              help="After TERM, seconds for which running requests may go on.")  # fmt: skip
@click.option("--access-log", is_flag=True, help="Write one line of JSON per request to stdout.")
@_limit("--max-line", "8190", str, f"Longest request line. {_SIZES}")
@_limit("--max-head", "32KiB", str, "Longest request line with all headers.")
@_limit("--max-headers", 100, click.IntRange(1), "Most headers of a request.")
@_limit("--max-body", "64MiB", str, "Longest body; the application may allow less.")
@_limit("--max-connections", 1000, click.IntRange(1), "Most connections at the same time.")
@_limit("--keep-alive", 75.0, _SECONDS, "Seconds until an idle connection is closed.")
@_limit(
    "--read-timeout", 20.0, _SECONDS, "Seconds for a head, and for a body (and 1 more per 16 KiB)."
)
@_limit("--write-timeout", 30.0, _SECONDS, "Seconds in which a client must take an answer.")
def serve(app: str, bind: tuple[str, ...], port: int | None, **given: Any) -> None:
    """Serve a WSGI application with one process.

    Sockets come from LISTEN_FDS (a supervisor's or systemd's), else from --bind and --port,
    else 127.0.0.1:8000. On SIGTERM, stop accepting, finish running requests, exit 0.
    """
    from chapiteau.service.server.sockets import inherited_sockets, listen

    if port is not None:
        bind += (f"127.0.0.1:{port}",)
    listeners = inherited_sockets()
    if not listeners or bind:
        listeners += [listen(address) for address in bind or ("127.0.0.1:8000",)]
    if given["dev"]:
        _supervise(app, listeners, given)
    sys.exit(_run(app, listeners, given))


def _run(app: str, listeners: list[Any], given: dict[str, Any]) -> int:
    import logging

    from chapiteau.io.clock import SystemClock
    from chapiteau.io.sd_notify import Notifier
    from chapiteau.service.server.load_app import load_app
    from chapiteau.service.server.options import AccessLog, ConsoleLog
    from chapiteau.service.server.serve import serve as run

    if not logging.getLogger().handlers:
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
        )
    dev = given["dev"]
    notifier = Notifier()
    made = _developed(app) if dev else load_app(app)
    for listener in listeners:
        click.echo(f"serving {app} on {_address(listener.getsockname())}", err=True)
    log = AccessLog(sys.stdout) if given["access_log"] else ConsoleLog(sys.stderr) if dev else None
    return run(made, listeners, SystemClock(), _options(given, log), notifier)


def _options(given: dict[str, Any], log: Any) -> Any:
    """Raises UsageError for a size that can't be read."""
    from chapiteau.core.units import parse_size
    from chapiteau.service.server.http1 import Limits
    from chapiteau.service.server.options import ServeOptions

    limits = Limits(
        line=int(parse_size(given["max_line"])),
        head=int(parse_size(given["max_head"])),
        headers=given["max_headers"],
        body=int(parse_size(given["max_body"])),
    )
    return ServeOptions(
        threads=given["threads"],
        linger=0.0 if given["dev"] else given["linger"],
        drain_timeout=min(given["drain"], 5.0) if given["dev"] else given["drain"],
        max_connections=given["max_connections"],
        keep_alive=given["keep_alive"],
        read_timeout=given["read_timeout"],
        write_timeout=given["write_timeout"],
        access_log=log,
        limits=limits,
    )


# ── --dev ────────────────────────────────────────────────────────────────────────────────────
def _supervise(app: str, listeners: list[Any], given: dict[str, Any]) -> None:
    """Hold the sockets, and start the server again whenever its code changes."""
    import ipaddress

    from chapiteau.core.errors import UsageError
    from chapiteau.service.server.reloader import keep_serving

    for listener in listeners:
        name = listener.getsockname()
        if isinstance(name, tuple) and not ipaddress.ip_address(name[0]).is_loopback:
            raise UsageError(
                f"--dev shows code and values to whoever asks: not on {_address(name)}",
                hint="bind 127.0.0.1, or leave --dev out",
            )
    _options(given, None)  # a wrong one is told here, once
    handles = [listener.fileno() for listener in listeners]
    keep_serving(f"{__name__}.serve_reloaded", handles, {"app": app, "given": given})


def serve_reloaded(app: str, handles: list[int], given: dict[str, Any]) -> None:
    """Serve on inherited descriptors, as a child of the reloader."""
    import socket

    from chapiteau.service.server.reloader import watch_folder

    for handle in handles:
        os.set_inheritable(handle, False)
    watch_folder(Path.cwd())
    sys.exit(_run(app, [socket.socket(fileno=handle) for handle in handles], given))


def _developed(app: str) -> Any:
    """The application with pages for its defects; one that can't be built is such a defect."""
    from chapiteau.service.server import DebugApp
    from chapiteau.service.server.load_app import load_app
    from chapiteau.service.server.reloader import watch_folder

    try:
        return DebugApp(load_app(app))
    except Exception as exc:  # noqa: BLE001 — told on the page and here; the next change may mend it
        click.echo(f"{app} can't be built: {type(exc).__name__}: {exc}", err=True)
        return DebugApp(exc.__cause__ or exc)
    finally:
        watch_folder(Path.cwd())


def _address(name: object) -> str:
    if isinstance(name, tuple):
        host, port = name[0], name[1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return f"unix:{name!s}"
