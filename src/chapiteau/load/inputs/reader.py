"""One door for everything that people already have: by its format, or by what it looks like."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from chapiteau.core.errors import UsageError
from chapiteau.core.problems import did_you_mean
from chapiteau.load.inputs.access_log import read_access_log
from chapiteau.load.inputs.curl import read_curl
from chapiteau.load.inputs.har import read_har
from chapiteau.load.inputs.openapi import Credentials, Selection, read_openapi
from chapiteau.load.inputs.postman import read_postman
from chapiteau.load.inputs.recording import ParsedInput, ReadFile, RebasedFlow, read_urls
from chapiteau.load.inputs.url_encoding import url_origin

__all__ = ["Format", "InputOptions", "guess_format", "read_input"]

Format = Literal["openapi", "har", "postman", "curl", "urls", "accesslog"]

_BY_NAME: Final = (
    (".har", "har"),
    (".postman_collection.json", "postman"),
    (".urls", "urls"),
    (".curl", "curl"),
    (".log", "accesslog"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """What the user may say about a document; each format takes what concerns it."""

    selection: Selection = field(default_factory=Selection)
    credentials: Credentials = field(default_factory=Credentials)
    variables: Mapping[str, str] = field(default_factory=dict)  # of a Postman collection
    pauses: bool = True  # of a HAR file
    base: str = ""  # where the service is, when the user says so


def guess_format(name: str, text: str) -> Format:
    """The format of a file by its name, else by how it begins. Raises UsageError."""
    lower = name.lower()
    for ending, found in _BY_NAME:
        if lower.endswith(ending):
            return _named(found)
    start = text.lstrip("\ufeff \t\r\n")[:4000]
    if "_postman_id" in start or "schema.getpostman.com" in start:
        return "postman"
    if start.startswith("{") and '"log"' in start and '"entries"' in text:
        return "har"
    if '"openapi"' in start or "openapi:" in start or '"swagger"' in start or "swagger:" in start:
        return "openapi"
    if start.startswith(("curl ", "$ curl ")):
        return "curl"
    first = start.partition("\n")[0]
    if first.startswith(("http://", "https://", "/", "GET ", "POST ", "PUT ", "DELETE ", "#")):
        return "urls"
    if "HTTP/" in first and "[" in first:
        return "accesslog"
    raise UsageError(
        f"{name}: can't tell what this is",
        hint=f"say --format, one of {', '.join(get_args(Format))}",
    )


def _named(word: str) -> Format:
    for known in get_args(Format):
        if word == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(f"no format {word!r}", hint=did_you_mean(word, get_args(Format)))


def read_input(
    kind: str,
    text: str,
    *,
    name: str = "",
    at: str = "",
    options: InputOptions | None = None,
    read_file: ReadFile | None = None,
) -> ParsedInput:
    """The document as a flow; raises InvalidInputError, and UsageError for an unknown format.

    `at` is the URL that it came from, `read_file` gives the files that it names.
    """
    chosen = options or InputOptions()
    found = _named(kind)
    called = name or found
    if found == "openapi":
        api = read_openapi(
            text,
            at=at,
            selection=chosen.selection,
            credentials=chosen.credentials,
            base=chosen.base,
        )
        return ParsedInput(flow=api.flow, base_url=api.base_url, problems=api.problems)
    if found == "har":
        return read_har(text, name=called, pauses=chosen.pauses, base=chosen.base)
    if found == "postman":
        return _moved(read_postman(text, name=called, variables=chosen.variables), chosen.base)
    if found == "curl":
        return _moved(read_curl(text, name=called, read_file=read_file), chosen.base)
    if found == "urls":
        return _moved(read_urls(text, name=called, read_file=read_file), chosen.base)
    log = read_access_log(text, name=called)
    return ParsedInput(flow=log.flow, problems=log.problems)


def _moved(made: ParsedInput, base: str) -> ParsedInput:
    """The same for a service at `base`: what went to the document's first host goes there."""
    home = url_origin(made.base_url)
    if not base or not home or url_origin(base) == home:
        return made
    return replace(made, flow=RebasedFlow(made.flow, home))
