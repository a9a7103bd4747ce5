"""Conditional requests (RFC 9110 §13): entity tags and dates, If-Match, If-None-Match and so on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from chapiteau.service.protocol.headers import split_list
from chapiteau.service.protocol.problem import ProblemError

__all__ = [
    "Precondition",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "check_read_precondition",
    "deprecation_headers",
    "http_date",
    "is_fresh",
    "not_modified",
    "parse_date",
    "quote_tag",
    "tags_match",
]


class PreconditionFailedError(ProblemError):
    """The thing has changed since the client read it (412)."""

    status = 412
    code = "precondition-failed"
    title = "The resource has changed"


class PreconditionRequiredError(ProblemError):
    """A change needs If-Match, so that nobody's work is overwritten (428, RFC 6585)."""

    status = 428
    code = "precondition-required"
    title = "If-Match is required"


def quote_tag(tag: str, *, weak: bool = False) -> str:
    """An entity tag as it stands in a header: `"v3"` or `W/"v3"`."""
    return f'W/"{tag}"' if weak else f'"{tag}"'


def tags_match(header: str, tag: str, *, strong: bool) -> bool:
    """Whether a list of entity tags (or `*`) names `tag`, which is written as in a header.

    Strong comparison (If-Match) takes no weak tags at all; weak comparison (If-None-Match)
    compares what is between the quotes.
    """
    header = header.strip()
    if header == "*":
        return True
    bare = tag.removeprefix("W/")
    if strong and tag != bare:
        return False
    for item in map(str.strip, split_list(header)):  # entity tags may hold commas
        if strong and item == tag:
            return True
        if not strong and item.removeprefix("W/") == bare:
            return True
    return False


def not_modified(if_none_match: str | None, tag: str | None) -> bool:
    """Whether a GET answers 304: the client already has this version."""
    return bool(if_none_match and tag) and tags_match(if_none_match or "", tag or "", strong=False)


def parse_date(text: str) -> datetime | None:
    """A date of HTTP in any of its three forms (RFC 9110 §5.6.7), or None when it is none."""
    try:
        made = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return made.replace(tzinfo=UTC) if made.tzinfo is None else made.astimezone(UTC)


def is_fresh(environ: Mapping[str, Any], tag: str | None, modified: datetime | None) -> bool:
    """Whether a GET answers 304. A tag says more than a date, so it alone counts when it is named.

    `tag` is written as in a header; `modified` has a time zone.
    """
    given = environ.get("HTTP_IF_NONE_MATCH")
    if given is not None:
        return not_modified(given, tag)
    since = environ.get("HTTP_IF_MODIFIED_SINCE")
    if since is None or modified is None:
        return False
    date = parse_date(since)
    return date is not None and modified.replace(microsecond=0) <= date


def check_read_precondition(
    environ: Mapping[str, Any], tag: str | None, modified: datetime | None
) -> None:
    """Raise 412 when a GET is meant for another version than there is (RFC 9110 §13.2.2).

    `tag` is without quotes; None: nobody says which version this is.
    """
    if tag is not None or modified is not None:
        given = environ.get("HTTP_IF_MATCH")
        since = environ.get("HTTP_IF_UNMODIFIED_SINCE")
        Precondition(given if tag is not None else None, None, False, since).check(
            tag, modified=modified
        )


@dataclass(frozen=True, slots=True)
class Precondition:
    """If-Match, If-None-Match and If-Unmodified-Since of a request that changes something.

    A handler takes it as a parameter and calls `check` with the version that it is about to
    change, inside the same transaction.
    """

    if_match: str | None = None
    if_none_match: str | None = None
    required: bool = True
    if_unmodified_since: str | None = None

    def check(self, tag: str | None, *, modified: datetime | None = None) -> None:
        """Raise 412 when `tag` (without quotes; None: it does not exist) is not the one meant.

        A client without tags may name the date since which nothing may have changed, if you tell
        when something did: `modified`, with a time zone. Raises 428 when the client names no
        version at all, unless the operation says `if_match="optional"`.
        """
        quoted = None if tag is None else quote_tag(tag)
        if self.if_match is not None:
            if quoted is None or not tags_match(self.if_match, quoted, strong=True):
                raise PreconditionFailedError(
                    "it has another version than If-Match names: read it again, then decide",
                    headers={} if quoted is None else {"ETag": quoted},
                )
        elif self.if_none_match is not None:
            if quoted is not None and tags_match(self.if_none_match, quoted, strong=False):
                raise PreconditionFailedError("it exists already", headers={"ETag": quoted})
        elif modified is not None and (date := parse_date(self.if_unmodified_since or "")):
            if modified.replace(microsecond=0) > date:
                raise PreconditionFailedError("it has changed since: read it again, then decide")
        elif self.required:
            raise PreconditionRequiredError(
                "send If-Match with the ETag that the last GET answered, or * to overwrite"
            )


# Saying that an operation will go: Deprecation (RFC 9745), Sunset (RFC 8594).


def http_date(moment: datetime) -> str:
    """`Tue, 24 Nov 2026 14:00:00 GMT`, in English whatever the locale is."""
    utc = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return format_datetime(utc.astimezone(UTC), usegmt=True)


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
