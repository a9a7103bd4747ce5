"""Which services and kinds of events the globs of a setting mean."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from chapiteau.core.fields import Duration, Size, setting
from chapiteau.io.notifier import SmtpServer
from chapiteau.io.secret_file import SecretRef

__all__ = [
    "BUILTIN_PLUGINS",
    "AlertOptions",
    "AlertTarget",
    "BuiltinPlugin",
    "CircusOptions",
    "HeartbeatOptions",
    "NoOptions",
    "OtlpOptions",
    "ResourceOptions",
    "Silence",
    "SmtpServer",
    "StatsdOptions",
    "UrlObserverOptions",
    "matches_any",
]


def matches_any(name: str, globs: Iterable[str]) -> bool:
    """Whether the name is one of these, or fits one of these globs."""
    return any(fnmatchcase(name, glob) for glob in globs)


# The settings of the shipped plugins: each declared once, for parser, check and reference.


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions:
    """A plugin that takes no options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceOptions:
    """Acts when processes stay above (or below) a bound of CPU or memory for a whole window."""

    services: tuple[str, ...] = setting(("*",), help="Names or globs of the services it watches.")
    max_cpu: float = setting(0.0, help="Percent of one core, of one process; 0 is no bound.", low=0)
    min_cpu: float = setting(0.0, help="Below this it hangs idle; 0 is no bound.", low=0)
    max_memory: Size = setting(0, help="Memory of one process (RSS); 0 is no bound.")
    min_memory: Size = setting(0, help="Below this it is no real process; 0 is no bound.")
    window: Duration = setting("60s", help="It must stay beyond the bound for this long.")
    action: Literal["alert", "reload", "restart"] = setting(
        "alert", help="Say it (event plugin.message), or reload or restart the service too."
    )
    pause: Duration = setting("5m", help="No second action on the same service within this.")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlObserverOptions:
    """Asks a URL again and again; acts when it does not answer as it should."""

    url: str = setting(help="What to GET: http://… or https://…")
    interval: Duration = setting("10s", help="Time between two questions.")
    timeout: Duration = setting("5s", help="An answer that takes longer is none.")
    status: tuple[int, ...] = setting((), help="Statuses that pass. Default: 200 to 399.")
    contains: str = setting("", help="The answer's first 64 KiB must contain this text.")
    failures: int = setting(3, help="So many in a row before it acts.", low=1)
    service: str = setting("", help="The service that `action` is about.")
    action: Literal["alert", "reload", "restart"] = setting(
        "alert", help="Say it (event plugin.message), or reload or restart `service` too."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsdOptions:
    """Sends figures and counts of events to a statsd server, by UDP."""

    host: str = setting("127.0.0.1", help="Where the statsd server listens.")
    port: int = setting(8125, help="Its port.", low=1, high=65535)
    prefix: str = setting("", help="First part of every name. Default: chapiteau.PROJECT.")
    interval: Duration = setting("10s", help="Time between two rounds of gauges.")
    services: tuple[str, ...] = setting(("*",), help="Names or globs of the services it tells of.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpOptions:
    """Sends the output of services to a collector of OpenTelemetry, by OTLP/HTTP (JSON)."""

    url: str = setting(
        "http://127.0.0.1:4318/v1/logs", help="Where the collector takes logs: http:// or https://"
    )
    headers: dict[str, str | SecretRef] = setting(
        factory=dict, help="More request headers; a value may be a secret."
    )
    services: tuple[str, ...] = setting(("*",), help="Names or globs of the services it sends.")
    level: str = setting("", help="Only lines of this level or graver, where one can be seen.")
    attributes: dict[str, str] = setting(
        factory=dict,
        help="More attributes of every resource.",
        example='options.attributes = { "deployment.environment.name" = "production" }',
    )
    timeout: Duration = setting("10s", help="One request may take this long.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatOptions:
    """Listens for heartbeats by UDP, and replaces the one process that has gone silent.

    The message of Circus's watchdog is understood: `PID;TIMESTAMP`.
    """

    services: tuple[str, ...] = setting(("*",), help="Names or globs of the services it watches.")
    host: str = setting("127.0.0.1", help="Address to listen on.")
    port: int = setting(1664, help="UDP port to listen on.", low=1, high=65535)
    interval: Duration = setting("60s", help="A process must speak once in this time.")
    missed: int = setting(3, help="So many silent intervals in a row end it.", low=1)
    message: str = setting(
        r"^(?P<pid>\d+);(?P<timestamp>.*)$", help="Regular expression with a group `pid`."
    )
    signal: str = setting("", help="Ends it. Default: the service's stop signal.")
    grace: Duration = setting("10s", help="Then it is killed.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTarget:
    """Who hears of trouble: a web address or mail addresses, and of which trouble."""

    url: str = setting("", help="POST the notice here as JSON (chat webhooks take it too).")
    headers: dict[str, str | SecretRef] = setting(
        factory=dict, help="More request headers; a value may be a secret."
    )
    mail: tuple[str, ...] = setting((), help="Send it to these addresses; needs `smtp`.")
    kinds: tuple[str, ...] = setting(
        (
            "service.failed",
            "service.reload_failed",
            "process.unhealthy",
            "supervisor.brain_died",
            "supervisor.safe_mode",
            "hook.failed",
            "plugin.message",
        ),
        help="Kinds of events, or globs.",
    )
    services: tuple[str, ...] = setting(("*",), help="Names or globs of services.")
    resolved: bool = setting(True, help="Tell when the trouble is over, too.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Trouble that nobody shall hear of."""

    services: tuple[str, ...] = setting(("*",), help="Names or globs of services.")
    kinds: tuple[str, ...] = setting(("*",), help="Kinds of events, or globs.")
    until: str = setting("", help='Only until this moment: "2026-12-01T06:00". Default: always.')


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOptions:
    """Tells people and programs of trouble, once, and when it is over."""

    to: dict[str, AlertTarget] = setting(factory=dict, help="Who hears of it, by a name of yours.")
    silence: tuple[Silence, ...] = setting((), help="Trouble that nobody hears of.")
    repeat: Duration = setting("1h", help="The same trouble is told again only after this.")
    timeout: Duration = setting("10s", help="One delivery may take this long.")
    give_up: Duration = setting("1h", help="A notice that can't be delivered for so long is lost.")
    smtp: SmtpServer = setting(factory=SmtpServer, help="The mail server.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CircusOptions:
    """Speaks Circus's ZMQ protocol, for circusctl, circus-top and plugins written for Circus."""

    endpoint: str = setting("", help="Commands. Default: ipc:// in a private folder of run_dir.")
    pubsub_endpoint: str = setting("", help="Events. Default: beside it.")
    stats_endpoint: str = setting("", help="Figures. Default: beside it.")
    allow_tcp: bool = setting(
        False, help="Let endpoints be tcp:// on loopback: every user of this machine may command."
    )
    added: str = setting(
        "",
        help="File for what `circusctl add` adds; chapiteau.toml must include it. Default: none.",
        example='options.added = "circus-added.toml"',
    )
    check_delay: float = setting(5.0, help="What plugins written for Circus are told.", low=0)


@dataclass(frozen=True, slots=True)
class BuiltinPlugin:
    """A plugin that comes with Chapiteau."""

    target: str  # module:Class
    settings: type[Any]


_HERE: Final = "chapiteau.run.plugins"
_CIRCUS: Final = "chapiteau.migrate.circus"

BUILTIN_PLUGINS: Final[dict[str, BuiltinPlugin]] = {
    "resources": BuiltinPlugin(f"{_CIRCUS}.monitors:ResourceWatcher", ResourceOptions),
    "http": BuiltinPlugin(f"{_CIRCUS}.monitors:UrlObserver", UrlObserverOptions),
    "statsd": BuiltinPlugin(f"{_HERE}.statsd:StatsdEmitter", StatsdOptions),
    "otlp": BuiltinPlugin(f"{_HERE}.otlp:LogExporter", OtlpOptions),
    "watchdog": BuiltinPlugin(f"{_CIRCUS}.monitors:HeartbeatWatchdog", HeartbeatOptions),
    "alerts": BuiltinPlugin(f"{_HERE}.alerts:AlertsPlugin", AlertOptions),
    "circus": BuiltinPlugin(f"{_CIRCUS}.bridge:CircusBridge", CircusOptions),
}
