"""From the text of an OpenAPI document to a flow, a base URL and a list of what is wrong."""

import importlib
import json
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from chapiteau.core.problems import InvalidInputError, Problem, raise_problems
from chapiteau.load.inputs.openapi.document import Document, read_document
from chapiteau.load.inputs.openapi.flow import OpenApiFlow
from chapiteau.load.inputs.openapi.operations import (
    Credentials,
    Operation,
    Selection,
    allowed_operations,
    credentials_for,
    select_operations,
)
from chapiteau.load.inputs.openapi.request_builder import RequestBuilder
from chapiteau.load.inputs.schema_references import MISSING_FILE, References, json_pointer
from chapiteau.load.inputs.schema_sampler import Sampler
from chapiteau.load.inputs.url_encoding import resolve_url, unquote, url_origin

__all__ = ["OpenApi", "bundle_document", "parse_document", "read_openapi"]

_DEEPEST: Final = 200  # levels of tables and lists in a document


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApi:
    """What a document turned into. `problems` did not stop it; show them."""

    flow: OpenApiFlow
    base_url: str  # where the document says the service is; "" when it does not say
    title: str
    version: str
    problems: tuple[Problem, ...] = ()


def read_openapi(
    document: str | bytes | Mapping[str, Any],
    *,
    at: str = "",
    selection: Selection | None = None,
    credentials: Credentials | None = None,
    base: str = "",
) -> OpenApi:
    """The document (text, or tables already read) as a flow; `at` is the URL it came from.

    With a `base` given, operations with servers of their own go there, too.

    Raises InvalidInputError when nothing can be sent: no OpenAPI document, no operation left.
    """
    subject = at or "OpenAPI document"
    raw = document if isinstance(document, Mapping) else parse_document(document, subject)
    raise_problems(subject, _version_problems(raw))
    references = References(raw)
    read = read_document(raw, references)
    if base:
        here = [replace(operation, server="") for operation in read.operations]
        read = replace(read, operations=tuple(here))
    chosen, unknown = select_operations(read.operations, selection or Selection())
    if not chosen:
        raise_problems(subject, [*unknown, _nothing(read), *references.problems])
    allowed = allowed_operations(read.operations, chosen, selection or Selection())
    writers = _writers(allowed, read, references, credentials or Credentials())
    flow = OpenApiFlow(read.title or "openapi", chosen, writers)
    return OpenApi(
        flow=flow,
        base_url=_base_url(read, at),
        title=read.title,
        version=read.version,
        problems=(*unknown, *references.problems),
    )


def parse_document(text: str | bytes, subject: str = "document") -> Mapping[str, Any]:
    """JSON or (where PyYAML is installed) YAML as tables; raises InvalidInputError."""
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", "replace")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as exc:
        if text.lstrip()[:1] in {"{", "["}:
            raise_problems(subject, [Problem("", f"is not JSON: {exc}")])
        raw = _yaml(text, subject)
    if not isinstance(raw, dict):
        hint = "its top level must be an object with openapi, info and paths"
        raise_problems(subject, [Problem("#", "is not an OpenAPI document", hint)])
    tables: dict[str, Any] = _with_text_keys(raw)
    return tables


def _yaml(text: str, subject: str) -> Any:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        hint = "pip install pyyaml, or convert the document to JSON"
        raise_problems(subject, [Problem("", "looks like YAML, which needs PyYAML", hint)])
    try:
        return yaml.load(text, Loader=_json_like(yaml))
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise_problems(subject, [Problem("", f"is neither JSON nor YAML: {exc}")])


