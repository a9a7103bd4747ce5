"""The fixtures that users' tests get, used as they use them."""

import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.pytest_plugin import Supervised

CONFIG = """
[socket.web]
[service.web]
command = ["{python}", "-u", "server.py"]
sockets = ["web"]
ready = {{ http = "socket:web/" }}
"""
SERVER = """
import http.server, socket
class Server(http.server.HTTPServer):
    def server_bind(self):
        self.socket.close()
        self.socket = socket.socket(fileno=3)
    def server_activate(self): pass
print("here I am")
Server(("", 0), http.server.SimpleHTTPRequestHandler).serve_forever()
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Path:
    import sys

    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "chapiteau.toml").write_text(CONFIG.format(python=sys.executable))
    return tmp_path


def test_a_project_runs_for_one_test(
    chapiteau_up: Callable[[str | Path], Supervised], project: Path
) -> None:
    running = chapiteau_up(project)
    with urllib.request.urlopen(running.url("web", "/server.py"), timeout=60) as answer:
        assert b"here I am" in answer.read()
    assert running.client.status().services[0].state == "running"
    assert "here I am" in running.logs()


def test_a_text_gets_a_folder_of_its_own(chapiteau_up: Callable[[str], Supervised]) -> None:
    running = chapiteau_up('[service.nap]\ncommand = "sleep 1000"\n')
    assert [s.name for s in running.client.status().services] == ["nap"]
    with pytest.raises(KeyError):
        running.url("web")


pytest_plugins = ["pytester"]

USERS_TEST = """
import pytest

def test_broken(chapiteau_up):
    chapiteau_up("[service.web]\\ncommand = 'no-such-program'\\n")

seen = []

def test_fine(chapiteau_up):
    seen.append(chapiteau_up("[service.nap]\\ncommand = 'sleep 1000'\\n").client)

def test_after_the_test_all_is_down():
    from chapiteau.run.errors import NotRunningError
    with pytest.raises(NotRunningError):
        seen[0].status()
"""


def test_a_project_that_does_not_start_fails_the_test_with_its_reason(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(USERS_TEST)
    done = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:xdist")
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(["*chapiteau up ended with*", "*no-such-program*"])


def test_a_manual_clock_stands_until_it_is_moved(manual_clock: ManualClock) -> None:
    before = manual_clock.now()
    manual_clock.advance(60)
    assert manual_clock.now() == before + 60
