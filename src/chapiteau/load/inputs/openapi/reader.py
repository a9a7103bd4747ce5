"""From the text of an OpenAPI document to a flow, a base URL and a list of what is wrong."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.core.problems import Problem, raise_problems
from chapiteau.load.inputs.openapi.document import Document, read_document
from chapiteau.load.inputs.openapi.flow import OpenApiFlow
from chapiteau.load.inputs.openapi.operations import (
    Operation,
    Selection,
    allowed_operations,
    select_operations,
)
from chapiteau.load.inputs.openapi.request_builder import RequestBuilder
from chapiteau.load.inputs.openapi.security import Credentials, credentials_for
from chapiteau.load.inputs.schema_references import References
from chapiteau.load.inputs.schema_sampler import Sampler
from chapiteau.load.inputs.url_encoding import resolve_url, url_origin

__all__ = ["OpenApi", "parse_document", "read_openapi"]

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
) -> OpenApi:
    """The document (text, or tables already read) as a flow; `at` is the URL it came from.

    Raises InvalidInputError when nothing can be sent: no OpenAPI document, no operation left.
    """
    subject = at or "OpenAPI document"
    raw = document if isinstance(document, Mapping) else parse_document(document, subject)
    raise_problems(subject, _version_problems(raw))
    references = References(raw)
    read = read_document(raw, references)
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
