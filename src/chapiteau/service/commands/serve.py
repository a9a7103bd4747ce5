"""`chapiteau service serve`: one process that serves a WSGI application."""

import sys

import click

__all__ = ["serve"]


@click.command()
@click.argument("app", metavar="MODULE:FACTORY")
@click.option("--bind", multiple=True, metavar="HOST:PORT", help="Listen here (also unix:/path).")
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1), help="Threads.")
@click.option(
    "--linger",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="After TERM, seconds for which idle connections may still ask.",
)
@click.option("--drain", default=60.0, show_default=True, type=click.FloatRange(0),
              help="After TERM, seconds for which running requests may go on.")  # fmt: skip
@click.option("--access-log", is_flag=True, help="Write one line of JSON per request to stdout.")
def serve(
    app: str, bind: tuple[str, ...], threads: int, linger: float, drain: float, access_log: bool
) -> None:
    """Serve a WSGI application with one process.

    Sockets come from LISTEN_FDS (a supervisor's or systemd's), else from --bind, else
    127.0.0.1:8000. TERM: accept no more, answer what was asked, end with 0.
    """
    import logging

    from chapiteau.plumbing.clock import SystemClock
    from chapiteau.service.engine.loading import load_app
    from chapiteau.service.engine.serving.accesslog import AccessLog
    from chapiteau.service.engine.serving.listeners import bind as listen
    from chapiteau.service.engine.serving.listeners import inherited
    from chapiteau.service.engine.serving.notify import Notifier
    from chapiteau.service.engine.serving.options import ServeOptions
    from chapiteau.service.engine.serving.serve import serve as run

    if not logging.getLogger().handlers:
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
        )
    notifier = Notifier()
    listeners = inherited()
    if bind or not listeners:
        listeners += [listen(address) for address in bind or ("127.0.0.1:8000",)]
    made = load_app(app)
    for listener in listeners:
        click.echo(f"serving {app} on {_address(listener.getsockname())}", err=True)
    options = ServeOptions(
        threads=threads,
        linger=linger,
        drain_timeout=drain,
        access_log=AccessLog(sys.stdout) if access_log else None,
    )
    sys.exit(run(made, listeners, SystemClock(), options, notifier))


def _address(name: object) -> str:
    if isinstance(name, tuple):
        host, port = name[0], name[1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return f"unix:{name!s}"
