"""What brain and keeper say to each other, as typed JSON; both ends use these shapes.

TypedDicts, because the keeper runs on the standard library alone and the brain must be up before
a parser of its own would have been imported.
"""

from typing import Any, NotRequired, TypedDict

__all__ = ["Child", "Deadlines", "ExitFrame", "Hello", "Memo", "SpawnAnswer", "SpawnRequest"]


class ExitFrame(TypedDict):
    """How a process ended."""

    code: int | None
    signal: int | None
    core: bool
    time: float  # seconds since 1970
    max_rss: int  # bytes
    cpu: float  # seconds
    left: list[int]  # pids that it left behind, which were killed
    unknown: NotRequired[bool]  # nobody can tell how


class Deadlines(TypedDict, total=False):
    """Until when a process has time, seconds since 1970."""

    ready_by: float  # then it is replaced
    stop_by: float  # it was asked to end, and is killed then


class Memo(Deadlines):
    """What the next brain must know of a process; the keeper only keeps it."""

    service: str
    number: int
    generation: int
    cgroup: str
    wall: float  # when it was started, seconds since 1970
    tty: bool
    stop: list[float | bool]  # [signal, seconds of grace, whether to the whole group]
    ready: NotRequired[bool]
    candidate: NotRequired[bool]  # of a reload: another process still has the number


class Child(TypedDict):
    """A process as the keeper knows it. `pid` and `start` (clock ticks since boot) name it."""

    pid: int
    start: int
    memo: Memo | None
    exit: ExitFrame | None
    cgroup: str
    adopted: NotRequired[bool]  # the child of a keeper that was killed
    until: NotRequired[float]  # time.monotonic(): its group's grace
    held: NotRequired[ExitFrame]  # its own exit, told when its group has ended
    key: NotRequired[str]  # on the wire
    pipes: NotRequired[list[str]]  # on the wire: which descriptors come along


class SpawnRequest(TypedDict):
    """A process to start."""

    key: str
    memo: Memo
    argv: list[str]
    env: dict[str, str]  # over the base environment
    unset: list[str]  # names of the base environment that it does not get
    cwd: str
    fds: list[tuple[str, int]]  # (stored name, number in the process)
    pipes: list[str]  # of "in", "out", "err"
    umask: int | None
    oom_score: int
    cgroup: str
    home_cgroup: str  # the keeper's own
    tty: NotRequired[list[int] | None]  # all streams are a terminal; its owner


class SpawnAnswer(TypedDict, total=False):
    """`pid`, `start` and `pipes`, or what went wrong at which stage."""

    pid: int
    start: int
    pipes: list[str]
    error: str
    errno: int
    stage: str


class Hello(TypedDict):
    """What the keeper knows when a brain begins."""

    pid: int
    brain_starts: int
    brain_died: NotRequired[str]
    notes: dict[str, Any]
    fds: list[str]  # names of stored descriptors
    asked: bool  # the end is wanted
    no_new_privs: bool
    owner: NotRequired[list[int]]  # pid and start of who ends everything by its own end
    nofile: int  # soft RLIMIT_NOFILE that services get
