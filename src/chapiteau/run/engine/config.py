"""Reads a project's configuration for the supervisor: one call for the brain and the commands."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chapiteau.core.errors import UsageError
from chapiteau.core.fields import Path as KeyPath
from chapiteau.core.partly import as_far_as_known, read_partly
from chapiteau.core.problems import Problem, did_you_mean, raise_problems
from chapiteau.plumbing.project import ProjectFile, read_project
from chapiteau.run.logic.config import SECTIONS, read_spec
from chapiteau.run.logic.spec import Spec

__all__ = ["Config", "check_config", "load_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A chapiteau.toml that is fit to run."""

    path: Path
    files: tuple[Path, ...]  # it and what it includes
    spec: Spec
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)  # as written

    @property
    def run_dir(self) -> Path:
        """Where state, sockets and logs live."""
        return (self.path.parent / self.spec.project.run_dir).absolute()


def load_config(path: Path, env: Mapping[str, str] | None = None) -> Config:
    """Read and check. Raises InvalidInputError with every problem, or what `read_project` does."""
    project, spec, problems = _read(path, env)
    raise_problems(str(path), problems)
    if spec is None:  # no problems and no spec would be a defect of ours
        raise AssertionError("a configuration without problems must give a Spec")
    return Config(path=project.path, files=project.files, spec=spec, raw=_ours(project))


def check_config(
    path: Path,
    others: Mapping[str, type[Any]] | None = None,
    env: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Every problem of the file; syntax errors too.

    `others` are the dataclasses of sections that are not the supervisor's: "dash", or "load.NAME"
    where people choose names.
    """
    try:
        project, _, problems = _read(path, env, on=True)
    except UsageError as exc:
        return [Problem("", exc.what, exc.hint)]
    for section, kind in (others or {}).items():
        problems += _problems_of(project, section, kind)
    return sorted(problems, key=_place)


def _problems_of(project: ProjectFile, section: str, kind: type[Any]) -> Iterator[Problem]:
    name, _, chosen = section.partition(".")
    raw = project.section(name)
    parts = {(name, key): part for key, part in raw.items()} if chosen else {(name,): raw}
    for path, part in parts.items():
        value, found = read_partly(kind, part, path, project.lost.get(path, ()))
        for place, one in found:
            yield Problem(project.where(place), f"{one.where}: {one.what}", one.hint)
        if value is not None:
            yield from _rules_of(project, kind, value, path)


def _rules_of(project: ProjectFile, kind: Any, value: object, path: KeyPath) -> Iterator[Problem]:
    """What its settings must not say together: a section's dataclass may know, as `problems`."""
    for one in as_far_as_known(kind.problems(value)) if hasattr(kind, "problems") else ():
        place = (*path, one.where)
        yield Problem(project.where(place), f"{'.'.join(map(str, place))}: {one.what}", one.hint)


def _read(
    path: Path, env: Mapping[str, str] | None, *, on: bool = False
) -> tuple[ProjectFile, Spec | None, list[Problem]]:
    project = read_project(path, os.environ if env is None else env, on=on)
    spec, problems = read_spec(
        _ours(project), project.where, name=project.folder.name, lost=project.lost
    )
    problems += _unknown_plugins(project)
    return project, spec, sorted([*project.problems, *problems], key=_place)


def _ours(project: ProjectFile) -> dict[str, Any]:
    return {name: project.data[name] for name in SECTIONS if name in project.data}


def _unknown_plugins(project: ProjectFile) -> Iterator[Problem]:
    """Short names that neither we nor an installed package offers."""
    uses = {name: raw.get("use") for name, raw in project.section("plugin").items()}
    short = {name: use for name, use in uses.items() if isinstance(use, str) and ":" not in use}
    if not short:
        return
    from chapiteau.run.logic.plugins.settings import SHIPPED

    if set(short.values()) <= set(SHIPPED):
        return
    from importlib.metadata import entry_points

    known = {*SHIPPED, *entry_points(group="chapiteau.plugins").names}
    for name, use in short.items():
        if use not in known:
            place = ("plugin", name, "use")
            what = f"{'.'.join(place)}: there is no plugin {use!r}"
            hint = f"{did_you_mean(use, known)}; your own is written module:Class"
            yield Problem(project.where(place), what, hint)


def _place(problem: Problem) -> tuple[str, int, str]:
    """Problems in the order of the file: by line as a number."""
    file, _, line = problem.where.rpartition(":")
    return (file, int(line), problem.what) if line.isdigit() else (problem.where, 0, problem.what)
