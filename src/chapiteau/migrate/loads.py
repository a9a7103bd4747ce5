"""Loads' TestCase: unittest-style load tests run as they are, in threads.

A test method is a scenario; each virtual user keeps one instance of a test case for its life.
"""

import http.client
import io
import queue
import threading
import unittest
import urllib.parse
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final

from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.scenario.suite import Scenario, Suite
from chapiteau.load.workers.suite_loader import import_scenario
from chapiteau.migrate.shims import install_shims, shim_module
from chapiteau.migrate.shims.blocking import BlockingSession, HttpSession, ThreadPool
from chapiteau.migrate.shims.gevent_shim import gevent_modules
from chapiteau.migrate.shims.websocket_client import WebSocketClient
from chapiteau.migrate.shims.webtest_app import App

__all__ = ["TestCase", "load_loads"]

# Loads was never more than Python 2; what its files import from there has other names now.
_OLD_NAMES: Final[dict[str, ModuleType]] = {
    "urlparse": urllib.parse,
    "urllib2": urllib.request,
    "httplib": http.client,
    "Queue": queue,
    "StringIO": io,
}

# Which virtual user a test case is being made for: `__init__` already uses `self.session`.
_current = threading.local()


class TestCase(unittest.TestCase):
    """loads.case.TestCase: `session` as in requests, `app` as in WebTest, WebSockets, counters."""

    server_url: ClassVar[str | None] = None
    __test__ = False  # this one is no test of pytest's

    def __init__(
        self, test_name: str = "runTest", test_result: Any = None, config: Any = None
    ) -> None:
        super().__init__(test_name)
        self._blocking: BlockingSession = _current.blocking
        self.config = config or {}
        self.session = HttpSession(self._blocking)
        self.app = App(self._blocking, self._blocking.session.base or self.server_url or "")
        self._sockets: list[WebSocketClient] = []

    def incr_counter(self, name: str) -> None:
        """Add one to a number of your own."""
        self._blocking.call(self._blocking.session.counter, name)

    def create_ws(
        self,
        url: str,
        callback: Any = None,
        protocols: Any = None,
        extensions: Any = None,
        klass: Any = None,
    ) -> WebSocketClient:
        """A WebSocket; `callback` gets every message, `receive()` gives them one by one."""
        protocols = tuple(protocols or ())
        socket = WebSocketClient(self._blocking, url, protocols=protocols, callback=callback)
        self._sockets.append(socket)
        return socket

    def run_once(self) -> None:
        """Set up, test, tear down; whatever fails is raised."""
        try:
            self.setUp()
            getattr(self, self._testMethodName)()
        except unittest.SkipTest:
            return
        finally:
            try:
                self.tearDown()
                self._close_sockets()
            finally:
                self.doCleanups()

    def _close_sockets(self) -> None:
        """Close what the test left open; raise what its callbacks have raised."""
        sockets, self._sockets = self._sockets, []
        for socket in sockets:
            socket.close()
        for socket in sockets:
            if socket.error is not None:
                raise socket.error


def load_loads(path: Path) -> Suite:
    """The test methods of a file, each a scenario called Class.test_method."""
    shims: dict[str, ModuleType] = {
        "loads": shim_module("loads", {"__version__": "0.3.1"}),
        "loads.case": shim_module("loads.case", {"TestCase": TestCase}),
    }
    with install_shims({**shims, **gevent_modules(), **_OLD_NAMES}):
        made = import_scenario(path)
    threads = ThreadPool()
    scenarios = [
        Scenario(f"{case.__name__}.{name}", _runner(case, name, threads))
        for case in vars(made).values()
        if isinstance(case, type) and issubclass(case, TestCase) and case is not TestCase
        for name in unittest.TestLoader().getTestCaseNames(case)
    ]
    if not scenarios:
        hint = "methods of a loads.case.TestCase that begin with test"
        raise ScenarioError(f"{path}: no test in it", hint=hint)
    return Suite(tuple(scenarios))


def _runner(case: type[TestCase], name: str, threads: ThreadPool) -> Any:
    key = f"loads {case.__name__}.{name}"
    setting_up = threading.Lock()
    ready: list[bool] = []

    def make(blocking: BlockingSession) -> TestCase:
        with setting_up:
            if not ready:
                case.setUpClass()
                ready.append(True)
        _current.blocking = blocking
        return case(name)

    async def run(session: Session) -> None:
        if key not in session.state:
            blocking = BlockingSession(session, threads)
            session.state[key] = (blocking, await blocking.run(lambda: make(blocking)))
        blocking, instance = session.state[key]
        try:
            await blocking.run(instance.run_once)
        finally:
            session.settle()  # a user's cookies outlive its tests

    run.__name__ = name
    return run
