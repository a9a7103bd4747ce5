"""Saying that an operation will go: Deprecation (RFC 9745), Sunset (RFC 8594)."""

from datetime import UTC, datetime
from typing import Final

__all__ = ["deprecation_headers", "http_date"]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


def http_date(moment: datetime) -> str:
    """`Tue, 24 Nov 2026 14:00:00 GMT`, in English whatever the locale is."""
    utc = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    day, month = _DAYS[utc.weekday()], _MONTHS[utc.month - 1]
    return f"{day}, {utc.day:02} {month} {utc.year:04} {utc:%H:%M:%S} GMT"


def deprecation_headers(
    since: datetime | bool, sunset: datetime | None, successor: str = ""
) -> list[tuple[str, str]]:
    """Headers for every answer of an operation that is, or will be, out of use.

    `since=True` says deprecated without a date; RFC 9745 wants a date then, so only the document
    and the other headers tell.
    """
    found: list[tuple[str, str]] = []
    if isinstance(since, datetime):
        moment = since if since.tzinfo else since.replace(tzinfo=UTC)
        found.append(("Deprecation", f"@{int(moment.timestamp())}"))
    if sunset is not None:
        found.append(("Sunset", http_date(sunset)))
    if successor:
        found.append(("Link", f'<{successor}>; rel="successor-version"'))
    return found
