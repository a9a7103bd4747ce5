"""What an end's last lines say of its cause."""

import pytest

from chapiteau.run.process.exits import diagnose_exit, port_in_use


def cause_of(*lines: str, code: int | None = 1, signal: int | None = None) -> str:
    return diagnose_exit(code, signal, oom=False, detached=False, lines=lines)[0]


def test_the_last_line_that_says_something_speaks() -> None:
    lines = ("connection refused", "ModuleNotFoundError: No module named 'shop'", "bye")
    assert cause_of(*lines) == "import error: No module named 'shop'"
    run = "/srv/shop/.venv/bin/python: No module named shop.worker"  # as `python -m` says it
    assert cause_of(run) == "import error: No module named shop.worker"
    assert cause_of("all is well") == ""
    assert cause_of(code=127) == "command not found by the shell"


@pytest.mark.parametrize(
    ("line", "command", "port"),
    [
        pytest.param(
            "ERROR: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): "
            "[errno 98] address already in use",
            "",
            8000,
            id="asyncio",
        ),
        pytest.param(
            "[2026-11-25 14:51:02 +0000] [77] [ERROR] Connection in use: ('127.0.0.1', 8001)",
            "",
            8001,
            id="gunicorn",
        ),
        pytest.param(
            "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
            "",
            80,
            id="nginx",
        ),
        pytest.param(
            "Error: listen EADDRINUSE: address already in use :::3000", "", 3000, id="node"
        ),
        pytest.param(
            "panic: listen tcp [::1]:9000: bind: address already in use", "", 9000, id="go"
        ),
        pytest.param(
            "OSError: [Errno 98] Address already in use", "serve --port 8002 a", 8002, id="option"
        ),
        pytest.param(
            "OSError: [Errno 98] Address already in use", "g -b 0.0.0.0:8003", 8003, id="address"
        ),
        pytest.param("OSError: [Errno 98] Address already in use", "serve", 0, id="nowhere"),
        pytest.param("listening on ('127.0.0.1', 8000)", "serve -p 8000", 0, id="no complaint"),
    ],
)
def test_the_port_that_is_in_use(line: str, command: str, port: int) -> None:
    assert port_in_use([line], command) == port
