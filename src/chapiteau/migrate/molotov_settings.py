"""molotov.json → settings of ours, for one of its tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from chapiteau.core.problems import Problem, did_you_mean, raise_problems

__all__ = ["MolotovSettings", "MolotovTest", "molotov_settings"]

_FILE: Final = "loadtest.py"  # what molotov runs when nothing is said
_TAKEN: Final = frozenset(
    "duration workers processes max_runs ramp_up scenario use_extension env requirements "
    "single_mode single_run delay quiet verbose console console_update exception debug".split()
)
_LEFT: Final = {
    "sizing": "chapiteau load capacity answers that",
    "sizing_tolerance": "chapiteau load capacity answers that",
    "fail": "say --objective",
    "statsd": "the result is exported instead",
    "statsd_address": "the result is exported instead",
    "uvloop": "the engine needs none",
    "force_shutdown": "sessions are cut off after --drain",
}


class MolotovSettings(TypedDict, total=False):
    """Settings of a load test, as chapiteau.toml would have them."""

    target: str
    users: int
    iterations: int
    duration: str
    shape: str
    processes: int
    scenarios: list[str]
    options: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MolotovTest:
    """What one test of a molotov.json says."""

    settings: MolotovSettings  # of ours; the target is relative to the file
    environment: dict[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def molotov_settings(text: str, test: str = "", *, name: str = "molotov.json") -> MolotovTest:
    """The settings of the named test, or of the only one.

    Raises InvalidInputError for what is no such file, and for an unknown test.
    """
    root = _root(text, name)
    tests = root.get("tests")
    tests = tests if isinstance(tests, Mapping) else {}
    if not test and len(tests) == 1:
        test = next(iter(tests))
    if not isinstance(tests.get(test), Mapping):
        hint = did_you_mean(test, tests) if test else f"say which: {name}:{next(iter(tests), '')}"
        raise_problems(
            name, [Problem("tests", f"has no test {test!r}" if test else "are several", hint)]
        )
    chosen: Mapping[str, Any] = tests[test]
    environment = root.get("env")
    own = chosen.get("env")
    merged = {**_texts(environment), **_texts(own)}
    return MolotovTest(
        settings=_settings(chosen),
        environment=merged,
        problems=tuple(_problems(chosen, root, f"{name}:{test}")),
    )


def _root(text: str, name: str) -> Mapping[str, Any]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise_problems(name, [Problem("", f"is not JSON: {exc}")])
    root = raw.get("molotov") if isinstance(raw, dict) else None
    if not isinstance(root, dict):
        raise_problems(name, [Problem("molotov", "is missing: this is no molotov.json")])
    return root or {}


def _texts(raw: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in raw.items()} if isinstance(raw, Mapping) else {}


def _settings(chosen: Mapping[str, Any]) -> MolotovSettings:
    workers = max(1, _whole(chosen.get("workers"), 1) * _whole(chosen.get("processes"), 1))
    seconds = _whole(chosen.get("duration"), 86_400)
    ramp = _whole(chosen.get("ramp_up"), 0)
    settings = MolotovSettings(target=str(chosen.get("scenario") or _FILE))
    if chosen.get("single_run"):
        settings["users"] = settings["iterations"] = workers
    elif ramp:
        rest = max(1, seconds - ramp)
        settings["shape"] = f"0->{workers} {ramp}s, {workers} {rest}s"
    else:
        settings["users"], settings["duration"] = workers, f"{seconds}s"
        if runs := _whole(chosen.get("max_runs"), 0):
            settings["iterations"] = runs * workers  # molotov counts for each worker
    if processes := _whole(chosen.get("processes"), 0):
        settings["processes"] = processes
    if chosen.get("single_mode"):
        settings["scenarios"] = [str(chosen["single_mode"])]
    extensions = chosen.get("use_extension")
    if extensions:
        listed = extensions if isinstance(extensions, list) else [extensions]
        settings["options"] = {"use_extension": " ".join(map(str, listed))}
    if chosen.get("delay"):
        settings.setdefault("options", {})["delay"] = str(chosen["delay"])
    return settings


def _whole(raw: Any, otherwise: int) -> int:
    good = isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < 1e9
    return int(raw) if good else otherwise


def _problems(chosen: Mapping[str, Any], root: Mapping[str, Any], where: str) -> list[Problem]:
    found = [
        Problem(where, f"{key!r} is left out", hint)
        for key, hint in _LEFT.items()
        if chosen.get(key)
    ]
    found += [
        Problem(where, f"{key!r} is not a setting", did_you_mean(str(key), _TAKEN))
        for key in chosen
        if key not in _TAKEN and key not in _LEFT
    ]
    needed = chosen.get("requirements") or root.get("requirements")
    if needed:
        found.append(
            Problem(where, f"its requirements are not installed: {needed}", "install them")
        )
    return found
