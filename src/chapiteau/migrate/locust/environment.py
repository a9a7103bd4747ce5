"""`environment`, `environment.runner` and `environment.stats`, as far as files look at them."""

import argparse
import os
import threading
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from chapiteau.core.histogram import Histogram
from chapiteau.io.clock import SystemClock
from chapiteau.load.errors import ScenarioError
from chapiteau.migrate.locust.events import Events

__all__ = ["Entry", "Environment", "Parser", "Runner", "Stats", "parse_options"]

_CLOCK: Final = SystemClock()


class Entry:
    """The requests of one name and method, or all of them; times are milliseconds."""

    def __init__(self, name: str = "Aggregated", method: str = "") -> None:
        self.name = name
        self.method = method
        self.num_requests = self.num_failures = self.num_none_requests = 0
        self.total_response_time = 0.0
        self.total_content_length = 0
        self.start_time = _CLOCK.wall()
        self.last_request_timestamp: float | None = None
        self._times = Histogram()

    def log(self, milliseconds: float, size: int, *, failed: bool) -> None:
        """One more request."""
        self.num_requests += 1
        self.num_failures += failed
        self.total_response_time += milliseconds
        self.total_content_length += size
        self.last_request_timestamp = _CLOCK.wall()
        self._times.record(max(0, round(milliseconds * 1000)))

    @property
    def fail_ratio(self) -> float:
        return self.num_failures / (self.num_requests or 1)

    @property
    def avg_response_time(self) -> float:
        return self.total_response_time / (self.num_requests or 1)

    @property
    def avg_content_length(self) -> float:
        return self.total_content_length / (self.num_requests or 1)

    @property
    def median_response_time(self) -> float:
        return self.get_response_time_percentile(0.5)

    @property
    def min_response_time(self) -> float:
        return self.get_response_time_percentile(0.0)

    @property
    def max_response_time(self) -> float:
        return self._times.high / 1000 if self.num_requests else 0.0

    @property
    def total_rps(self) -> float:
        return self.num_requests / max(1e-3, _CLOCK.wall() - self.start_time)

    @property
    def total_fail_per_sec(self) -> float:
        return self.num_failures / max(1e-3, _CLOCK.wall() - self.start_time)

    current_rps, current_fail_per_sec = total_rps, total_fail_per_sec

    def get_response_time_percentile(self, share: float) -> float:
        """The time that this share of the requests keeps; 0 without any."""
        return self._times.quantile(share) / 1000 if self.num_requests else 0.0

    get_current_response_time_percentile = get_response_time_percentile


class Stats:
    """What this load process has counted, for a file's own judgement: by (name, method), in all.

    The report has the numbers of all processes.
    """

    def __init__(self) -> None:
        self.total = Entry()
        self.entries: dict[tuple[str, str], Entry] = {}
        self.errors: dict[str, object] = {}
        self.history: list[Any] = []

    @property
    def num_requests(self) -> int:
        return self.total.num_requests

    @property
    def num_failures(self) -> int:
        return self.total.num_failures

    def get(self, name: str, method: str) -> Entry:
        """The entry of a name and method; an empty one when there was no such request."""
        return self.entries.setdefault((name, method), Entry(name, method))

    def add(self, info: Mapping[str, Any]) -> None:
        """A request event."""
        milliseconds = float(info.get("response_time") or 0.0)
        size, failed = int(info.get("response_length") or 0), info.get("exception") is not None
        name, method = str(info.get("name", "")), str(info.get("request_type", ""))
        for entry in (self.total, self.get(name, method)):
            entry.log(milliseconds, size, failed=failed)

    def clear_all(self) -> None:
        """Nothing: the report counts from the start."""

    reset_all = clear_all


class Runner:
    """The process's runner. `quit` ends every user of this process."""

    def __init__(self, environment: "Environment") -> None:
        self.environment = environment
        self.state = "running"
        self.user_count = self.target_user_count = 0
        self.worker_count = 1
        self.clients: dict[str, object] = {}
        self.errors: dict[str, object] = {}
        self.exceptions: dict[str, object] = {}
        self.client_id = "chapiteau"

    def count_user(self) -> None:
        """One more user has begun."""
        self.user_count += 1

    @property
    def stats(self) -> Stats:
        return self.environment.stats

    def stop(self) -> None:
        self.state = "stopped"

    quit = stop

    def register_message(self, *_message: Any, **_more: Any) -> None:
        """Nothing: load processes do not talk to each other."""

    send_message = register_message


class Environment:
    """What users and event listeners share within one load process."""

    def __init__(
        self, events: Events, host: str | None = None, options: Any = None, users: Any = ()
    ) -> None:
        self.events = events
        self.host = host
        self.parsed_options = options
        self.stats = Stats()
        self.runner = Runner(self)
        self.user_classes: list[Any] = list(users)
        self.web_ui = self.shape_class = self.tags = self.stop_timeout = None
        self.reset_stats = False
        self.process_exit_code: int | None = None
        # The thread's end of the session of the user that this thread is making.
        self.here = threading.local()


class Parser(argparse.ArgumentParser):
    """locust's parser of arguments: it also knows web fields and environment variables."""

    def add_argument(self, *names: Any, **given: Any) -> Any:
        """As argparse's; `env_var` gives the default, what is about the web page is left out."""
        for word in ("include_in_web_ui", "is_secret", "is_required", "is_multiple"):
            given.pop(word, None)
        variable = given.pop("env_var", None)
        if variable and variable in os.environ:
            given["default"] = os.environ[variable]
            given.pop("required", None)
        return super().add_argument(*names, **given)

    def error(self, message: str) -> NoReturn:
        """Raises ScenarioError: a load process that exits by itself would say nothing."""
        hint = "give them as --options name=value"
        raise ScenarioError(f"the file's own options: {message}", hint=hint)


def parse_options(events: Events, given: Mapping[str, Any]) -> argparse.Namespace:
    """What locust's command line would have given: the file's own options, and ours over them."""
    parser = Parser(add_help=False, conflict_handler="resolve")
    for name in ("host", "users", "run-time", "tags", "exclude-tags", "headless"):
        parser.add_argument(f"--{name}", default=True if name == "headless" else None)
    events.init_command_line_parser.emit({"parser": parser})
    argv = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    known, rest = parser.parse_known_args(argv)
    for word in rest:
        name, _, value = word.removeprefix("--").partition("=")
        setattr(known, name.replace("-", "_"), value)
    return known