def _json_like(yaml: Any) -> Any:
    """A safe loader that keeps `2024-01-01` a string, as JSON would."""

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is built
    timestamp = "tag:yaml.org,2002:timestamp"
    resolvers = {
        first: [(tag, regexp) for tag, regexp in pairs if tag != timestamp]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    return type("JsonLikeLoader", (base,), {"yaml_implicit_resolvers": resolvers})


def _with_text_keys(raw: Any, depth: int = 0) -> Any:
    """The same with every key a string: YAML reads the status `200` as a number."""
    if depth > _DEEPEST:
        return None
    if isinstance(raw, Mapping):
        return {str(k): _with_text_keys(v, depth + 1) for k, v in raw.items()}
    if isinstance(raw, list):
        return [_with_text_keys(v, depth + 1) for v in raw]
    return raw


def _version_problems(raw: Mapping[str, Any]) -> list[Problem]:
    version = raw.get("openapi")
    if isinstance(version, str) and version.startswith("3."):
        return []
    if "swagger" in raw:
        hint = "convert it first, for example with `npx swagger2openapi`"
        return [Problem("#/swagger", f"is Swagger {raw['swagger']}, not OpenAPI 3", hint)]
    if version is None:
        return [Problem("#/openapi", "is missing", "an OpenAPI document says `openapi: 3.1.0`")]
    return [Problem("#/openapi", f"must be 3.0 or 3.1, not {version!r}")]


def _nothing(read: Document) -> Problem:
    if not read.operations:
        return Problem("#/paths", "describes no operation")
    if all(o.deprecated for o in read.operations):
        return Problem("#/paths", "describes deprecated operations only", "say --deprecated")
    known = ", ".join(o.name for o in read.operations[:8])
    hint = f"the document has {known}{' …' if len(read.operations) > 8 else ''}"
    return Problem("", "no operation is left to send after the filters", hint)


def _writers(
    operations: list[Operation],
    read: Document,
    references: References,
    credentials: Credentials,
) -> dict[str, RequestBuilder]:
    sampler = Sampler(references)
    writers = {}
    for operation in operations:
        badge = credentials_for(operation, read.schemes, credentials)
        if badge.missing:
            what = f"needs credentials that were not given ({badge.missing})"
            references.problem(f"{operation.where}/security", what, "answers will be 401")
        writers[operation.name] = RequestBuilder(operation, sampler, badge)
    return writers


def _base_url(read: Document, at: str) -> str:
    """The first server of the document, seen from where it was found."""
    origin = url_origin(at)
    if not read.servers:
        return origin
    url = resolve_url(at if origin else "", read.servers[0] or "/").rstrip("/")
    return url if url_origin(url) else ""


# OpenAPI documents in several files → one: a `$ref` to a file becomes one within the document.

_KEY: Final = "x-chapiteau-files"  # where the other files stand in the one that comes of it
_MOST: Final = 2_000  # files
_ENDINGS: Final = (".json", ".yaml", ".yml")

ReadText = Callable[[str], str]  # of a path relative to the document; raises OSError


def bundle_document(text: str, read: ReadText) -> tuple[str, tuple[Problem, ...]]:
    """The document with all that it refers to, and what could not be had.

    The text comes back as it is when it names no other file, or is no OpenAPI document at all.
    """
    if "$ref" not in text:
        return text, ()
    try:
        root = parse_document(text)
    except InvalidInputError:
        return text, ()  # whoever reads it next says what is wrong
    work = _Bundle(read)
    made = work.moved(root, "", "#")
    while work.pending:
        work.load(work.pending.pop())
    if not work.files:
        return text, tuple(work.problems)
    return json.dumps({**made, _KEY: work.files}), tuple(work.problems)


class _Bundle:
    def __init__(self, read: ReadText) -> None:
        self._read = read
        self.files: dict[str, Any] = {}
        self.pending: list[str] = []
        self.problems: list[Problem] = []
        self._asked: dict[str, str] = {}  # by which file each was referred to first

    def load(self, path: str) -> None:
        """Read a file, and move what it refers to."""
        try:
            raw: Any = parse_document(self._read(path), path)
        except OSError as exc:
            hint = f"{self._asked[path]} refers to it"
            self.problems.append(Problem(path, exc.strerror or str(exc), hint))
            self.files[path] = {MISSING_FILE: True}
        except InvalidInputError as exc:
            self.problems += [Problem(path, p.what, p.hint) for p in exc.problems]
            self.files[path] = {MISSING_FILE: True}
        else:
            self.files[path] = self.moved(raw, path, json_pointer(_KEY, path))

    def moved(self, node: Any, file: str, where: str) -> Any:
        """The same with references that hold in the one document; `file` is where it stood."""
        if isinstance(node, Mapping):
            made = {key: self.moved(value, file, where) for key, value in node.items()}
            if isinstance(node.get("$ref"), str):
                made["$ref"] = self.target(node["$ref"], file, where)
            names = node.get("mapping")
            if isinstance(names, Mapping) and isinstance(node.get("propertyName"), str):
                made["mapping"] = {  # of a discriminator: names of schemas, or references
                    key: self.target(to, file, where) if _is_reference(to) else to
                    for key, to in names.items()
                }
            return made
        if isinstance(node, list):
            return [self.moved(item, file, where) for item in node]
        return node

    def target(self, reference: str, file: str, where: str) -> str:
        """Where the reference leads to now; as it was, when that is beyond this machine's files."""
        path, _, fragment = reference.partition("#")
        if not path:
            return where + fragment if fragment.startswith("/") or not fragment else reference
        if url_origin(path) or path.startswith("/"):
            return reference
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), unquote(path)))
        if not path.lower().endswith(_ENDINGS):
            return reference
        if path not in self.files:
            if len(self.files) >= _MOST:
                return reference
            self.files[path] = {}
            self._asked[path] = file or "the document"
            self.pending.append(path)
        return json_pointer(_KEY, path) + (fragment if fragment.startswith("/") else "")


def _is_reference(text: Any) -> bool:
    return isinstance(text, str) and ("#" in text or text.lower().endswith(_ENDINGS))
