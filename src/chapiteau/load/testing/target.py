"""A real HTTP server on loopback that behaves as a model says.

    with Target("queue", mean=0.001) as target:
        …  # put load on target.url

It runs as a process of its own.
"""

import json
import subprocess
import sys
from typing import Any, Self

__all__ = ["Target"]


class Target:
    """Starts the server and stops it again."""

    def __init__(self, kind: str = "queue", **settings: Any) -> None:
        self._command = [
            sys.executable, "-m", "chapiteau.load.testing.serving", kind, json.dumps(settings)
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None  # noqa: S101 — asked for above
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/"
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid if self._process is not None else 0
