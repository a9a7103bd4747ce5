"""From what the user typed to a job: a URL, a scenario file, a document, or a section's name."""

import dataclasses
import math
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.fields import read
from chapiteau.core.problems import Problem, did_you_mean, raise_problems
from chapiteau.io.project_file import ProjectFile, find_config, read_project
from chapiteau.load.errors import TargetNotAllowedError
from chapiteau.load.execution.foreign_settings import (
    apply_file_defaults,
    foreign_warnings,
    is_molotov_json,
    molotov_test,
)
from chapiteau.load.execution.run_test import Job
from chapiteau.load.protocols import urls
from chapiteau.load.report.redaction import redact_url
from chapiteau.load.settings import LoadTest, limit_problems
from chapiteau.load.workers.documents import (
    find_document,
    looks_like_document,
    read_source,
    replay_of,
)
from chapiteau.load.workers.plan import CommandSource, DocumentSource, FileSource, Source, UrlSource
from chapiteau.load.workers.suite_loader import suite_from_file

__all__ = ["find_job", "project_or_none", "request_outline", "run_folder"]


def project_or_none(config: str | None) -> ProjectFile | None:
    """The project around here; None when there is none and none was asked for."""
    try:
        return read_project(find_config(config))
    except NotFoundError:
        if config:
            raise
        return None


def run_folder(project: ProjectFile | None) -> Path:
    """Where results are kept: the project's run folder, or .chapiteau here."""
    if project is None:
        return Path(".chapiteau")
    given = project.section("project").get("run_dir", ".chapiteau")
    return project.folder / str(given)


def find_job(
    target: str, given: Mapping[str, Any], project: ProjectFile | None, command: tuple[str, ...]
) -> Job:
    """The job for a target and the options given beside it.

    Raises UsageError, NotFoundError, TargetNotAllowedError, ScenarioError.
    """
    raw: dict[str, Any] = {"target": target, **given}
    name = target
    where = ""
    told: tuple[Problem, ...] = ()
    if is_molotov_json(target):
        raw, told = molotov_test(target, given)
    elif _is_name(target):
        raw, where = _section(target, given, project)
    test, found = read(LoadTest, raw)
    problems = [Problem(f"{where}{p.where}", p.what, p.hint) for _, p in found]
    if test is not None:
        problems += [Problem(f"{where}{p.where}", p.what, p.hint) for p in test.problems()]
    raise_problems("load test" if not where else f"[load.{target}]", problems)
    if test is None:
        raise UsageError("no settings")
    folder = project.folder if project is not None and where else Path()
    meant = apply_file_defaults(test, folder)
    raise_problems("load test" if not where else f"[load.{target}]", limit_problems(meant))
    job = _job(meant, name or test.openapi, folder, command)
    folder = run_folder(project)
    return dataclasses.replace(job, folder=folder, problems=(*told, *job.problems))


def _is_name(target: str) -> bool:
    return bool(target) and not target.startswith(("http://", "https://")) and "." not in target


def _section(
    name: str, given: Mapping[str, Any], project: ProjectFile | None
) -> tuple[dict[str, Any], str]:
    tests = project.section("load") if project is not None else {}
    if name not in tests:
        raise NotFoundError(
            f"{name!r} is no URL, no file, and no [load.{name}] in chapiteau.toml",
            hint=did_you_mean(name, tests)
            or "for example: chapiteau load run http://localhost:8000/",
        )
    return {**tests[name], **given}, f"load.{name}."


def _job(test: LoadTest, name: str, folder: Path, command: tuple[str, ...]) -> Job:
    source, base, problems = _source(test, folder)
    test = _in_its_own_time(test, source)
    base = test.base or base
    target = base or test.target
    if base:
        _refuse_foreign(urls.parse(base).host, test)
    return Job(
        test=test,
        name=redact_url(name),
        source=source,
        base=base,
        target=redact_url(target),
        command=command,
        problems=problems,
    )


def _in_its_own_time(test: LoadTest, source: Source) -> LoadTest:
    """A log that is replayed decides by itself how much load there is, and how long."""
    replay = replay_of(source)
    if replay is None:
        if test.replay:
            raise UsageError("replay is for access logs", hint="say --format accesslog")
        return test
    if any((test.rate, test.users, test.shape)):
        raise UsageError("replay can't be given together with a rate, users or a shape")
    seconds = max(1.0, math.ceil(replay.moments[-1] + 0.001))
    timed = dataclasses.replace(test, rate=len(replay.requests) / seconds, duration=seconds)
    # A second of the log may have far more than the mean.
    busiest = max(Counter(int(moment) for moment in replay.moments).values())
    raise_problems("replay", limit_problems(dataclasses.replace(timed, rate=float(busiest))))
    return timed


def _source(test: LoadTest, folder: Path) -> tuple[Source, str, tuple[Problem, ...]]:
    """How each process makes its scenarios, the base URL that comes with it, what is amiss."""
    target = test.target
    is_url = target.startswith(("http://", "https://"))
    if test.external:
        return CommandSource(tuple(shlex.split(test.external))), target, ()
    if is_url and not test.openapi and not test.format and not looks_like_document(target):
        address = urls.parse(target)
        return UrlSource(target), str(address), ()
    if not test.openapi and not is_url and target.endswith(".py"):
        path = folder / target
        if not path.is_file():
            raise NotFoundError(f"{path}: no such scenario file")
        return FileSource(str(path.resolve())), "", foreign_warnings(path)
    found = find_document(
        test.openapi or target, test, folder, lambda host: _refuse_foreign(host, test)
    )
    return found.source, found.base, found.problems


def _refuse_foreign(host: str, test: LoadTest) -> None:
    if not urls.is_allowed(host, test.allow):
        raise TargetNotAllowedError(
            f"{host} is not this machine, and may be somebody else's",
            hint=f"if you may put load on it: --allow {host}",
        )


def request_outline(job: Job) -> list[str]:
    """What would be sent, for `--dry-run`."""
    match job.source:
        case UrlSource(url=url):
            return [f"GET {redact_url(urls.join(job.base, url))}"]
        case CommandSource(command=command):
            return [shlex.join(command)]
        case FileSource(path=path):
            suite = suite_from_file(Path(path), job.test.options).only(job.test.scenarios)
            total = sum(s.weight for s in suite.scenarios)
            return [f"{s.weight / total:6.1%}  {s.name}" for s in suite.scenarios]
        case DocumentSource() as document:
            return (replay_of(document) or read_source(document).flow).outline()
