"""A Postman collection (v2.0, v2.1) as a load test: each session sends its requests in order."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from chapiteau.core.problems import Problem, raise_problems
from chapiteau.load.inputs.postman_flow import (
    BodyTemplate,
    Pair,
    PostmanFlow,
    PostmanRequest,
    ScriptEffects,
    VariableTemplate,
    is_dynamic,
    read_script,
    read_variables,
)
from chapiteau.load.inputs.recording import ParsedInput
from chapiteau.load.inputs.url_encoding import quote, url_origin

__all__ = ["PostmanFlow", "read_postman"]


# The collection's JSON → steps: folders walked in order, authorisation inherited from above.

_DEEPEST: Final = 40  # folders within folders
_LANGUAGES: Final = {
    "json": "application/json",
    "xml": "application/xml",
    "html": "text/html",
    "text": "text/plain",
    "javascript": "application/javascript",
}


def read_postman(
    text: str | bytes, *, name: str = "collection", variables: Mapping[str, str] | None = None
) -> ParsedInput:
    """The collection as sessions that send its requests in order.

    `variables` go over the collection's own (an environment file's values: `read_variables`).
    Raises InvalidInputError when nothing can be sent.
    """
    raw = _parsed(text, name)
    reader = _Reader(variables or {}, read_variables(raw.get("variable")))
    script = reader.script(raw.get("event"), "#/event")
    steps = tuple(reader.steps(raw, _Around(raw.get("auth"), script), "#"))
    if not steps:
        raise_problems(name, [*reader.problems, Problem("#/item", "has no request in it")])
    reader.check(steps)
    info = raw.get("info")
    title = str(info.get("name") or name) if isinstance(info, Mapping) else name
    return ParsedInput(
        flow=PostmanFlow(title, steps, reader.values),
        base_url=reader.base_url(steps),
        problems=tuple(reader.problems),
    )


def _parsed(text: str | bytes, name: str) -> Mapping[str, Any]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise_problems(name, [Problem("", f"is not JSON: {exc}", "export it as Collection v2.1")])
    if isinstance(raw, Mapping) and isinstance(raw.get("collection"), Mapping):
        raw = raw["collection"]  # as Postman's API wraps it
    if not isinstance(raw, Mapping) or not isinstance(raw.get("item"), list):
        hint = "export it as Collection v2.1"
        raise_problems(name, [Problem("#/item", "is missing: this is no collection", hint)])
    return dict(raw)


@dataclass(frozen=True, slots=True)
class _Around:
    """What a request has from the collection and the folders that it is in."""

    auth: Any
    script: ScriptEffects
    path: str = ""
    depth: int = 0

    def within(self, item: Mapping[str, Any], script: ScriptEffects) -> "_Around":
        """For what is in this item; scripts from outside to inside, as Postman runs them."""
        kept = (*self.script.kept, *script.kept)
        statuses = self.script.statuses | script.statuses
        return _Around(
            item.get("auth", self.auth), ScriptEffects(kept, statuses), self.path, self.depth + 1
        )


class _Reader:
    def __init__(self, given: Mapping[str, str], own: Mapping[str, str]) -> None:
        self.values = {**own, **given}
        self.problems: list[Problem] = []

    def steps(
        self, folder: Mapping[str, Any], around: _Around, where: str
    ) -> Iterator[PostmanRequest]:
        """The requests of a folder and of those within it, in the order of the page."""
        items = folder.get("item")
        for number, item in enumerate(items if isinstance(items, list) else ()):
            at = f"{where}/item/{number}"
            if not isinstance(item, Mapping) or around.depth > _DEEPEST:
                self.problems.append(Problem(at, "is no request and no folder"))
                continue
            script = self.script(item.get("event"), f"{at}/event")
            inner = around.within(item, script)
            if "request" in item:
                step = self.step(item, inner, at)
                if step is not None:
                    yield step
            else:
                name = str(item.get("name", ""))
                path = f"{around.path}/{name}" if around.path else name
                yield from self.steps(item, replace(inner, path=path), at)

    def step(self, item: Mapping[str, Any], around: _Around, at: str) -> PostmanRequest | None:
        raw = item["request"]
        if isinstance(raw, str):
            raw = {"method": "GET", "url": raw}
        if not isinstance(raw, Mapping):
            self.problems.append(Problem(f"{at}/request", "is no request"))
            return None
        url = _url(raw.get("url"))
        if not url:
            self.problems.append(Problem(f"{at}/request/url", "is missing"))
            return None
        shown, query = self.authorised(raw.get("auth", around.auth), f"{at}/request/auth")
        if query:
            url += ("&" if "?" in url else "?") + query
        return PostmanRequest(
            name=str(item.get("name") or url),
            folder=around.path,
            method=str(raw.get("method") or "GET").upper(),
            url=VariableTemplate(url),
            headers=(*_pairs(raw.get("header")), *shown),
            body=self.body(raw.get("body"), f"{at}/request/body"),
            script=around.script,
        )

    def authorised(self, raw: Any, at: str) -> tuple[tuple[Pair, ...], str]:
        """Headers, and a piece for the query, that carry the authorisation."""
        if not isinstance(raw, Mapping) or raw.get("type") in {None, "noauth"}:
            return (), ""
        kind = str(raw["type"])
        fields = _fields(raw.get(kind))
        if kind in {"bearer", "oauth2"}:
            token = fields.get("token", fields.get("accessToken", ""))
            return (_pair("Authorization", f"Bearer {token}"),), ""
        if kind == "basic":
            pair = f"{fields.get('username', '')}:{fields.get('password', '')}"
            filled = self.resolved(pair)
            token = base64.b64encode(filled.encode()).decode()
            return (_pair("Authorization", f"Basic {token}"),), ""
        if kind == "apikey":
            key, value = fields.get("key", ""), fields.get("value", "")
            if fields.get("in") == "query":
                return (), f"{key}={value}"
            return (_pair(key, value),), ""
        hint = "use bearer, basic or apikey, or give the header yourself"
        self.problems.append(Problem(at, f"authorisation of the kind {kind!r} is left out", hint))
        return (), ""

    def resolved(self, text: str) -> str:
        """Text whose variables are known now: what is encoded can't be filled in later."""
        template = VariableTemplate(text)
        for name in template.names:
            text = text.replace("{{" + name + "}}", self.values.get(name, ""))
        return text

    def body(self, raw: Any, at: str) -> BodyTemplate:
        mode = raw.get("mode") if isinstance(raw, Mapping) and not raw.get("disabled") else None
        if mode is None:
            return _body()
        if mode == "raw":
            text = str(raw.get("raw") or "")
            return (
                BodyTemplate(kind="raw", text=VariableTemplate(text), media=_media(raw, text))
                if text
                else _body()
            )
        if mode == "urlencoded":
            return _body("form", pairs=_pairs(raw.get("urlencoded")))
        if mode == "formdata":
            for number, item in enumerate(_list(raw.get("formdata"))):
                if isinstance(item, Mapping) and item.get("type") == "file":
                    where = f"{at}/formdata/{number}"
                    hint = "its part is left out: set the value as text"
                    self.problems.append(Problem(where, "is a file on somebody's disk", hint))
            kinds = tuple(str(item.get("contentType") or "") for item in _sent(raw.get("formdata")))
            return _body("multipart", pairs=_pairs(_sent(raw.get("formdata"))), kinds=kinds)
        if mode == "graphql":
            return _body("raw", text=_graphql(raw), media="application/json")
        self.problems.append(Problem(at, f"a body of the mode {mode!r} is left out"))
        return _body()

    def script(self, raw: Any, at: str) -> ScriptEffects:
        """What the test scripts keep and expect; a pre-request script is told as left out."""
        tests = []
        for event in _list(raw):
            script = event.get("script") if isinstance(event, Mapping) else None
            lines = script.get("exec") if isinstance(script, Mapping) else None
            text = "\n".join(map(str, lines)) if isinstance(lines, list) else str(lines or "")
            if not text.strip():
                continue
            if event.get("listen") == "test":
                tests.append(text)
            else:
                hint = "set the variables beforehand, or write a scenario"
                self.problems.append(Problem(at, "a pre-request script is not run", hint))
        found = read_script("\n".join(tests))
        if found.beyond:
            self.problems.append(Problem(at, f"the test script's {found.beyond} is not followed"))
        return found

    def check(self, steps: tuple[PostmanRequest, ...]) -> None:
        """Tell variables that nothing sets."""
        known = set(self.values)
        told: set[str] = set()
        for step in steps:
            pairs = [*step.headers, *step.body.pairs]
            templates = [step.url, step.body.text, *(t for pair in pairs for t in pair)]
            for name in (n for template in templates for n in template.names):
                if name not in known and name not in told and not is_dynamic(name):
                    told.add(name)
                    what = f"{{{{{name}}}}} is not set"
                    self.problems.append(Problem(step.name, what, f"--variables {name}=…"))
            known |= {kept.variable for kept in step.script.kept}

    def base_url(self, steps: tuple[PostmanRequest, ...]) -> str:
        """The first request's scheme and host, its variables filled in."""
        return url_origin(self.resolved(self.resolved(steps[0].url.text)))


