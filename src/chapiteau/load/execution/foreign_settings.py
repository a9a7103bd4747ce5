"""Settings that come with another tester's file: molotov.json, a LoadTestShape, one user."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import NotFoundError
from chapiteau.core.problems import Problem
from chapiteau.load.scenario.shape import shape_of_rates
from chapiteau.load.scenario.suite import collect_suite
from chapiteau.load.settings import LoadTest
from chapiteau.load.workers.scenario_file import import_scenario
from chapiteau.load.workers.suite_loader import foreign_adapter, foreign_kind, foreign_shape

__all__ = ["apply_file_defaults", "foreign_warnings", "is_molotov_json", "molotov_test"]

_FILE: Final = "molotov.json"
_MODEL: Final = ("rate", "users", "shape")  # each of them decides alone how much load there is


def is_molotov_json(target: str) -> bool:
    """`molotov.json`, or `path/molotov.json:test`."""
    return target.endswith(_FILE) or f"{_FILE}:" in target


def molotov_test(
    target: str, given: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The settings of a test in a molotov.json, those given over them; its `env` is set."""
    place, _, test = target.partition(f"{_FILE}:")
    path = Path(place) / _FILE if test else Path(target)
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    text = path.read_text(encoding="utf-8")
    found = foreign_adapter("molotov_settings")(text, test, name=str(path))
    os.environ.update(found.environment)
    own = dict(found.settings)
    own["target"] = str(path.parent / own["target"])
    if any(name in given for name in _MODEL):
        own = {name: value for name, value in own.items() if name not in _MODEL}
    options = {**own.get("options", {}), **given.get("options", {})}
    return {**own, **given, "options": options}, found.problems


def foreign_warnings(path: Path) -> tuple[Problem, ...]:
    """What to know before another tester's file is run; nothing for ours."""
    text = path.read_text(encoding="utf-8", errors="replace")
    kind = foreign_kind(text)
    if kind not in {"loads", "locust"}:
        return ()
    what = f"a {kind} file runs in threads: about ten times the generator CPU of an async scenario"
    hint = "hot paths are worth an `async def` (chapiteau.load.scenario)"
    found = [Problem(str(path), what, hint)]
    if kind == "locust" and "LoadTestShape" in text and "user_classes" in text:
        what = "the classes of users that its LoadTestShape names for a time are not kept apart"
        found.append(Problem(str(path), what, "their weights hold all the time"))
    return tuple(found)


def apply_file_defaults(test: LoadTest, folder: Path) -> LoadTest:
    """The test, with its file's own load where none was given.

    Other testers know users only: without a word their files get one, not ten sessions a second.
    """
    if any(getattr(test, name) is not None and getattr(test, name) != "" for name in _MODEL):
        return test
    if test.external:
        return dataclasses.replace(test, users=1)
    path = folder / test.target
    if path.suffix != ".py" or not path.is_file():
        return test
    shape = foreign_shape(path)
    if shape is None:
        return _by_its_own_rates(test, path)
    return dataclasses.replace(test, shape=shape) if shape else dataclasses.replace(test, users=1)


def _by_its_own_rates(test: LoadTest, path: Path) -> LoadTest:
    """A file of ours may say how many sessions arrive; it is imported only if it looks so."""
    if "rates" not in path.read_text(encoding="utf-8", errors="replace"):
        return test
    found = collect_suite(vars(import_scenario(path)), str(path)).rates
    if found is None:
        return test
    return dataclasses.replace(test, shape=shape_of_rates(found.run, found.seconds))
