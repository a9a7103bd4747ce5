"""The service under test when our own supervisor runs it: its numbers, and its size.

Talks HTTP over the supervisor's unix socket (docs/reference/control-api.md).
"""

import contextlib
import json
import threading
import urllib.request
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from chapiteau.core.errors import ChapiteauError, NotFoundError, RefusedError
from chapiteau.core.problems import did_you_mean
from chapiteau.io.unix_http import Response, control_path, format_request, request, stream_lines
from chapiteau.load.protocols import urls
from chapiteau.load.verdict.saturation import TargetService

__all__ = ["SupervisorMonitor", "process_limits", "service_version"]

_SCALE_TIME = 120.0
_PROMPT = 2.0  # seconds for an order that nobody waits for


class SupervisorMonitor:
    """A supervisor that answers in a project's run folder. Use it with `with`."""

    def __init__(self, folder: Path) -> None:
        self._socket = control_path(folder)
        self._samples: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._running = False
        self._known: dict[int, tuple[int | None, int | None]] = {}  # pid → its limits

    @classmethod
    def find(cls, folder: Path) -> "SupervisorMonitor | None":
        """The supervisor of this run folder; None when none answers."""
        made = cls(folder)
        try:
            reply = made._ask("GET", "/v1/ping", timeout=2.0)
        except (OSError, ChapiteauError, ValueError):
            return None
        return made if reply.status == 200 else None

    def __enter__(self) -> Self:
        self._running = True
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._running = False

    def _listen(self) -> None:
        """Collect stats messages until nobody wants them; a supervisor that goes ends it."""
        ids: list[str] = []
        with contextlib.suppress(OSError, ChapiteauError, ValueError):
            request = format_request("GET", "/v1/stats")
            with stream_lines(self._socket, request) as (_, lines):
                for line in lines:
                    if not self._running:
                        return
                    if line.strip():
                        message = json.loads(line)
                        # Names are sent only when they change: each sample here gets its own.
                        ids = message.get("ids", ids)
                        self._keep({**message, "ids": ids})

    def _keep(self, sample: dict[str, Any]) -> None:
        sample |= self._limits(sample.get("pid", []))
        with self._lock:
            self._samples.append(sample)
            del self._samples[:-600]

    def _limits(self, pids: list[int]) -> dict[str, list[int | None]]:
        """What each process may use at most, looked up once for each: it runs on this machine."""
        self._known = {pid: self._known.get(pid) or process_limits(pid) for pid in pids}
        found = [self._known[pid] for pid in pids]
        return {"fd_limits": [f for f, _ in found], "memory_limits": [m for _, m in found]}

    def place(self, target: str) -> TargetService:
        """Which service listens where a test's requests go; Place() when that isn't known."""
        with contextlib.suppress(OSError, ChapiteauError, ValueError):
            port = urls.parse(target).port
            status = json.loads(self._ask("GET", "/v1/status", timeout=10.0).body)
            mine = [s for s in status["sockets"] if s["address"].endswith(f":{port}")]
            services = {service for one in mine for service in one["services"]}
            if len(services) == 1:
                return TargetService(services.pop(), tuple(one["name"] for one in mine))
        return TargetService()

    def services(self) -> list[dict[str, Any]]:
        """What it says of each service; none when it doesn't answer."""
        with contextlib.suppress(OSError, ChapiteauError, ValueError, KeyError):
            found = json.loads(self._ask("GET", "/v1/status", timeout=10.0).body)["services"]
            return list(found.values() if isinstance(found, dict) else found)
        return []

    def taken(self) -> list[dict[str, Any]]:
        """The samples since the last call."""
        with self._lock:
            samples, self._samples = self._samples, []
        return samples

    def processes(self, service: str) -> int:
        """How many processes a service has. Raises NotFoundError with the nearest name."""
        status = json.loads(self._ask("GET", "/v1/status", timeout=10.0).body)
        services = status["services"]
        found = services.values() if isinstance(services, dict) else services
        counts = {one["name"]: int(one.get("wanted", len(one["processes"]))) for one in found}
        if service not in counts:
            raise NotFoundError(f"no service {service!r}", hint=did_you_mean(service, counts))
        return counts[service]

    def scale(self, service: str, processes: int, *, wait: bool = True) -> None:
        """Give a service this many processes, and wait until they are ready."""
        asked = {"processes": processes, "wait": wait, "timeout": _SCALE_TIME}
        reply = self._ask(
            "POST",
            f"/v1/services/{service}/scale",
            json.dumps(asked).encode(),
            timeout=_SCALE_TIME + 10 if wait else _PROMPT,
        )
        if reply.status >= 400:
            problem = json.loads(reply.body)
            raise RefusedError(
                f"{service} could not be scaled to {processes}: {problem.get('detail', '')}",
                hint=str(problem.get("hint", "")),
            )

    def _ask(
        self, method: str, target: str, body: bytes | None = None, *, timeout: float
    ) -> Response:
        return request(self._socket, format_request(method, target, body), timeout)


def process_limits(
    pid: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> tuple[int | None, int | None]:
    """How many descriptors a process may open, and how many bytes its cgroup may take; None
    without a limit, or when it can't be known."""
    return _open_files(proc / str(pid) / "limits"), _memory(proc / str(pid) / "cgroup", cgroups)


def _open_files(limits: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in limits.read_text().splitlines():
            if line.startswith("Max open files"):
                return int(line.split()[3])
    return None


def _memory(cgroup: Path, root: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in cgroup.read_text().splitlines():
            if line.startswith("0::/"):
                return int((root / line[4:] / "memory.max").read_text())
    return None


# Which version of a service a test was of: what its OpenAPI document says, or its label.

_PATIENCE: Final = 2.0  # seconds: a test must not wait for it
_LARGEST: Final = 8 << 20  # bytes of a document
_MOST: Final = 60  # letters


def service_version(openapi: str, target: str, supervised: SupervisorMonitor | None) -> str:
    """The version; "" when nobody says one.

    The OpenAPI document that the requests are made from knows it; without one, the supervised
    service behind the target is looked at.
    """
    if openapi:
        return _told(openapi)
    if supervised is None:
        return ""
    name = supervised.place(target).service
    for service in supervised.services():
        document = str(service.get("openapi", ""))
        if service["name"] == name or (document and _place(document) == _place(target)):
            label = str(service.get("labels", {}).get("version", ""))
            return (label or _told(_fetched(document)))[:_MOST]
    return ""


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _told(text: str) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["info"]["version"])[:_MOST]
    return ""


def _fetched(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        return ""
    with (
        contextlib.suppress(OSError, ValueError),
        urllib.request.urlopen(url, timeout=_PATIENCE) as answer,  # noqa: S310 — http only
    ):
        return str(answer.read(_LARGEST).decode("utf-8", "replace"))
    return ""
