"""What a coordinator, its machines and their load processes say to each other: one line each.

A machine's relay takes the same orders as a load process, and reports the same.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.io.json_lines import LineReader
from chapiteau.load.errors import ScenarioError, TargetNotAllowedError
from chapiteau.load.scenario.arrivals import Arrivals
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.workers.plan import Plan

__all__ = [
    "Alive",
    "Bye",
    "Carried",
    "ClockQuery",
    "ClockReading",
    "End",
    "Failed",
    "Go",
    "Greeting",
    "Hello",
    "LoadStep",
    "Lost",
    "Order",
    "Over",
    "Prepare",
    "Ready",
    "Report",
    "Reshape",
    "Second",
    "Setup",
    "Shared",
    "StillAlive",
    "Stop",
    "encode_message",
    "order_reader",
    "report_reader",
]

_LONGEST_ORDER: Final = 1 << 30  # bytes: one may bring a whole document, or a scenario's files
_LONGEST_REPORT: Final = 64 << 20
_ERRORS: Final[dict[str, type[ChapiteauError]]] = {
    "TargetNotAllowedError": TargetNotAllowedError,
    "UsageError": UsageError,
    "InvalidInputError": UsageError,
    "ScenarioError": ScenarioError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStep:
    """A piece of load: a shape, the model it is meant in, and what happens at its end."""

    shape: Shape
    open: bool = True
    arrivals: Arrivals = "poisson"
    drain: float = 30.0  # seconds that sessions under way may take at the end
    sessions: int | None = None  # closed model: stop after so many
    step: int = 0  # makes each step's random numbers its own


# ── orders ────────────────────────────────────────────────────────────────────────────────────


class Hello(msgspec.Struct, tag="hello"):
    """Say what this machine is."""


class ClockQuery(msgspec.Struct, tag="clock"):
    """Say what the clock reads."""

    number: int


class Alive(msgspec.Struct, tag="alive"):
    """The coordinator is still there."""


class Setup(msgspec.Struct, tag="setup", kw_only=True, omit_defaults=True):
    """Read the scenario: processes `first` … of `total`. A relay starts `processes` of them."""

    plan: Plan
    first: int = 0
    total: int = 1
    processes: int = 1
    coordinated: bool = False  # the run's own set-up and tear-down happen elsewhere
    files: bytes = b""  # of the scenario, a ZIP archive
    archive: str = ""  # where that lies, when the cluster has brought it


class Prepare(msgspec.Struct, tag="prepare"):
    """Run the workers' set-up; `shared` is what the run's set-up returned."""

    shared: Any = None


class Go(msgspec.Struct, tag="go"):
    """Put load on from `zero` on, by the receiver's clock; a relay gives up at `until`."""

    turn: int  # counts the steps: an order to stop is meant for one of them
    zero: float
    step: LoadStep
    until: float = 0.0


class Reshape(msgspec.Struct, tag="shape"):
    """Go on along another shape, if this step is still under way."""

    turn: int
    shape: Shape


class Stop(msgspec.Struct, tag="stop"):
    """End this step, under way or still to come."""

    turn: int


class End(msgspec.Struct, tag="end"):
    """Tear down; with `leave`, end the process as well."""

    leave: bool = False


Order = Hello | ClockQuery | Alive | Setup | Prepare | Go | Reshape | Stop | End

# ── reports ───────────────────────────────────────────────────────────────────────────────────


class Greeting(msgspec.Struct, tag="hello"):
    """What a machine is."""

    version: str  # of Chapiteau
    cores: int


class ClockReading(msgspec.Struct, tag="clock"):
    """What a machine's clock reads. `received`: when the coordinator got it, by its own."""

    number: int
    now: float
    received: float = 0.0


class StillAlive(msgspec.Struct, tag="alive"):
    """The machine is there, though its load processes have nothing to report."""


class Shared(msgspec.Struct, tag="shared"):
    """The scenario is read; `shared` is what the run's set-up returned, where it ran."""

    shared: Any = None


class Ready(msgspec.Struct, tag="ready"):
    """The workers' set-up is done."""


class Second(msgspec.Struct, tag="second"):
    """A second has passed; `counts` is a frame."""

    second: int
    counts: bytes


class Over(msgspec.Struct, tag="over"):
    """The step has ended; it began `late` seconds after its moment."""

    counts: bytes
    late: float = 0.0


class Bye(msgspec.Struct, tag="bye"):
    """Everything is torn down. `refused`: why the scenario itself calls the run a failure."""

    refused: list[str]
    problems: list[str]


class Failed(msgspec.Struct, tag="broken"):
    """An order could not be carried out."""

    kind: str
    what: str
    hint: str = ""

    @classmethod
    def of(cls, error: ChapiteauError) -> "Failed":
        """The report of an error."""
        return cls(type(error).__name__, error.what, error.hint)

    def error(self) -> ChapiteauError:
        """The error that was met there, as one of ours."""
        return _ERRORS.get(self.kind, ScenarioError)(self.what, hint=self.hint)


class Carried(msgspec.Struct, tag="carried"):
    """A cluster's task has begun that carries the relay."""


class Lost(msgspec.Struct, tag="lost"):
    """Nothing more will come from there; the coordinator's side says so."""

    why: str


Report = (
    Greeting | ClockReading | StillAlive | Shared | Ready | Second | Over | Bye | Failed | Carried
    | Lost
)  # fmt: skip

_orders: Final = msgspec.json.Decoder(Order)
_reports: Final = msgspec.json.Decoder(Report)


def encode_message(message: Order | Report) -> bytes:
    """A message as one line."""
    try:
        return msgspec.json.encode(message) + b"\n"
    except UnicodeEncodeError:  # a file's name or an error's text with a lone surrogate
        import json

        plain = msgspec.to_builtins(message, str_keys=True)
        return json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def order_reader() -> LineReader[Order]:
    """Reads orders from a pipe."""
    return LineReader(_LONGEST_ORDER, _orders.decode)


def report_reader() -> LineReader[Report]:
    """Reads reports from a pipe."""
    return LineReader(_LONGEST_REPORT, _reports.decode)
