"""A typed TypeScript client: one file, `fetch` only, strict for tsc."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from chapiteau.service.openapi.clients.calls import Argument, Call, calls, is_upload

__all__ = ["typescript_client"]

_JSON: Final = "application/json"
_SIMPLE: Final = {
    "string": "string", "integer": "number", "number": "number", "boolean": "boolean",
    "null": "null",
}  # fmt: skip


def typescript_client(document: dict[str, Any], *, name: str = "Client") -> str:
    """The source of a module that exports the class `name` and every model."""
    info = document.get("info", {})
    title = f"{info.get('title', 'API')} {info.get('version', '')}".strip()
    parts = [f"// Client of {title}. Written by `chapiteau service client`: don't edit.\n"]
    schemas = document.get("components", {}).get("schemas", {})
    parts += [f"\nexport type {_name(key)} = {_type(schema)};\n" for key, schema in schemas.items()]
    parts.append(_BASE.replace("NAME", name))
    parts += [_method(call) for call in calls(document)]
    return "".join(parts) + "}\n"


def _name(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _type(schema: dict[str, Any]) -> str:
    if is_upload(schema):
        return "Blob"
    if "$ref" in schema:
        return _name(schema["$ref"].rpartition("/")[2])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(_type(part) for part in schema[key]))
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"Array<{_type(schema.get('items', {}))}>"
    if kind == "object":
        return _object(schema)
    return _SIMPLE.get(str(kind), "unknown")


def _object(schema: dict[str, Any]) -> str:
    if "properties" not in schema:
        more = schema.get("additionalProperties")
        return f"Record<string, {_type(more) if isinstance(more, dict) else 'unknown'}>"
    required = set(schema.get("required", ()))
    fields = [
        f"{json.dumps(wire)}{'' if wire in required else '?'}: {_type(part)}"
        for wire, part in schema["properties"].items()
    ]
    return "{ " + "; ".join(fields) + " }"


def _camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def _method(call: Call) -> str:
    in_path = [a for a in call.arguments if a.place == "path"]
    # Cookies are the browser's business: no script may send others.
    others = [a for a in call.arguments if a.place not in ("path", "cookie")]
    parts = [f"{_camel(a.name)}: {_type(a.schema)}" for a in in_path]
    if call.body is not None:
        kind = "BodyInit" if call.body.is_bytes else _type(call.body.schema)
        parts.append(f"body{'' if call.body.required else '?'}: {kind}")
    if others:
        fields = "; ".join(_field(a) for a in others)
        default = "" if any(a.required for a in others) else " = {}"
        parts.append(f"options: {{ {fields} }}{default}")
    path = call.path
    for argument in in_path:
        path = path.replace(
            "{" + argument.wire + "}",
            "${encodeURIComponent(String(" + _camel(argument.name) + "))}",
        )
    answer = "undefined" if call.answer is None else _type(call.answer)
    answer = "Blob" if call.is_bytes else answer
    answer = "ReadableStream<Uint8Array>" if call.streams else answer
    words = " ".join(call.words.split()).replace("*/", "* /") or f"{call.method} {call.path}"
    given = [_pairs(others, "query"), _pairs(others, "header", call.constants)]
    media = call.body.media if call.body else _JSON
    if call.body is not None or call.accept != _JSON:
        given.append("body" if call.body else "undefined")
    if media != _JSON or call.accept != _JSON:
        given += [json.dumps(media), json.dumps(call.accept)]
    return (
        f"\n  /** {words} */\n"
        f"  {_camel(call.name)}({', '.join(parts)}): Promise<Answer<{answer}>> {{\n"
        f'    return this.send("{call.method}", `{path}`, {", ".join(given)});\n  }}\n'
    )


def _field(argument: Argument) -> str:
    return f"{_camel(argument.name)}{'' if argument.required else '?'}: {_type(argument.schema)}"


def _pairs(
    arguments: list[Argument], place: str, constants: Mapping[str, str] | None = None
) -> str:
    pairs = [
        f"{json.dumps(a.wire)}: options.{_camel(a.name)}" for a in arguments if a.place == place
    ]
    pairs += [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in (constants or {}).items()]
    return "{ " + ", ".join(pairs) + " }"


_BASE = """
/** A good answer: the value, and what its headers say. */
export interface Answer<T> {
  value: T;
  status: number;
  headers: Headers;
  /** Version to send back as If-Match. */
  etag: string | null;
}

/** An answer of 400 or more; `problem` is its document (RFC 9457). */
export class ApiError extends Error {
  constructor(
    public readonly status: number,
    public readonly problem: Record<string, unknown>,
  ) {
    super(`${status} ${String(problem["detail"] ?? problem["title"] ?? "")}`.trim());
  }
}

type Values = Record<string, unknown>;

/** Whether it is one JSON value: application/x-ndjson holds many. */
function isJson(media: string): boolean {
  const kind = (media.split(";")[0] ?? "").trim().toLowerCase();
  return kind === "application/json" || kind.endsWith("+json");
}

function encoded(body: unknown, media: string): BodyInit {
  if (typeof body === "string" || body instanceof Blob || body instanceof ArrayBuffer) return body;
  if (ArrayBuffer.isView(body) || body instanceof ReadableStream) return body as BodyInit;
  const isForm = media.startsWith("multipart/form-data");
  if (!isForm && media !== "application/x-www-form-urlencoded") return JSON.stringify(body);
  const made = isForm ? new FormData() : new URLSearchParams();
  for (const [name, value] of Object.entries(body as Values)) {
    if (value === undefined || value === null) continue;
    for (const item of Array.isArray(value) ? value : [value]) {
      if (made instanceof FormData && item instanceof Blob) made.append(name, item);
      else made.append(name, String(item));
    }
  }
  return made;
}

export class NAME {
  constructor(
    private readonly url: string,
    private readonly init: RequestInit = {},
  ) {}

  private async send<T>(
    method: string,
    path: string,
    query: Values,
    headers: Values,
    body?: unknown,
    media = "application/json",
    accept = "application/json",
  ): Promise<Answer<T>> {
    const target = new URL(this.url.replace(/\\/$/, "") + path);
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined || value === null) continue;
      for (const item of Array.isArray(value) ? value : [value]) {
        target.searchParams.append(name, String(item));
      }
    }
    const sent = new Headers(this.init.headers);
    sent.set("Accept", accept);
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined && value !== null) sent.set(name, String(value));
    }
    const init: RequestInit = { ...this.init, method, headers: sent };
    if (body !== undefined) {
      init.body = encoded(body, media);
      if (!(init.body instanceof FormData)) sent.set("Content-Type", media);
    }
    const response = await fetch(target, init);
    const hasJson = isJson(response.headers.get("content-type") ?? "");
    let value: unknown;
    if (response.ok && accept.startsWith("text/event-stream")) {
      value = response.body ?? new ReadableStream(); // it may never end: take it as it comes
    } else if (hasJson || !isJson(accept)) {
      const data = await response.blob();
      const parsed = hasJson && (isJson(accept) || !response.ok);
      value = parsed ? JSON.parse(await data.text()) : data;
    }
    if (!response.ok) {
      throw new ApiError(response.status, (value ?? {}) as Record<string, unknown>);
    }
    return {
      value: value as T,
      status: response.status,
      headers: response.headers,
      etag: response.headers.get("etag"),
    };
  }
"""
