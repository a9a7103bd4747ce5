/** An OpenAPI document as a list of operations that can be read, tried and copied. */

import { quoted } from "./lines";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Doc = { [key: string]: Json };

export interface Parameter {
  name: string;
  where: "path" | "query" | "header";
  required: boolean;
  description: string;
  schema: Doc;
  example: string;
}

export interface Operation {
  id: string;
  method: string;
  path: string;
  summary: string;
  description: string;
  tag: string;
  deprecated: boolean;
  parameters: Parameter[];
  body: { required: boolean; type: string; schema: Doc; example: string } | null;
  responses: { status: string; description: string; schema: Doc | null }[];
}

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];

export function operations(doc: Doc): Operation[] {
  const found: Operation[] = [];
  for (const [path, item] of entries(doc["paths"])) {
    const shared = list(object(item)["parameters"]);
    for (const method of METHODS) {
      const raw = object(item)[method];
      if (raw) found.push(operation(doc, path, method, object(raw), shared));
    }
  }
  return found;
}

function operation(doc: Doc, path: string, method: string, raw: Doc, shared: Json[]): Operation {
  const params = new Map<string, Parameter>();
  for (const one of [...shared, ...list(raw["parameters"])]) {
    const param = parameter(doc, object(resolve(doc, one)));
    if (param) params.set(`${param.where} ${param.name}`, param);
  }
  return {
    id: text(raw["operationId"]) || `${method} ${path}`,
    method: method.toUpperCase(),
    path,
    summary: text(raw["summary"]),
    description: text(raw["description"]),
    tag: text(list(raw["tags"])[0]) || "other",
    deprecated: raw["deprecated"] === true,
    parameters: [...params.values()],
    body: body(doc, raw["requestBody"]),
    responses: entries(raw["responses"]).map(([status, answer]) => response(doc, status, object(resolve(doc, answer)))),
  };
}

function parameter(doc: Doc, raw: Doc): Parameter | null {
  const where = text(raw["in"]);
  if (where !== "path" && where !== "query" && where !== "header") return null;
  const schema = object(resolve(doc, raw["schema"] ?? {}));
  const given = raw["example"] ?? schema["example"] ?? schema["default"] ?? list(schema["examples"])[0];
  return {
    name: text(raw["name"]),
    where,
    required: raw["required"] === true,
    description: text(raw["description"]),
    schema,
    example: given === undefined ? "" : plainValue(given),
  };
}

function body(doc: Doc, raw: Json | undefined): Operation["body"] {
  if (!raw) return null;
  const found = object(resolve(doc, raw));
  const [type, content] = entries(found["content"])[0] ?? [];
  if (!type) return null;
  const schema = object(resolve(doc, object(content)["schema"] ?? {}));
  const example = object(content)["example"] ?? sample(doc, schema);
  return { required: found["required"] === true, type, schema, example: JSON.stringify(example, null, 2) };
}

function response(doc: Doc, status: string, raw: Doc): Operation["responses"][number] {
  const content = entries(raw["content"])[0]?.[1];
  const schema = content ? object(content)["schema"] : undefined;
  return { status, description: text(raw["description"]), schema: schema ? object(resolve(doc, schema)) : null };
}

/** Follows `$ref` inside the document; a foreign or circular one is left as it is. */
export function resolve(doc: Doc, node: Json | undefined, depth = 0): Json {
  const ref = text(object(node)["$ref"]);
  if (!ref.startsWith("#/") || depth > 8) return node ?? {};
  let at: Json | undefined = doc;
  for (const part of ref.slice(2).split("/")) at = object(at)[part.replace(/~1/g, "/").replace(/~0/g, "~")];
  return resolve(doc, at, depth + 1);
}

/** A value that the schema allows, for a start. */
export function sample(doc: Doc, raw: Json, depth = 0): Json {
  const schema = object(resolve(doc, raw));
  const given = schema["example"] ?? schema["default"] ?? list(schema["examples"])[0] ?? schema["const"] ?? list(schema["enum"])[0];
  if (given !== undefined) return given;
  const choice = list(schema["anyOf"])[0] ?? list(schema["oneOf"])[0] ?? list(schema["allOf"])[0];
  if (choice !== undefined && depth < 6) return sample(doc, choice, depth + 1);
  const kind = Array.isArray(schema["type"]) ? schema["type"][0] : schema["type"];
  if (kind === "object" || schema["properties"]) {
    if (depth >= 6) return {};
    return Object.fromEntries(entries(schema["properties"]).map(([key, value]) => [key, sample(doc, value, depth + 1)]));
  }
  if (kind === "array") return depth < 6 ? [sample(doc, schema["items"] ?? {}, depth + 1)] : [];
  if (kind === "integer" || kind === "number") return Number(schema["minimum"] ?? 1);
  if (kind === "boolean") return true;
  return kind === "null" ? null : "text";
}

