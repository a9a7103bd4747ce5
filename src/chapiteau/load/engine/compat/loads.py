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

from chapiteau.load.engine.compat.blocking import Blocking, HttpSession
from chapiteau.load.engine.compat.crew import Crew
from chapiteau.load.engine.compat.faces import imported, module, standing_in
from chapiteau.load.engine.compat.gevent import gevent_modules
from chapiteau.load.engine.compat.websocket import WebSocket
from chapiteau.load.engine.compat.webtest import App
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.logic.scenario import Play, Scenario

__all__ = ["TestCase", "play_of_loads"]

# Loads was never more than Python 2; what its files import from there has other names now.
_OLD_NAMES: Final[dict[str, ModuleType]] = {
    "urlparse": urllib.parse,
    "urllib2": urllib.request,
    "httplib": http.client,
    "Queue": queue,
    "StringIO": io,
}

# Which virtual user a test case is being made for: `__init__` already uses `self.session`.
_here = threading.local()


class TestCase(unittest.TestCase):
    """loads.case.TestCase: `session` as in requests, `app` as in WebTest, WebSockets, counters."""

    server_url: ClassVar[str | None] = None
    __test__ = False  # this one is no test of pytest's

    def __init__(
        self, test_name: str = "runTest", test_result: Any = None, config: Any = None
    ) -> None:
        super().__init__(test_name)
        blocking: Blocking = _here.blocking
        self._blocking = blocking
        self.config = config or {}
        self.session = HttpSession(blocking)
        self.app = App(blocking, blocking.session.base or self.server_url or "")
        self._sockets: list[WebSocket] = []

    def incr_counter(self, name: str) -> None:
        """Add one to a number of your own."""
        self._blocking.tell(self._blocking.session.counter, name)

    def create_ws(
        self,
        url: str,
        callback: Any = None,
        protocols: Any = None,
        extensions: Any = None,
        klass: Any = None,
    ) -> WebSocket:
        """A WebSocket; `callback` gets every message, `receive()` gives them one by one."""
        socket = WebSocket(
            url,
            protocols=tuple(protocols or ()),
            callback=callback,
            allowed=self._blocking.session.allowed,
            tell=self._counted,
        )
        self._sockets.append(socket)
        return socket

    def _counted(self, name: str, value: float) -> None:
        self._blocking.tell(self._blocking.session.counter, name, value)

    def play_once(self) -> None:
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


def play_of_loads(path: Path) -> Play:
    """The test methods of a file, each a scenario called Class.test_method."""
    face: dict[str, ModuleType] = {
        "loads": module("loads", {"__version__": "0.3.1"}),
        "loads.case": module("loads.case", {"TestCase": TestCase}),
    }
    with standing_in({**face, **gevent_modules(), **_OLD_NAMES}):
        made = imported(path)
    crew = Crew()
    scenarios = [
        Scenario(f"{case.__name__}.{name}", _runner(case, name, crew))
        for case in vars(made).values()
        if isinstance(case, type) and issubclass(case, TestCase) and case is not TestCase
        for name in unittest.TestLoader().getTestCaseNames(case)
    ]
    if not scenarios:
        raise ScenarioError(
            f"{path}: no test in it", hint="methods of a loads.case.TestCase that begin with test"
        )
    return Play(tuple(scenarios))


def _runner(case: type[TestCase], name: str, crew: Crew) -> Any:
    key = f"loads {case.__name__}.{name}"
    prepared = threading.Lock()
    ready: list[bool] = []

    def make(blocking: Blocking) -> TestCase:
        with prepared:
            if not ready:
                case.setUpClass()
                ready.append(True)
        _here.blocking = blocking
        return case(name)

    async def run(session: Session) -> None:
        if key not in session.state:
            blocking = Blocking(session, crew)
            session.state[key] = (blocking, await blocking.run(lambda: make(blocking)))
        blocking, instance = session.state[key]
        try:
            await blocking.run(instance.play_once)
        finally:
            session.settle()  # a user's cookies outlive its tests

    run.__name__ = name
    return run
