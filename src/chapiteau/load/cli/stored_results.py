"""A result that the user names: by the number it is stored under, or by a JSON file."""

import json
import random
from pathlib import Path
from typing import Any

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.load.client import baselines, result
from chapiteau.load.report.comparison import apply_baseline, compare_results
from chapiteau.load.report.document import FORMAT

__all__ = ["against_baseline", "baseline_for", "stored_result"]

_MARGIN = 0.05


def stored_result(text: str, folder: Path, test: tuple[str, str] | None = None) -> dict[str, Any]:
    """The document; "baseline" is the one that was set for this test (its kind and name).

    Raises NoSuchResultError, NotFoundError, UsageError.
    """
    if text == "baseline" and test is not None:
        return result(folder, _baseline_of(test, folder))
    if text.isdigit():
        return result(folder, int(text))
    try:
        document = json.loads(Path(text).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"{text}: no such file, and no number of a result") from None
    except (ValueError, OSError) as exc:
        raise UsageError(f"{text}: not a result: {exc}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError(f"{text}: not a result of the format {FORMAT}")
    return document


def baseline_for(text: str, folder: Path, test: tuple[str, str]) -> dict[str, Any] | None:
    """What a test of this kind and name is to be held against; None without a `text`."""
    return stored_result(text, folder, test) if text else None


def _baseline_of(test: tuple[str, str], folder: Path) -> int:
    number = baselines(folder).get(test)
    if number is None:
        hint = "set one: chapiteau load baseline NUMBER (see `chapiteau load list`)"
        raise NotFoundError(f"no baseline is set for {test[1]} ({test[0]})", hint=hint)
    return number


def against_baseline(document: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """The document with its comparison; slower than the baseline is not met."""
    found = compare_results(baseline, document, _MARGIN, random.Random("baseline"))  # noqa: S311
    return apply_baseline(document, found)