def _body(
    kind: str = "",
    *,
    text: str = "",
    pairs: tuple[Pair, ...] = (),
    media: str = "",
    kinds: tuple[str, ...] = (),
) -> BodyTemplate:
    return BodyTemplate(
        kind=kind, text=VariableTemplate(text), pairs=pairs, media=media, kinds=kinds
    )


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _pair(name: str, value: str) -> Pair:
    return VariableTemplate(name), VariableTemplate(value)


def _pairs(raw: Any) -> tuple[Pair, ...]:
    """`[{key, value, disabled}]`, or header lines as one string (v2.0)."""
    if isinstance(raw, str):
        lines = (line.partition(":") for line in raw.splitlines() if ":" in line)
        return tuple(_pair(name.strip(), value.strip()) for name, _, value in lines)
    return tuple(
        _pair(str(item.get("key") or ""), str(item.get("value") or "")) for item in _sent(raw)
    )


def _sent(raw: Any) -> list[Mapping[str, Any]]:
    """Those of `[{key, value, disabled}]` that go out."""
    return [
        item
        for item in _list(raw)
        if isinstance(item, Mapping) and not item.get("disabled") and item.get("type") != "file"
    ]


def _fields(raw: Any) -> dict[str, str]:
    """Authorisation's settings: a list of key and value (v2.1) or a table (v2.0)."""
    if isinstance(raw, Mapping):
        return {str(k): str(v) for k, v in raw.items()}
    return read_variables(raw)


