"""Documents that requests are made from: fetched or read, told apart, tried once beforehand."""

import contextlib
import http.client
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.problems import Problem
from chapiteau.load.errors import ScenarioError
from chapiteau.load.inputs.access_log import ReplayFlow, read_access_log
from chapiteau.load.inputs.har import strip_responses
from chapiteau.load.inputs.openapi.reader import bundle_document
from chapiteau.load.inputs.reader import guess_format, read_input
from chapiteau.load.inputs.recording import ParsedInput
from chapiteau.load.inputs.url_encoding import resolve_url
from chapiteau.load.protocols import urls
from chapiteau.load.settings import LoadTest
from chapiteau.load.workers.plan import DocumentOptions, DocumentSource, FileSource, Source

__all__ = [
    "FoundDocument",
    "find_document",
    "looks_like_document",
    "named_files",
    "read_source",
    "replay_of",
    "source_digest",
]

_TIME: Final = 10.0
_MOST: Final = 256 << 20
_DOCUMENTS: Final = ("openapi.json", "openapi.yaml", "openapi.yml", ".har", "_collection.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDocument:
    """A document for the load processes, where its service is, and what was left out of it."""

    source: DocumentSource
    base: str
    problems: tuple[Problem, ...]


def looks_like_document(target: str) -> bool:
    """Whether a URL is that of a document, and not of a page to be loaded."""
    return target.split("?", maxsplit=1)[0].endswith(_DOCUMENTS)


def find_document(
    place: str, test: LoadTest, folder: Path, allowed: Callable[[str], None]
) -> FoundDocument:
    """The document at a URL or in a file, and all that is known of it.

    `allowed` raises for hosts that may not be asked. Raises NotFoundError, ScenarioError,
    InvalidInputError with every problem that makes it useless.
    """
    if place.startswith(("http://", "https://")):
        allowed(urls.parse(place).host)
        text, at = _fetched(place, verify=test.verify), place
        home = Path()
    else:
        path = folder / place
        if not path.is_file():
            raise NotFoundError(
                f"{path}: no such file",
                hint="give a URL, a scenario file, a document, or the name of a [load.NAME]",
            )
        text, at, home = path.read_bytes().decode("utf-8-sig", "replace"), "", path.parent
    name = Path(place).name
    kind = test.format or guess_format(name, text)
    amiss: tuple[Problem, ...] = ()
    if kind == "openapi":
        text, amiss = bundle_document(text, _beside(at, home, verify=test.verify))
    elif kind == "har":
        text = strip_responses(text)  # each load process gets it: megabytes are kept from them
    options = {name: getattr(test, name) for name in DocumentOptions.__struct_fields__}
    if test.openapi and test.target.startswith(("http://", "https://")):
        options["base"] = test.base or test.target
    source = DocumentSource(
        kind=kind,
        text=text,
        name=name,
        url=at,
        folder=str(home.resolve()),
        options=DocumentOptions(**options),
    )
    found = read_source(source)
    base = source.options.base or found.base_url
    if not base:
        raise UsageError(
            f"{place} does not say where the service is", hint="pass --base http://host:port"
        )
    return FoundDocument(source=source, base=base, problems=(*amiss, *found.problems))


def _beside(at: str, home: Path, *, verify: bool) -> Callable[[str], str]:
    """The text of what lies beside a document: in the same folder, or below the same URL."""

    def read(path: str) -> str:
        if not at:
            return (home / path).read_bytes().decode("utf-8-sig", "replace")
        try:
            return _fetched(resolve_url(at, path), verify=verify)
        except ScenarioError as exc:
            raise OSError(0, exc.what) from exc

    return read


def read_source(source: DocumentSource) -> ParsedInput:
    """What a document makes; each load process reads its own.

    Files that the document names are read beside it, or where `files` says that they lie.
    """
    folder = Path(source.folder)
    return _read(source, lambda path: Path(source.files.get(path) or folder / path).read_bytes())


def named_files(source: DocumentSource) -> dict[str, Path]:
    """The files that a document names, such as bodies, by the names it gives them."""
    found: dict[str, Path] = {}

    def read(path: str) -> bytes:
        found[path] = Path(source.folder) / path
        return found[path].read_bytes()

    if source.kind in {"curl", "urls"}:
        _read(source, read)
    return found


def _read(source: DocumentSource, read_file: Callable[[str], bytes]) -> ParsedInput:
    return read_input(
        source.kind,
        source.text,
        name=source.name,
        at=source.url,
        options=source.options.input_options(),
        read_file=read_file,
    )


def replay_of(source: Source, part: int = 0, parts: int = 1) -> ReplayFlow | None:
    """An access log with its own timing, or this process's part of it; None when not asked for."""
    if not isinstance(source, DocumentSource) or not source.is_replay:
        return None
    log = read_access_log(source.text, name=source.name)
    return log.replay(part, parts, source.options.replay)


def _fetched(url: str, *, verify: bool) -> str:
    """A document over HTTP. Raises ScenarioError when it can't be had."""
    at = urls.parse(url)
    connection: http.client.HTTPConnection
    if at.scheme == "https":
        context = ssl.create_default_context() if verify else ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(at.host, at.port, timeout=_TIME, context=context)
    else:
        connection = http.client.HTTPConnection(at.host, at.port, timeout=_TIME)
    try:
        connection.request("GET", at.path, headers={"accept": "application/json, */*;q=0.5"})
        answer = connection.getresponse()
        body = answer.read(_MOST)
    except (OSError, http.client.HTTPException) as exc:
        raise ScenarioError(f"{url}: {exc}", hint="is the service running?") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise ScenarioError(f"{url}: status {answer.status}, so there is no document to go by")
    return body.decode("utf-8-sig", "replace")


def source_digest(source: Source) -> str:
    """Of the scenario file or the document: whether two results came of the same one."""
    if isinstance(source, FileSource):
        with contextlib.suppress(OSError):  # it was there when the load began
            return sha256(Path(source.path).read_bytes()).hexdigest()
    return sha256(source.text.encode()).hexdigest() if isinstance(source, DocumentSource) else ""
