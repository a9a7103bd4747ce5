"""`locust` and its parts, as far as scenario files import them: each has every name."""

from types import ModuleType
from typing import Any, Final

from chapiteau.migrate.locust import events as raised
from chapiteau.migrate.locust import tasks, users
from chapiteau.migrate.locust.client import CaughtResponse, LocustClient
from chapiteau.migrate.locust.environment import Entry, Environment, Parser, Runner, Stats
from chapiteau.migrate.locust.shape import LoadTestShape
from chapiteau.migrate.shims import shim_module

__all__ = ["locust_modules"]

_MODULES: Final = (
    "locust locust.exception locust.user locust.user.users locust.user.task "
    "locust.user.sequential_taskset locust.user.markov_taskset locust.user.wait_time "
    "locust.wait_time locust.clients locust.contrib locust.contrib.fasthttp locust.contrib.rest "
    "locust.web locust.debug locust.argument_parser locust.event locust.env locust.runners "
    "locust.shape locust.log locust.stats"
).split()


def _nothing(*_arguments: Any, **_more: Any) -> None:
    """What only locust's own process does."""


def locust_modules(events: raised.Events) -> dict[str, ModuleType]:
    """`locust` and the parts of it that files import from."""
    names: dict[str, Any] = {
        **{name: getattr(part, name) for part in (raised, tasks, users) for name in part.__all__},
        "events": events,
        "__version__": "2.46",
        "Environment": Environment,
        "LoadTestShape": LoadTestShape,
        "LocustArgumentParser": Parser,
        "RequestStats": Stats,
        "StatsEntry": Entry,
        # clients
        **dict.fromkeys(("HttpSession", "FastHttpSession"), LocustClient),
        **dict.fromkeys(
            ("ResponseContextManager", "RestResponseContextManager", "FastResponse",
             "LocustResponse"),
            CaughtResponse,
        ),
        # runners
        **dict.fromkeys(("Runner", "LocalRunner"), Runner),
        **{name: type(name, (Runner,), {}) for name in ("MasterRunner", "WorkerRunner")},
        "STATE_INIT": "ready",
        **{
            f"STATE_{state.upper()}": state
            for state in ("spawning", "running", "cleanup", "stopping", "stopped")
        },
        # names before locust 1.0, and of the plugin that became FastHttpUser.rest
        "Locust": users.User,
        "HttpLocust": users.HttpUser,
        **dict.fromkeys(("FastHttpLocust", "RestUser"), users.FastHttpUser),
        "TaskSequence": tasks.SequentialTaskSet,
        "seq_task": lambda _order: tasks.task,
        **dict.fromkeys(
            ("run_single_user", "setup_logging", "stats_printer", "stats_history"), _nothing
        ),
    }  # fmt: skip
    return {name: shim_module(name, names) for name in _MODULES}
