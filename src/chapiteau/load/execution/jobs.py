"""From what the user typed to a job: a URL, a scenario file, a document, or a section's name."""

import dataclasses
import math
import os
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.fields import read
from chapiteau.core.problems import Problem, did_you_mean, raise_problems
from chapiteau.io.project_file import ProjectFile, find_config, read_project
from chapiteau.load.errors import TargetNotAllowedError
from chapiteau.load.execution.job import Job
from chapiteau.load.protocols import urls
from chapiteau.load.report.redaction import redact_url
from chapiteau.load.scenario.shape import shape_of_rates
from chapiteau.load.scenario.suite import collect_suite
from chapiteau.load.settings import LoadTest, limit_problems
from chapiteau.load.workers.documents import (
    find_document,
    looks_like_document,
    read_source,
    replay_of,
)
from chapiteau.load.workers.plan import CommandSource, DocumentSource, FileSource, Source, UrlSource
from chapiteau.load.workers.suite_loader import (
    foreign_adapter,
    foreign_kind,
    foreign_shape,
    import_scenario,
    suite_from_file,
)

_MOLOTOV_FILE: Final = "molotov.json"
_MODEL: Final = ("rate", "users", "shape")  # each of them decides alone how much load there is

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
    raw: Mapping[str, Any] = {"target": target, **given}
    name = target
    where = ""
    told: tuple[Problem, ...] = ()
    if _is_molotov_json(target):
        raw, told = _molotov_test(target, given)
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
    meant = _apply_file_defaults(test, folder)
    raise_problems("load test" if not where else f"[load.{target}]", limit_problems(meant))
    job = _job(meant, name or test.openapi, folder, command)
    folder = run_folder(project)
    return dataclasses.replace(job, folder=folder, problems=(*told, *job.problems))


def _is_name(target: str) -> bool:
    return bool(target) and not target.startswith(("http://", "https://")) and "." not in target


def _section(
    name: str, given: Mapping[str, Any], project: ProjectFile | None
) -> tuple[Mapping[str, Any], str]:
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
        return FileSource(str(path.resolve())), "", _foreign_warnings(path)
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


# Settings that come with another tester's file: molotov.json, a LoadTestShape, one user.


def _is_molotov_json(target: str) -> bool:
    """`molotov.json`, or `path/molotov.json:test`."""
    return target.endswith(_MOLOTOV_FILE) or f"{_MOLOTOV_FILE}:" in target


def _molotov_test(
    target: str, given: Mapping[str, Any]
) -> tuple[Mapping[str, Any], tuple[Problem, ...]]:
    """The settings of a test in a molotov.json, those given over them; its `env` is set."""
    place, _, test = target.partition(f"{_MOLOTOV_FILE}:")
    path = Path(place) / _MOLOTOV_FILE if test else Path(target)
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


def _foreign_warnings(path: Path) -> tuple[Problem, ...]:
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


def _apply_file_defaults(test: LoadTest, folder: Path) -> LoadTest:
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
