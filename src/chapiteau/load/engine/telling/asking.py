"""Asks Prometheus for the numbers of a service that no supervisor of ours runs."""

import base64
import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from chapiteau.load.logic.export.asked import asked_address, busiest, question

__all__ = ["ask_prometheus"]

_TIMEOUT: Final = 10.0
_MOST: Final = 16 << 20  # bytes of an answer


def ask_prometheus(
    server: str, queries: Mapping[str, str], started: float, ended: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Each query's name and points over a test, and a line for each that got no answer.

    A server that is gone costs its numbers, never the test.
    """
    asked: list[dict[str, Any]] = []
    problems: list[str] = []
    url, user, password = asked_address(server)
    for name, query in queries.items():
        try:
            answer = _get(question(url, query, started, ended), user, password)
            asked.append({"name": name, "query": query, "points": busiest(answer, started)})
        except urllib.error.HTTPError as exc:
            problems.append(f"{name} was not told by {url}: {_why(exc)}")
        except (OSError, http.client.HTTPException, ValueError) as exc:
            problems.append(f"{name} was not told by {url}: {getattr(exc, 'reason', exc)}")
    return asked, problems


def _get(url: str, user: str, password: str) -> bytes:
    headers = {"Accept": "application/json", "User-Agent": "chapiteau"}
    if user:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 — http and https only
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        body: bytes = answer.read(_MOST)
        return body


def _why(exc: urllib.error.HTTPError) -> str:
    """What Prometheus says of a query that it can't read, or the status."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        if told := json.loads(exc.read(65_536)).get("error"):
            return str(told)[:300]
    return f"it answered {exc.code}"
