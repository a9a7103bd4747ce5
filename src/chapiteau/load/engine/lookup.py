"""From what the user typed to a job: a URL, a scenario file, a document, or a section's name."""

import dataclasses
import http.client
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.fields import read
from chapiteau.core.problems import Problem, did_you_mean, raise_problems
from chapiteau.load.engine.conduct import Job
from chapiteau.load.errors import ScenarioError, TargetNotAllowedError
from chapiteau.load.logic import urls
from chapiteau.load.logic.settings import LoadTest
from chapiteau.plumbing.project import ProjectFile, find_config, read_project

__all__ = ["find_job", "outline", "project_or_none", "run_folder"]

_DOCUMENT_TIME: Final = 10.0
_MOST_DOCUMENT: Final = 32 << 20


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
    if _is_name(target):
        raw, where = _section(target, given, project)
    test, found = read(LoadTest, raw)
    problems = [Problem(f"{where}{p.where}", p.what, p.hint) for _, p in found]
    if test is not None:
        problems += [Problem(f"{where}{p.where}", p.what, p.hint) for p in test.problems()]
    raise_problems("load test" if not where else f"[load.{target}]", problems)
    if test is None:
        raise UsageError("no settings")
    folder = project.folder if project is not None and where else Path()
    return _job(test, name or test.openapi, folder, command)


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
    source, base = _source(test, folder)
    base = test.base or base
    target = base or test.target
    if base:
        _refuse_foreign(urls.parse(base).host, test)
    return Job(test=test, name=name, source=source, base=base, target=target, command=command)


def _source(test: LoadTest, folder: Path) -> tuple[dict[str, Any], str]:
    """How each process makes its scenarios, and the base URL that comes with it."""
    target = test.target
    if test.openapi or _looks_like_openapi(target):
        return _openapi(test, test.openapi or target, folder)
    if target.startswith(("http://", "https://")):
        address = urls.parse(target)
        return {"kind": "url", "url": str(address)}, str(address)
    path = folder / target
    if not path.is_file():
        raise NotFoundError(
            f"{path}: no such file",
            hint="give a URL, a scenario file, or the name of a [load.NAME]",
        )
    if path.suffix != ".py":
        raise UsageError(f"{path}: not a scenario file (.py)")
    return {"kind": "file", "path": str(path.resolve())}, ""


def _looks_like_openapi(target: str) -> bool:
    return target.split("?", maxsplit=1)[0].endswith(
        ("openapi.json", "openapi.yaml", "openapi.yml")
    )


def _openapi(test: LoadTest, place: str, folder: Path) -> tuple[dict[str, Any], str]:
    from chapiteau.load.logic.inputs.openapi import read_openapi

    if place.startswith(("http://", "https://")):
        _refuse_foreign(urls.parse(place).host, test)
        text, at = _fetched(place, verify=test.verify), place
    else:
        path = folder / place
        if not path.is_file():
            raise NotFoundError(f"{path}: no such OpenAPI document")
        text, at = path.read_text(encoding="utf-8"), ""
    found = read_openapi(text, at=at)
    base = found.base_url
    if test.target.startswith(("http://", "https://")) and not _looks_like_openapi(test.target):
        base = test.target
    if not (test.base or base):
        raise UsageError(
            "the OpenAPI document does not say where the service is",
            hint="pass --base http://host:port",
        )
    return {"kind": "openapi", "text": text, "at": at}, base


def _refuse_foreign(host: str, test: LoadTest) -> None:
    if not urls.is_loopback(host) and host not in test.allow:
        raise TargetNotAllowedError(
            f"{host} is not this machine, and may be somebody else's",
            hint=f"if you may put load on it: --allow {host}",
        )


def _fetched(url: str, *, verify: bool) -> str:
    """A small document over HTTP. Raises ScenarioError when it can't be had."""
    at = urls.parse(url)
    connection: http.client.HTTPConnection
    if at.scheme == "https":
        context = ssl.create_default_context() if verify else ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(
            at.host, at.port, timeout=_DOCUMENT_TIME, context=context
        )
    else:
        connection = http.client.HTTPConnection(at.host, at.port, timeout=_DOCUMENT_TIME)
    try:
        connection.request("GET", at.path, headers={"accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(_MOST_DOCUMENT)
    except (OSError, http.client.HTTPException) as exc:
        raise ScenarioError(f"{url}: {exc}", hint="is the service running?") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise ScenarioError(f"{url}: status {answer.status}, so there is no document to go by")
    return body.decode("utf-8", "replace")


def outline(job: Job) -> list[str]:
    """What would be sent, for `--dry-run`."""
    from chapiteau.load.engine.source import flow_of, play_of_file

    if job.source["kind"] == "url":
        return [f"GET {job.source['url']}"]
    if job.source["kind"] == "file":
        play = play_of_file(Path(job.source["path"])).only(job.test.scenarios)
        total = sum(s.weight for s in play.scenarios)
        return [f"{s.weight / total:6.1%}  {s.name}" for s in play.scenarios]
    return flow_of(job.source).outline()


def with_test(job: Job, **changes: Any) -> Job:
    """The same job with other settings."""
    return dataclasses.replace(job, test=dataclasses.replace(job.test, **changes))
