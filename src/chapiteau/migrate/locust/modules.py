"""`locust` and its parts, as far as scenario files import them."""

from types import ModuleType
from typing import Any

from chapiteau.load.workers.scenario_file import shim_module
from chapiteau.migrate.locust import client, shape, tasks, users
from chapiteau.migrate.locust import environment as stats
from chapiteau.migrate.locust import events as errors
from chapiteau.migrate.locust import tasks as markov
from chapiteau.migrate.locust import users as waiting
from chapiteau.migrate.locust.environment import Environment, Parser, Runner
from chapiteau.migrate.locust.events import EventHook, Events

__all__ = ["locust_modules"]


def locust_modules(events: Events) -> dict[str, ModuleType]:
    """`locust` and the parts of it that files import from."""
    waits = {name: getattr(waiting, name) for name in waiting.__all__}
    people = {"User": users.User, "HttpUser": users.HttpUser, "FastHttpUser": users.FastHttpUser}
    chains = {name: getattr(markov, name) for name in markov.__all__}
    sets = {name: getattr(tasks, name) for name in ("task", "tag", "TaskSet", "SequentialTaskSet")}
    older, runners = _older(), _runners()
    raised = {name: getattr(errors, name) for name in errors.__all__}
    clients = {
        "HttpSession": client.LocustClient,
        "FastHttpSession": client.FastLocustClient,
        "ResponseContextManager": client.CaughtResponse,
        "RestResponseContextManager": client.CaughtResponse,
        "FastResponse": client.CaughtResponse,
        "LocustResponse": client.CaughtResponse,
    }
    shapes = {"LoadTestShape": shape.LoadTestShape}
    whole = {
        **waits, **older, **people, **sets, **chains, **shapes, "events": events,
        "run_single_user": lambda *_a, **_m: None, "__version__": "2.46",
    }  # fmt: skip
    contents: dict[str, dict[str, Any]] = {
        "locust": whole,
        "locust.exception": raised,
        "locust.user": {**people, **sets, **waits},
        "locust.user.users": people,
        "locust.user.task": {**sets, "DefaultTaskSet": tasks.DefaultTaskSet},
        "locust.user.sequential_taskset": sets,
        "locust.user.markov_taskset": chains,
        "locust.user.wait_time": waits,
        "locust.wait_time": waits,
        "locust.clients": clients,
        "locust.contrib": {},
        "locust.contrib.fasthttp": {**older, **people, **clients},
        "locust.contrib.rest": {**older, **clients},
        "locust.web": {},
        "locust.debug": {"run_single_user": lambda *_a, **_m: None},
        "locust.argument_parser": {"LocustArgumentParser": Parser},
        "locust.event": {"EventHook": EventHook, "Events": Events},
        "locust.env": {"Environment": Environment},
        "locust.runners": runners,
        "locust.shape": shapes,
        "locust.log": {"setup_logging": lambda *_a, **_m: None},
        "locust.stats": {
            "stats_printer": lambda *_a: None,
            "stats_history": lambda *_a: None,
            "StatsEntry": stats.Entry,
            "RequestStats": stats.Stats,
        },
    }
    return {name: shim_module(name, part) for name, part in contents.items()}


def _older() -> dict[str, Any]:
    """Names before locust 1.0, and of the plugin that became FastHttpUser.rest."""
    return {
        "Locust": users.User, "HttpLocust": users.HttpUser, "FastHttpLocust": users.FastHttpUser,
        "RestUser": users.FastHttpUser, "TaskSequence": tasks.SequentialTaskSet,
        "seq_task": lambda _order: tasks.task,
    }  # fmt: skip


def _runners() -> dict[str, Any]:
    return {
        "Runner": Runner,
        "LocalRunner": Runner,
        "MasterRunner": type("MasterRunner", (Runner,), {}),
        "WorkerRunner": type("WorkerRunner", (Runner,), {}),
        "STATE_STOPPING": "stopping",
        "STATE_STOPPED": "stopped",
        "STATE_CLEANUP": "cleanup",
        "STATE_RUNNING": "running",
        "STATE_SPAWNING": "spawning",
        "STATE_INIT": "ready",
    }