def _url(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, Mapping):
        return ""
    url = raw.get("raw")
    if not isinstance(url, str) or not url:
        url = _assembled(raw)
    url = _without_disabled(url, raw)
    for item in _list(raw.get("variable")):  # `/cities/:id`
        if isinstance(item, Mapping) and item.get("key"):
            value = str(item.get("value") or "")
            url = _replaced(url, f":{item['key']}", value if "{{" in value else quote(value))
    return url


def _assembled(raw: Mapping[str, Any]) -> str:
    host = raw.get("host")
    host = ".".join(map(str, host)) if isinstance(host, list) else str(host or "")
    path = raw.get("path")
    path = "/".join(map(str, path)) if isinstance(path, list) else str(path or "")
    scheme = str(raw.get("protocol") or "http")
    start = host if host.startswith("{{") or not host else f"{scheme}://{host}"
    port = f":{raw['port']}" if raw.get("port") else ""
    query = "&".join(
        f"{item.get('key') or ''}={item.get('value') or ''}"
        for item in _list(raw.get("query"))
        if isinstance(item, Mapping) and not item.get("disabled")
    )
    if not start and not path:
        return ""
    return f"{start}{port}/{path.removeprefix('/')}" + (f"?{query}" if query else "")


def _without_disabled(url: str, raw: Mapping[str, Any]) -> str:
    """`raw` shows switched-off query pieces too in some exports: take them out."""
    head, mark, query = url.partition("?")
    off = {
        f"{item.get('key') or ''}={item.get('value') or ''}"
        for item in _list(raw.get("query"))
        if isinstance(item, Mapping) and item.get("disabled")
    }
    kept = [piece for piece in query.split("&") if piece not in off] if off else [query]
    joined = "&".join(kept)
    return head + (mark + joined if joined else "")


def _replaced(url: str, name: str, value: str) -> str:
    """The path variable, as a whole segment only: `:id` is not the start of `:idea`."""
    head, mark, rest = url.partition("?")
    return "/".join(value if piece == name else piece for piece in head.split("/")) + mark + rest


def _media(raw: Mapping[str, Any], text: str) -> str:
    options = raw.get("options")
    options = options.get("raw") if isinstance(options, Mapping) else None
    language = options.get("language") if isinstance(options, Mapping) else None
    if isinstance(language, str) and language in _LANGUAGES:
        return _LANGUAGES[language]
    return "application/json" if text.lstrip()[:1] in {"{", "["} else "text/plain"


def _graphql(raw: Mapping[str, Any]) -> str:
    part = raw.get("graphql")
    part = part if isinstance(part, Mapping) else {}
    try:
        variables = json.loads(str(part.get("variables") or "{}"))
    except ValueError:
        variables = {}
    return json.dumps({"query": str(part.get("query") or ""), "variables": variables})
