"""`environment` and `environment.runner`, as far as scenario files look at them."""

import argparse
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from chapiteau.load.engine.compat.locust.events import Events
from chapiteau.load.engine.compat.locust.stats import Stats
from chapiteau.load.errors import ScenarioError

__all__ = ["Environment", "Parser", "Runner", "parsed_options"]


class Runner:
    """The process's runner. `quit` ends every user of this process."""

    def __init__(self, environment: "Environment") -> None:
        self.environment = environment
        self.state = "running"
        self.user_count = 0
        self.target_user_count = 0
        self.worker_count = 1
        self.clients: dict[str, Any] = {}
        self.errors: dict[str, Any] = {}
        self.exceptions: dict[str, Any] = {}
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
        raise ScenarioError(
            f"the file's own options: {message}", hint="give them as --options name=value"
        )


def parsed_options(events: Events, given: Mapping[str, Any]) -> argparse.Namespace:
    """What locust's command line would have given: the file's own options, and ours over them."""
    parser = Parser(add_help=False, conflict_handler="resolve")
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
