"""A typed Python client: one file, standard library only, sync and async, strict for mypy."""

import keyword
import re
from typing import Any, Final

from chapiteau.service.openapi.clients._parts import ASYNC, BASE, CLASS, HEAD
from chapiteau.service.openapi.clients.calls import Argument, Call, calls, is_upload

__all__ = ["python_client"]


def python_client(document: dict[str, Any], *, name: str = "Client") -> str:
    """The source of a module with the classes `name` and `Async…name`."""
    info = document.get("info", {})
    title = _one_line(f"{info.get('title', 'API')} {info.get('version', '')}".strip())
    parts = [HEAD.format(title=title)]
    schemas = document.get("components", {}).get("schemas", {})
    parts += [_model(key, schema) for key, schema in schemas.items()]
    parts.append(BASE)
    found = list(calls(document))
    parts.append(CLASS.format(name=name, title=title))
    parts += [_method(call) for call in found]
    parts.append(ASYNC.format(name=name, title=title))
    parts += [_async_method(call) for call in found]
    return "".join(parts)


# ── types ────────────────────────────────────────────────────────────────────────────────────────
_SIMPLE: Final = {
    "string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None",
}  # fmt: skip


def _class_name(text: str) -> str:
    name = re.sub(r"\W+", "_", text).strip("_")
    return name if name and not name[0].isdigit() else f"T_{name}"


def _type(schema: dict[str, Any]) -> str:
    if is_upload(schema):
        return "Upload"
    if "$ref" in schema:
        return _class_name(schema["$ref"].rpartition("/")[2])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(_type(part) for part in schema[key]))
    if "enum" in schema and all(isinstance(v, str | int | bool) for v in schema["enum"]):
        return f"Literal[{', '.join(repr(v) for v in schema['enum'])}]"
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"dict[str, {_type(more) if isinstance(more, dict) else 'Any'}]"
    return _SIMPLE.get(str(kind), "Any")


def _model(key: str, schema: dict[str, Any]) -> str:
    name = _class_name(key)
    if "properties" not in schema:
        return f"\n{name}: TypeAlias = {_quoted(_type(schema))}\n"
    required = set(schema.get("required", ()))
    fields = [
        (wire, _type(part) if wire in required else f"NotRequired[{_type(part)}]")
        for wire, part in schema["properties"].items()
    ]
    if all(wire.isidentifier() and not keyword.iskeyword(wire) for wire, _ in fields):
        words = _one_line(schema.get("description", "")) or f"{name}."
        lines = "".join(f"    {wire}: {kind}\n" for wire, kind in fields)
        return f'\n\nclass {name}(TypedDict):\n    """{words}"""\n\n{lines or "    pass" + chr(10)}'
    pairs = ", ".join(f"{wire!r}: {_quoted(kind)}" for wire, kind in fields)
    return f'\n{name} = TypedDict("{name}", {{{pairs}}})\n'


def _quoted(kind: str) -> str:
    return f'"{kind}"'.replace("'", "\\'") if '"' not in kind else repr(kind)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''")


# ── methods ──────────────────────────────────────────────────────────────────────────────────────
def _signature(call: Call) -> str:
    in_path = [a for a in call.arguments if a.place == "path"]
    parts = ["self", *(f"{a.name}: {_type(a.schema)}" for a in in_path)]
    named = [_named(a) for a in call.arguments if a.place != "path"]
    if call.body is not None:
        kind = "bytes" if call.body.is_bytes else _type(call.body.schema)
        parts.append(f"body: {kind}" if call.body.required else f"body: {kind} | None = None")
    return ", ".join([*parts, *(["*", *named] if named else [])])


def _named(argument: Argument) -> str:
    kind = _type(argument.schema)
    if argument.required:
        return f"{argument.name}: {kind}"
    return f"{argument.name}: {kind}{'' if kind.endswith('None') else ' | None'} = None"


def _answer(call: Call, pieces: str = "Pieces") -> str:
    if call.streams:
        return pieces
    if call.is_bytes:
        return "bytes"
    return "None" if call.answer is None else _type(call.answer)


def _method(call: Call) -> str:
    def pairs(place: str) -> str:
        said = [f'"{a.wire}": {a.name}' for a in call.arguments if a.place == place]
        fixed = [f'"{k}": "{v}"' for k, v in call.constants.items()] if place == "header" else []
        if place == "header" and (cookies := pairs("cookie")):
            fixed.append(f'"Cookie": _cookies({{{cookies}}})')
        return ", ".join([*said, *fixed])

    path = call.path
    for argument in call.arguments:
        if argument.place == "path":
            path = path.replace("{" + argument.wire + "}", "{_quote(" + argument.name + ")}")
    body = ", body=body" if call.body is not None else ""
    if call.body is not None and call.body.media != "application/json":
        body += f', media="{call.body.media}"'
    if call.accept != "application/json":
        body += f', accept="{call.accept}"'
    prefix = "f" if "{" in path else ""
    send = "_stream" if call.streams else "_send"
    return (
        f"\n    def {call.name}({_signature(call)}) -> Answer[{_answer(call)}]:\n"
        f'        """{_one_line(call.words) or call.method + " " + call.path}"""\n'
        f'        return self.{send}("{call.method}", {prefix}"{path}", '
        f"{{{pairs('query')}}}, {{{pairs('header')}}}{body})\n"
    )


def _async_method(call: Call) -> str:
    given = [
        a.name if a.place == "path" else f"{a.name}={a.name}"
        for a in sorted(call.arguments, key=lambda a: a.place != "path")
    ]
    if call.body is not None:
        given.insert(sum(a.place == "path" for a in call.arguments), "body")
    words = ", ".join([f"self._client.{call.name}", *given])
    answer = f"return await asyncio.to_thread({words})"
    if call.streams:
        answer = f"return _later(await asyncio.to_thread({words}))"
    return (
        f"\n    async def {call.name}({_signature(call)}) -> "
        f"Answer[{_answer(call, 'AsyncPieces')}]:\n"
        f'        """{_one_line(call.words) or call.method + " " + call.path}"""\n'
        f"        {answer}\n"
    )
