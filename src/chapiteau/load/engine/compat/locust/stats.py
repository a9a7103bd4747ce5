"""`environment.stats`: what this load process has counted, by locust's names, for a file's own
judgement. The report has the numbers of all processes."""

from typing import Any, Final

from chapiteau.core.histogram import Histogram
from chapiteau.plumbing.clock import SystemClock

__all__ = ["Entry", "Stats"]

_CLOCK: Final = SystemClock()


class Entry:
    """The requests of one name and method, or all of them; times are milliseconds."""

    def __init__(self, name: str = "Aggregated", method: str = "") -> None:
        self.name = name
        self.method = method
        self.num_requests = 0
        self.num_failures = 0
        self.num_none_requests = 0
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
        """Share of requests that failed."""
        return self.num_failures / self.num_requests if self.num_requests else 0.0

    @property
    def avg_response_time(self) -> float:
        """Mean."""
        return self.total_response_time / self.num_requests if self.num_requests else 0.0

    @property
    def avg_content_length(self) -> float:
        """Mean size of an answer."""
        return self.total_content_length / self.num_requests if self.num_requests else 0.0

    @property
    def median_response_time(self) -> float:
        """Half are quicker."""
        return self.get_response_time_percentile(0.5)

    @property
    def min_response_time(self) -> float:
        """The quickest; 0 without any."""
        return self._times.quantile(0.0) / 1000 if self.num_requests else 0.0

    @property
    def max_response_time(self) -> float:
        """The slowest; 0 without any."""
        return self._times.high / 1000 if self.num_requests else 0.0

    @property
    def total_rps(self) -> float:
        """Requests a second since the start."""
        return self.num_requests / max(1e-3, _CLOCK.wall() - self.start_time)

    current_rps = total_rps

    @property
    def total_fail_per_sec(self) -> float:
        """Failures a second since the start."""
        return self.num_failures / max(1e-3, _CLOCK.wall() - self.start_time)

    current_fail_per_sec = total_fail_per_sec

    def get_response_time_percentile(self, share: float) -> float:
        """The time that this share of the requests keeps; 0 without any."""
        return self._times.quantile(share) / 1000 if self.num_requests else 0.0

    get_current_response_time_percentile = get_response_time_percentile


class Stats:
    """All entries, by (name, method), and their total."""

    def __init__(self) -> None:
        self.total = Entry()
        self.entries: dict[tuple[str, str], Entry] = {}
        self.errors: dict[str, Any] = {}
        self.history: list[Any] = []

    @property
    def num_requests(self) -> int:
        """All of them."""
        return self.total.num_requests

    @property
    def num_failures(self) -> int:
        """Those that failed."""
        return self.total.num_failures

    def get(self, name: str, method: str) -> Entry:
        """The entry of a name and method; an empty one when there was no such request."""
        return self.entries.setdefault((name, method), Entry(name, method))

    def add(self, info: dict[str, Any]) -> None:
        """A request event."""
        milliseconds = float(info.get("response_time") or 0.0)
        size, failed = int(info.get("response_length") or 0), info.get("exception") is not None
        name, method = str(info.get("name", "")), str(info.get("request_type", ""))
        for entry in (self.total, self.get(name, method)):
            entry.log(milliseconds, size, failed=failed)

    def clear_all(self) -> None:
        """Nothing: the report counts from the start."""

    reset_all = clear_all