/** One line per property: name, type, whether it must be there, what it means. */
export function outline(doc: Doc, raw: Json, depth = 0): { depth: number; name: string; type: string; required: boolean; description: string }[] {
  const schema = object(resolve(doc, raw));
  const inner = schema["type"] === "array" ? object(resolve(doc, schema["items"] ?? {})) : schema;
  const needed = list(inner["required"]);
  if (depth > 5) return [];
  return entries(inner["properties"]).flatMap(([name, value]) => {
    const found = object(resolve(doc, value));
    return [{ depth, name, type: typeOf(doc, value), required: needed.includes(name), description: text(found["description"]) }, ...outline(doc, value, depth + 1)];
  });
}

export function typeOf(doc: Doc, raw: Json): string {
  const schema = object(resolve(doc, raw));
  const many = list(schema["anyOf"]).concat(list(schema["oneOf"]));
  if (many.length) return many.map((one) => typeOf(doc, one)).join(" | ");
  if (schema["type"] === "array") return `${typeOf(doc, schema["items"] ?? {})}[]`;
  const choices = list(schema["enum"]);
  if (choices.length) return choices.map((c) => JSON.stringify(c)).join(" | ");
  const kind = Array.isArray(schema["type"]) ? schema["type"].join(" | ") : text(schema["type"]);
  return text(schema["title"]) && kind === "object" ? text(schema["title"]) : `${kind || "any"}${schema["format"] ? ` (${text(schema["format"])})` : ""}`;
}

export interface Filled {
  values: Record<string, string>; // "path id" → value
  body: string;
}

/** The path with its query; empty optional values are left out. */
export function filledPath(op: Operation, filled: Filled): string {
  let path = op.path;
  const query = new URLSearchParams();
  for (const param of op.parameters) {
    const value = filled.values[`${param.where} ${param.name}`] ?? "";
    if (param.where === "path") path = path.replace(`{${param.name}}`, encodeURIComponent(value));
    else if (param.where === "query" && value !== "") query.append(param.name, value);
  }
  const search = query.toString();
  return search ? `${path}?${search}` : path;
}

export function filledHeaders(op: Operation, filled: Filled): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const param of op.parameters) {
    const value = filled.values[`header ${param.name}`] ?? "";
    if (param.where === "header" && value !== "") headers[param.name] = value;
  }
  if (op.body && filled.body) headers["Content-Type"] = op.body.type;
  return headers;
}

export function curl(origin: string, op: Operation, filled: Filled): string {
  const words = ["curl", "-i"];
  if (op.method !== "GET") words.push("-X", op.method);
  for (const [name, value] of Object.entries(filledHeaders(op, filled))) words.push("-H", quoted(`${name}: ${value}`));
  if (op.body && filled.body) words.push("--data", quoted(compact(filled.body)));
  words.push(quoted(origin + filledPath(op, filled)));
  return words.join(" ");
}

/** A read can be loaded as it stands; anything else by the whole document, which makes its own data. */
export function loadLine(document: string, origin: string, op: Operation, filled: Filled): string {
  const what = op.method === "GET" ? quoted(origin + filledPath(op, filled)) : `--openapi ${quoted(document)}`;
  return `chapiteau load run ${what} --rate 50/s --duration 30s${allowed(origin)}`;
}

/** Load on another machine has to be allowed by name. */
function allowed(origin: string): string {
  const host = new URL(origin).hostname;
  return /^(localhost|127\.|\[::1\])/.test(host) ? "" : ` --allow ${quoted(host)}`;
}

function compact(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json));
  } catch {
    return json;
  }
}

const object = (node: Json | undefined): Doc => (node !== null && typeof node === "object" && !Array.isArray(node) ? node : {});
const list = (node: Json | undefined): Json[] => (Array.isArray(node) ? node : []);
const text = (node: Json | undefined): string => (typeof node === "string" ? node : "");
const entries = (node: Json | undefined): [string, Json][] => Object.entries(object(node));
const plainValue = (node: Json): string => (typeof node === "string" ? node : JSON.stringify(node));
