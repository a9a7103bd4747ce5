"""`environment` and `environment.runner`, as far as scenario files look at them."""

import argparse
import threading
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from chapiteau.load.engine.compat.locust.events import Events

__all__ = ["Environment", "Runner", "Stats", "parsed_options"]


class Runner:
    """The process's runner. `quit` ends every user of this process."""

    def __init__(self, environment: "Environment") -> None:
        self.environment = environment
        self.state = "running"
        self.user_count = 0
        self.target_user_count = 0
        self.worker_count = 1
        self.client_id = "chapiteau"

    @property
    def stats(self) -> Any:
        """The numbers of this process."""
        return self.environment.stats

    def quit(self) -> None:
        """Let every user stop."""
        self.state = "stopped"

    def stop(self) -> None:
        """The same."""
        self.quit()

    def register_message(self, *_message: Any, **_more: Any) -> None:
        """Nothing: load processes do not talk to each other."""

    send_message = register_message


class Environment:
    """What users and event listeners share within one load process."""

    def __init__(self, events: Events, host: str | None, options: Any) -> None:
        self.events = events
        self.host = host
        self.parsed_options = options
        self.stats = Stats()
        self.runner = Runner(self)
        self.web_ui = None
        self.user_classes: list[Any] = []
        self.shape_class = None
        self.tags = None
        self.reset_stats = False
        self.stop_timeout = None
        self.process_exit_code: int | None = None
        # The thread's end of the session of the user that this thread is making.
        self.here = threading.local()


class Stats:
    """environment.stats: counts of this process (the report has all of them)."""

    def __init__(self) -> None:
        self.total = SimpleNamespace(
            num_requests=0, num_failures=0, fail_ratio=0.0, avg_response_time=0.0, total_rps=0.0
        )
        self._spent = 0.0

    def add(self, milliseconds: float, *, failed: bool) -> None:
        """One more request."""
        total = self.total
        total.num_requests += 1
        total.num_failures += failed
        self._spent += milliseconds
        total.fail_ratio = total.num_failures / total.num_requests
        total.avg_response_time = self._spent / total.num_requests

    def clear_all(self) -> None:
        """Nothing: the report counts from the start."""


def parsed_options(events: Events, given: Mapping[str, Any]) -> argparse.Namespace:
    """What locust's command line would have given: the file's own options, and ours over them."""
    parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
    usual: Iterable[tuple[str, Any]] = (
        ("--host", None), ("--users", None), ("--run-time", None), ("--tags", None),
        ("--exclude-tags", None), ("--headless", True),
    )  # fmt: skip
    for name, value in usual:
        parser.add_argument(name, default=value)
    events.init_command_line_parser.tell({"parser": parser})
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    known, rest = parser.parse_known_args(words)
    for word in rest:
        name, _, value = word.removeprefix("--").partition("=")
        setattr(known, name.replace("-", "_"), value)
    return known
