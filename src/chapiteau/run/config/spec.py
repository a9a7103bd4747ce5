"""What people write in chapiteau.toml about sockets, services and logs.

Each setting is declared once, here: parser, reference page and JSON Schema are made from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from chapiteau.core.fields import ByteRate, Duration, Size, setting
from chapiteau.io.secret_file import SecretRef

__all__ = [
    "MAX_PROCESSES",
    "Check",
    "Hook",
    "Limits",
    "Logs",
    "Plugin",
    "Project",
    "Restart",
    "Scaling",
    "SecretRef",
    "Service",
    "Socket",
    "Spec",
    "Watch",
]

MAX_PROCESSES: Final = 10_000  # of one service: a zero too many must not take the machine down


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """[project] — what all of it is called and where it keeps its state."""

    name: str = setting("", help="Name shown everywhere. Default: the folder's name.")
    run_dir: str = setting(
        ".chapiteau", help="State, sockets and logs live here; relative to the file."
    )
    stop_deadline: Duration = setting(
        "60s", help="A shutdown kills whatever is still alive after this time."
    )
    admins: tuple[str, ...] = setting(
        (), help="Who may do everything besides root and the supervisor's own user."
    )
    operators: tuple[str, ...] = setting(
        (),
        help="Who may start, stop and reload: user:NAME, uid:N, group:NAME or gid:N.",
        example='operators = ["group:www"]',
    )
    viewers: tuple[str, ...] = setting((), help="Who may look: state, events and output.")
    labels: dict[str, str] = setting(
        factory=dict,
        help="Your own facts about this server; the page groups servers by them.",
        example='labels = { role = "web", site = "lisbon" }',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """[socket.NAME] — a listening socket that the keeper holds and services share."""

    host: str = setting("127.0.0.1", help="Address to bind. A colon makes it IPv6.")
    port: int = setting(0, help="Port to bind; 0 takes a free one.", low=0, high=65535)
    path: str = setting("", help="Bind this Unix socket instead; relative to the file.")
    type: Literal["stream", "datagram"] = setting("stream", help="TCP-like or UDP-like.")
    backlog: int = setting(2048, help="Connections that may wait to be accepted.", low=1)
    mode: str = setting("", help='Rights of a Unix socket, octal: "0660".')
    owner: str = setting("", help="Owner of a Unix socket, user or user:group.")
    reuse_port: bool = setting(False, help="Bind one socket per process (SO_REUSEPORT).")
    nodelay: bool = setting(True, help="TCP_NODELAY on the listener; accepted sockets inherit it.")
    blocking: bool = setting(
        True, help="Handed over in blocking mode, as systemd does; false sets O_NONBLOCK."
    )
    interface: str = setting("", help="Bind to this network interface (SO_BINDTODEVICE).")


_COMMON: Final = frozenset({"interval", "timeout", "failures", "start_timeout"})  # to all checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A probe: `ready` decides when a process counts as up, `live` when it must be replaced."""

    notify: bool = setting(False, help="The process says READY=1 itself (sd_notify).")
    http: str = setting("", help="GET this URL; 200–399 passes. `socket:NAME/path` works too.")
    tcp: str = setting("", help="Connecting to host:port passes.")
    exec: str = setting("", help="This command passes when it ends with 0.")
    log: str = setting("", help="A line of output that matches this regular expression passes.")
    accept: str = setting(
        "",
        help="(ready) Having accepted a connection to this socket, one of its `sockets`, passes; "
        "the supervisor makes one.",
    )
    alive: Duration = setting(0.0, help="Being alive for this long passes.")
    interval: Duration = setting("1s", help="Time between two probes.")
    timeout: Duration = setting("2s", help="A probe that takes longer has failed.")
    failures: int = setting(3, help="Consecutive failures before the check fails.", low=1)
    start_timeout: Duration = setting(
        "30s", help="(ready) A process that is not ready by then is replaced."
    )

    @property
    def kinds(self) -> list[str]:
        """Which kinds of check are given: all settings but those about time and count."""
        return [f.name for f in fields(self) if f.name not in _COMMON and getattr(self, f.name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """[service.NAME.restart] — what happens when a process ends by itself."""

    policy: Literal["always", "on-failure", "never"] = setting(
        "always", help="Start again always, only after a failure, or never."
    )
    success_codes: tuple[int, ...] = setting((0,), help="Exit codes that count as success.")
    stop_codes: tuple[int, ...] = setting((), help="After these exit codes never start again.")
    delay: Duration = setting("100ms", help="Wait before the second restart in a row.")
    factor: float = setting(2.0, help="Each next wait is this many times longer.", low=1)
    max_delay: Duration = setting("60s", help="No wait is longer than this.")
    min_delay: Duration = setting(
        "0s", help="No wait is shorter than this; the first restart waits as well."
    )
    jitter: float = setting(0.2, help="Spread each wait by this share.", low=0, high=1)
    attempts: int = setting(10, help="Give up after this many restarts within `window`.", low=1)
    window: Duration = setting("2m", help="The time in which `attempts` are counted.")
    count: Literal["all", "unhealthy"] = setting(
        "all",
        help="What is counted: every restart, or only those in a row after lives shorter than "
        "`healthy_after`.",
    )
    after_give_up: Literal["stay-down", "retry"] = setting(
        "retry", help="Then stay down, or try again every `max_delay`."
    )
    healthy_after: Duration = setting(
        "10s", help="A process alive for this long clears the count of restarts in a row."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """[service.NAME.limits] — what one process of the service may use."""

    open_files: int = setting(0, help="RLIMIT_NOFILE; 0 keeps the supervisor's.", low=0)
    processes: int = setting(0, help="RLIMIT_NPROC; 0 keeps the supervisor's.", low=0)
    core: Size | None = setting(None, help="RLIMIT_CORE: largest core dump.")
    stack: Size = setting(0, help="RLIMIT_STACK; 0 keeps the supervisor's.")
    file_size: Size = setting(0, help="RLIMIT_FSIZE; 0 keeps the supervisor's.")
    address_space: Size = setting(0, help="RLIMIT_AS; 0 keeps the supervisor's.")
    rlimits: dict[str, int | str] = setting(
        factory=dict,
        help="Any limit of setrlimit(2) by its name: a number, `unlimited`, or soft:hard.",
        example='rlimits = { memlock = "unlimited", cpu = 600 }',
    )
    memory: Size = setting(0, help="cgroup memory limit of the service; 0 is none.")
    memory_soft: Size = setting(0, help="A process above this is replaced gently; 0 is never.")
    cpu: float = setting(0.0, help="cgroup CPU limit of the service in cores; 0 is none.", low=0)
    pids: int = setting(0, help="cgroup limit of processes and threads; 0 is none.", low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """[service.NAME.watch] — reload when files change (development)."""

    paths: tuple[str, ...] = setting((), help="Folders and files to watch, relative to `cwd`.")
    include: tuple[str, ...] = setting(("*.py", "*.toml", "*.html"), help="File patterns.")
    exclude: tuple[str, ...] = setting(
        (".*", "__pycache__", "node_modules"), help="Names that are skipped."
    )
    debounce: Duration = setting("300ms", help="Wait until nothing changed for this long.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """[service.NAME.scaling] — change the number of processes with the load."""

    min: int = setting(1, help="Never fewer processes.", low=1)
    max: int = setting(4, help="Never more processes.", low=1, high=MAX_PROCESSES)
    metric: Literal["cpu", "queue"] = setting(
        "cpu", help="CPU per process in %, or connections waiting in the held socket."
    )
    high: float = setting(75.0, help="Above this for `hold`: one process more.")
    low: float = setting(20.0, help="Below this for `hold`: one process fewer.")
    hold: Duration = setting("15s", help="How long before anything changes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """[log] for all, [service.NAME.log] for one service: where output goes."""

    mode: Literal["raw", "line"] = setting(
        "raw", help="Bytes as they come, or lines with time, service and process."
    )
    format: Literal["text", "json"] = setting("text", help="(line mode) Text or JSON lines.")
    file: str = setting(
        "",
        help="(line mode) Its path, from RUN_DIR/log on. Default: SERVICE.log. `none` (both modes) "
        "keeps no file.",
    )
    max_size: Size = setting("50MiB", help="Rotate when a file has grown to this.")
    max_age: Duration = setting(0.0, help="Rotate when a file is this old; 0 is never.")
    keep: int = setting(5, help="Rotated files to keep.", low=0)
    max_total: Size = setting(
        0,
        help="A file and its rotated ones stay below this together: it is rotated at half of it "
        "at the latest, and the oldest are deleted. 0 is no cap.",
    )
    compress: Literal["none", "gzip", "zstd"] = setting(
        "none", help="Compress rotated files; zstd needs chapiteau[compress]."
    )
    rate: ByteRate = setting(
        0, help="Bytes per second and process that are kept; more are dropped and counted. 0: all."
    )
    multiline: str = setting(
        "", help="(line mode) A line that does not match this continues the one before."
    )
    syslog: str = setting(
        "", help="(line mode) Also send lines here: unix path or host:port (UDP)."
    )
    journald: bool = setting(False, help="(line mode) Also send lines to journald's socket.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A command that runs at one point of a service's life, as the service's user."""

    run: str | tuple[str, ...] = setting(help="The command; it passes when it ends with 0.")
    timeout: Duration = setting("10s", help="Then it is killed with all that it started: failed.")
    on_failure: Literal["", "abort", "ignore"] = setting(
        "", help="Default: abort where that can be (docs/reference/hooks.md), else ignore."
    )
    interval: Duration = setting("10s", help="(extended_stats) Time between two runs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """[service.NAME] — a program, or our own web worker, in one or more processes."""

    command: str | tuple[str, ...] = setting(
        "",
        help="What to run: a string is split as a shell would, a list is taken as it is.",
        example='command = "gunicorn --bind fd://${socket.web.fd} shop:app"',
    )
    app: str = setting(
        "", help="`module:factory` of a WSGI application, served by Chapiteau's own worker."
    )
    threads: int = setting(4, help="(app) Threads per process.", low=1)
    shell: bool = setting(False, help="Give the command to /bin/sh -c.")
    processes: int = setting(1, help="How many copies to keep.", low=0, high=MAX_PROCESSES)
    sockets: tuple[str, ...] = setting(
        (),
        help="Sockets handed over, as systemd does (LISTEN_FDS), or by number where the command "
        "names `${socket.NAME.fd}`.",
    )
    stdin: Literal["null", "pipe", "tty"] = setting(
        "null",
        help="Standard input: nothing; a pipe that `run attach` writes to; or a terminal of its "
        "own for all three streams.",
    )
    stdin_socket: str = setting("", help="Socket handed over as standard input.")
    fd_store: int = setting(
        0,
        help="Descriptors per process that it may leave with the keeper (sd_notify FDSTORE=1) and "
        "gets back at its next start.",
        low=0,
    )
    cwd: str = setting("", help="Working directory. Default: the file's folder.")
    env: dict[str, str | SecretRef] = setting(
        factory=dict, help="Environment variables; a value may be a secret."
    )
    env_files: tuple[str, ...] = setting(
        (),
        help="Files of NAME=value lines, read at each start. One that may be missing: "
        '`"-local.env"`.',
    )
    clean_env: bool = setting(False, help="Do not inherit the supervisor's environment.")
    virtualenv: str = setting(
        "", help="Put this virtualenv first in PATH; relative to the file's folder."
    )
    user: str = setting("", help="Run as this user (name or number), with all its groups.")
    group: str = setting("", help="Run with this group instead of the user's own.")
    umask: str = setting("", help='Octal: "027".')
    nice: int = setting(0, help="Niceness.", low=-20, high=19)
    oom_score: int = setting(0, help="OOM score adjustment.", low=-1000, high=1000)
    no_new_privs: bool = setting(True, help="set-uid programs gain nothing.")
    capabilities: tuple[str, ...] | None = setting(
        None, help="Keep only these capabilities (needs root). Default: as the supervisor."
    )
    stop_signal: str = setting("TERM", help="Asks a process to end.")
    stop_group: bool = setting(
        False,
        help="The stop signal goes to its whole process group, not to the first process alone. "
        "With `shell` it always does.",
    )
    stop_timeout: Duration = setting("10s", help="Then everything of it is killed.")
    reload_signal: str = setting(
        "", help="Reload by sending this signal instead of replacing processes."
    )
    needs: tuple[str, ...] = setting(
        (),
        help="Start only when these services are ready (one-shots: ended with 0).",
    )
    after: tuple[str, ...] = setting((), help="Start after these, if they start at all.")
    one_shot: bool = setting(False, help="Runs once and must end with 0.")
    before_reload: bool = setting(
        False,
        help="(one_shot) Runs again before a service that needs it is reloaded, like a migration of"
        " a database; if it fails the old processes go on serving.",
    )
    autostart: bool = setting(True, help="Start with the supervisor.")
    on_demand: bool = setting(False, help="Start at the first connection to its socket.")
    idle_stop: Duration = setting(
        0.0, help="(on_demand) Stop after this time without a connection."
    )
    essential: bool = setting(
        False,
        help="When it has ended for good, everything stops, with its exit code (128 + a signal).",
    )
    schedule: str = setting("", help="Cron line (five fields) or @every 10m: run it then.")
    overlap: Literal["skip", "queue", "kill"] = setting(
        "skip", help="(schedule) When the last run is still going."
    )
    batch: int = setting(1, help="(reload) Processes replaced at a time.", low=1)
    canary: Duration = setting(
        "0s", help="(reload) Watch the first new process for this long before the others follow."
    )
    drain: Duration = setting("0s", help="(reload) Pause between ready and TERM of the old one.")
    max_age: Duration = setting(0.0, help="Replace a process this old; 0 is never.")
    max_age_spread: Duration = setting(0.0, help="Evenly random time added to `max_age`.")
    watchdog: Duration = setting(0.0, help="The process must say WATCHDOG=1 this often; 0 is off.")
    ready: Check = setting(
        factory=Check, help="When a process counts as up. Default: alive for 1s."
    )
    live: Check | None = setting(None, help="When a process must be replaced. Default: never.")
    restart: Restart = setting(factory=Restart, help="What happens when a process ends.")
    limits: Limits = setting(factory=Limits, help="What it may use.")
    watch: Watch | None = setting(None, help="Reload on file changes.")
    scaling: Scaling | None = setting(None, help="Change the number of processes with the load.")
    log: Logs | None = setting(None, help="Overrides [log] for this service.")
    hooks: dict[str, str | tuple[str, ...] | Hook] = setting(
        factory=dict,
        help="Commands at points of its life (docs/reference/hooks.md).",
        example='hooks.before_start = "mkdir -p cache"',
    )
    labels: dict[str, str] = setting(
        factory=dict,
        help="Your own facts, shown with the service. Two are read: `openapi` and `metrics` say"
        " where it serves its document and its figures, as a path on its first socket or a URL;"
        " a service with `app` has them at /openapi.json and, unless `idle_stop` ends it,"
        " /metrics.",
        example='labels = { version = "a1b2c3d", metrics = "/metrics" }',
    )

    @property
    def is_job(self) -> bool:
        """It has work to do and ends, once or at its times; it need not get ready."""
        return self.one_shot or bool(self.schedule)

    @property
    def starts_by_itself(self) -> bool:
        """It starts with the supervisor, not at a time, a connection or a command."""
        return self.autostart and not self.schedule and not self.on_demand

    @property
    def stops_whole(self) -> bool:
        """The stop signal is for its whole process group: a shell alone would not pass it on."""
        return self.shell or self.stop_group

    @property
    def is_web(self) -> bool:
        """Served by our own worker."""
        return bool(self.app)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """[plugin.NAME] — Python code beside the brain that hears events and gives commands."""

    use: str = setting(
        help="A shipped plugin (reference/plugins.md), one that an installed package offers, or "
        "your own as `module:Class`."
    )
    options: dict[str, Any] = setting(factory=dict, help="What its class declares as settings.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The supervisor's part of a chapiteau.toml, read and checked."""

    project: Project = setting(factory=Project, help="Name and state.")
    socket: dict[str, Socket] = setting(factory=dict, help="Sockets by name.")
    service: dict[str, Service] = setting(factory=dict, help="Services by name.")
    plugin: dict[str, Plugin] = setting(factory=dict, help="Plugins by name.")
    log: Logs = setting(factory=Logs, help="Where output goes.")

    def named(self) -> Iterator[tuple[str, Service]]:
        """Each service with its name, in the file's order."""
        yield from self.service.items()
