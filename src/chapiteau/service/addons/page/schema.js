// Schemas to look at, and example values made from them.

import { el, prose } from "./parts.js";

/** What a `$ref` names, or the value itself. */
export function resolve(doc, value) {
  let found = value;
  for (let turns = 0; found?.$ref && turns < 20; turns += 1) {
    const parts = found.$ref.replace(/^#\//, "").split("/");
    found = parts.reduce((at, part) => at?.[part.replace(/~1/g, "/").replace(/~0/g, "~")], doc);
  }
  return found ?? {};
}

const nameOf = (schema) => schema.$ref?.split("/").pop();

/** A type in a few words: `array of City`, `string (date-time) or null`. */
export function typeWords(doc, schema) {
  if (schema === true || schema === undefined) return "anything";
  if (schema === false) return "nothing";
  if (schema.$ref) return nameOf(schema);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((one) => typeWords(doc, one)).join(" or ");
  if (schema.allOf) return schema.allOf.map((one) => typeWords(doc, one)).join(" and ");
  const types = [].concat(schema.type ?? "anything");
  const words = types.map((type) => {
    if (type === "array") return `list of ${typeWords(doc, schema.items ?? true)}`;
    if (type === "object" && !schema.properties && schema.additionalProperties instanceof Object) {
      return `object of ${typeWords(doc, schema.additionalProperties)}`;
    }
    return type;
  });
  const format = schema.format ?? schema.contentEncoding ?? schema.contentMediaType;
  return words.join(" or ") + (format ? ` (${format})` : "");
}

const LIMITS = [
  ["minimum", "≥"], ["exclusiveMinimum", ">"], ["maximum", "≤"], ["exclusiveMaximum", "<"],
  ["multipleOf", "multiple of"], ["minLength", "length ≥"], ["maxLength", "length ≤"],
  ["pattern", "matches"], ["minItems", "items ≥"], ["maxItems", "items ≤"],
  ["minProperties", "keys ≥"], ["maxProperties", "keys ≤"],
];

function limits(schema) {
  const words = LIMITS.filter(([key]) => schema[key] !== undefined).map(([key, sign]) => `${sign} ${schema[key]}`);
  if (schema.default !== undefined) words.push(`default ${JSON.stringify(schema.default)}`);
  if (schema.additionalProperties === false) words.push("no other fields");
  return words.join(", ");
}

/** A schema as a tree that opens where one wants to see more. */
export function schemaTree(doc, schema, { named = true, seen = [] } = {}) {
  const own = resolve(doc, schema);
  const box = el("div", { class: "schema" });
  const line = el("span", { class: "type" });
  const name = nameOf(schema);
  if (name && named) line.append(el("a", { href: `#schema-${name}` }, name));
  else line.append(typeWords(doc, own));
  const more = limits(own);
  if (more) line.append(" ", el("span", { class: "limits" }, more));
  box.append(line);
  if (own.description && !(name && named)) box.append(prose(own.description));
  if (name && (seen.includes(name) || seen.length > 5)) return box;
  const path = name ? [...seen, name] : seen;
  const inner = fields(doc, own, path);
  if (!inner) return box;
  if (!named) box.append(inner);
  else box.append(el("details", {}, el("summary", {}, name ? `Fields of ${name}` : "Inside"), inner));
  return box;
}

function fields(doc, own, seen) {
  if (own.properties) {
    const needed = new Set(own.required ?? []);
    return el("dl", {}, ...Object.entries(own.properties).flatMap(([key, one]) => {
      const about = resolve(doc, one);
      const words = one.$ref && one.description ? prose(one.description) : "";
      return [
        el("dt", {}, el("code", {}, key), needed.has(key) ? el("b", { class: "needed" }, " needed") : ""),
        el("dd", {}, schemaTree(doc, one, { seen }), about.deprecated ? " deprecated" : "", words),
      ];
    }));
  }
  const parts = [own.items, own.additionalProperties, ...(own.prefixItems ?? []), ...(own.anyOf ?? []),
    ...(own.oneOf ?? []), ...(own.allOf ?? [])].filter((one) => one instanceof Object);
  const worth = parts.filter((one) => one.$ref || one.properties || one.items || one.anyOf);
  if (!worth.length) return null;
  return el("div", {}, ...worth.map((one) => schemaTree(doc, one, { seen })));
}

/** The content of a body or answer: one part for each media type. */
export function bodySection(doc, content) {
  const box = el("div", {});
  for (const [media, one] of Object.entries(content ?? {})) {
    const part = el("div", { class: "media" }, el("code", {}, media), " ", schemaTree(doc, one.schema ?? {}));
    if (one.example !== undefined) {
      part.append(el("details", {}, el("summary", {}, "Example"), el("pre", { tabindex: "0" }, JSON.stringify(one.example, null, 2))));
    }
    for (const [name, given] of Object.entries(one.examples ?? {})) {
      part.append(el("details", {}, el("summary", {}, given.summary ?? name),
        el("pre", { tabindex: "0" }, JSON.stringify(resolve(doc, given).value, null, 2))));
    }
    box.append(part);
  }
  return box;
}

/** A value that fits a schema, near enough to begin with. */
export function sample(doc, schema, depth = 0) {
  const own = resolve(doc, schema);
  if (own.example !== undefined) return own.example;
  if (own.examples?.length) return own.examples[0];
  if (own.default !== undefined) return own.default;
  if (own.const !== undefined) return own.const;
  if (own.enum) return own.enum[0];
  const choice = (own.anyOf ?? own.oneOf ?? []).find((one) => one.type !== "null");
  if (choice) return depth > 4 ? null : sample(doc, choice, depth + 1);
  if (own.allOf) return Object.assign({}, ...own.allOf.map((one) => sample(doc, one, depth + 1)));
  const type = [].concat(own.type ?? "object")[0];
  if (type === "object") {
    const made = {};
    const needed = own.required ?? [];
    for (const [key, one] of Object.entries(own.properties ?? {})) {
      if (needed.includes(key) && depth < 5) made[key] = sample(doc, one, depth + 1);
    }
    return made;
  }
  if (type === "array") return own.minItems && depth < 4 ? [sample(doc, own.items ?? {}, depth + 1)] : [];
  if (type === "integer" || type === "number") {
    return own.minimum ?? (own.exclusiveMinimum !== undefined ? own.exclusiveMinimum + 1 : Math.min(1, own.maximum ?? 1));
  }
  if (type === "boolean") return true;
  return text(own);
}

function text(schema) {
  const formats = { "date-time": "2026-01-31T12:00:00Z", date: "2026-01-31", time: "12:00:00", duration: "PT1S",
    uuid: "00000000-0000-4000-8000-000000000000", email: "me@example.org", uri: "https://example.org/" };
  const found = formats[schema.format] ?? "text";
  return found.padEnd(schema.minLength ?? 0, "x").slice(0, schema.maxLength ?? undefined);
}
