"""Who counts failed requests in the demo: two clients that are not Chapiteau, and a strict one.

`wrk` and `curl` come from Debian. wrk never asks again: a request that a killed process was just
answering is an error to it, so it judges what nobody may lose. curl repeats a GET whose kept
connection ended before any answer, as browsers and proxies do (RFC 9110 §9.2.2), so it judges the
death of a process. h2load is no witness: it forgets a connection that dies, and what was on it.

The strict client is a few lines of `http.client`: kept connections, every answer read to its last
byte, and anything but a complete 200 is a failure.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Count", "Curl", "Strict", "Wrk", "have"]

_WRK_ERRORS: Final = re.compile(
    r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)"
)
_WRK_BAD: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_WRK_ALL: Final = re.compile(r"(\d+) requests in ")


def have(program: str) -> bool:
    """Whether this program is on the machine."""
    return shutil.which(program) is not None


@dataclass
class Count:
    """What a witness saw."""

    name: str
    requests: int = 0
    failed: int = 0
    repeated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        why = ", ".join(f"{n}× {reason}" for reason, n in self.reasons.most_common(3))
        again = f", {self.repeated} repeated" if self.repeated else ""
        return f"{self.requests:>8,} requests, {self.failed} failed{again}" + (
            f" ({why})" if why else ""
        )


class Wrk:
    """wrk, running beside us for some seconds."""

    def __init__(self, url: str, seconds: int, connections: int) -> None:
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", url]
        self._run = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def stop(self) -> Count:
        """Wait for its end and read what it says."""
        said, _ = self._run.communicate(timeout=60)
        return _read_wrk(said)


class Curl:
    """curl with some kept connections at once, until `stop`; it says each answer's status."""

    def __init__(self, url: str, connections: int) -> None:
        self._said = os.memfd_create("answers")
        argv = ["curl", "-q", "--silent", "--noproxy", "*", "--output", os.devnull]
        argv += ["--parallel", "--parallel-max", str(connections), "--max-time", "5"]
        argv += ["--write-out", "%{http_code} %{errormsg}\\n", f"{url}#[1-100000000]"]
        self._run = subprocess.Popen(argv, stdout=self._said, stderr=subprocess.DEVNULL)

    def stop(self) -> Count:
        """End it; what was under way just then counts neither way."""
        early = self._run.poll()
        self._run.terminate()
        self._run.wait(10)
        with os.fdopen(self._said) as said:
            said.seek(0)
            answers = Counter(line.strip() for line in said if line.endswith("\n"))
        seen = Count("curl", requests=answers.total())
        del answers["200"]
        seen.reasons = Counter({why.removeprefix("000 "): n for why, n in answers.items()})
        return _closed(seen, f"it ended by itself with {early}" if early is not None else "")


def _read_wrk(said: str) -> Count:
    answered = _WRK_ALL.search(said)
    seen = Count("wrk", requests=int(answered[1]) if answered else 0)
    if errors := _WRK_ERRORS.search(said):
        for kind, number in zip(
            ("connect", "read", "write", "timeout"), errors.groups(), strict=True
        ):
            seen.reasons[kind] += int(number)
    if bad := _WRK_BAD.search(said):
        seen.reasons["not 2xx"] += int(bad[1])
    return _closed(seen, said)


def _closed(seen: Count, said: str) -> Count:
    seen.reasons = +seen.reasons  # drop the zeros
    seen.failed = seen.reasons.total()
    if not seen.requests:
        seen.failed, seen.reasons["no result: " + said[-200:].strip()] = 1, 1
    return seen


class Strict:
    """Steady requests on kept connections until `stop`; knows what happened to each."""

    def __init__(self, host: str, port: int, path: str, connections: int = 4) -> None:
        self._address = (host, port)
        self._path = path
        self._over = threading.Event()
        self._seen = Count("strict client")
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, daemon=True) for _ in range(connections)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> Count:
        """End after the requests that are under way."""
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        return self._seen

    def _work(self) -> None:
        line = http.client.HTTPConnection(*self._address, timeout=5)
        while not self._over.wait(0.002):
            reason, again = "", False
            for attempt in (1, 2):
                reason = self._ask(line)
                # A GET may be sent again when the connection ended before any answer
                # (RFC 9110 §9.2.2), as browsers and proxies do; it counts as repeated.
                if not reason.startswith("closed"):
                    break
                again = attempt == 1
            with self._lock:
                self._seen.requests += 1
                self._seen.repeated += again and not reason
                if reason:
                    self._seen.failed += 1
                    self._seen.reasons[reason] += 1
        line.close()

    def _ask(self, line: http.client.HTTPConnection) -> str:
        """Nothing when all went well, else what went wrong."""
        try:
            line.request("GET", self._path)
            answer = line.getresponse()
        except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
            line.close()
            return "closed without an answer"
        except OSError as exc:
            line.close()
            return type(exc).__name__
        try:
            answer.read()
        except (OSError, http.client.HTTPException) as exc:
            line.close()
            return f"answer cut short ({type(exc).__name__})"
        return "" if answer.status == 200 else f"status {answer.status}"
