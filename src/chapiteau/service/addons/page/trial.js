// Try an operation: a form for its parameters and body, and what came back.

import { el } from "./parts.js";
import { resolve, sample } from "./schema.js";

let count = 0;

/** The form of one operation, closed until it is wanted. */
export function trial(doc, path, method, op, parameters, body) {
  const box = el("details", { class: "trial" }, el("summary", {}, "Try it"));
  // Hundreds of forms that nobody opens would only make the page slow.
  box.addEventListener("toggle", () => {
    if (box.open && box.children.length === 1) box.append(...form(doc, path, method, op, parameters, body));
  });
  return box;
}

function form(doc, path, method, op, parameters, body) {
  const own = el("form", {});
  const fields = parameters.filter((one) => one.in !== "cookie").map((one) => {
    const input = control(doc, one);
    own.append(labelled(`${one.name} (${one.in}${one.required ? ", needed" : ""})`, input));
    return { parameter: one, input };
  });
  const credentials = schemes(doc, op).map((scheme) => {
    const input = el("input", { type: "password", autocomplete: "off" });
    own.append(labelled(scheme.label, input));
    return { scheme, input };
  });
  const sent = body ? bodyFields(doc, own, body) : null;
  const result = el("div", { role: "status", class: "result" });
  own.append(el("button", { type: "submit" }, "Send"));
  own.addEventListener("submit", (event) => {
    event.preventDefault();
    send(request(path, method, fields, credentials, sent), result);
  });
  return [own, result];
}

function labelled(words, input) {
  count += 1;
  input.id = `field-${count}`;
  return el("p", {}, el("label", { for: input.id }, words), input);
}

function control(doc, parameter) {
  const schema = resolve(doc, parameter.schema ?? {});
  if (schema.enum && !parameter.explode) {
    const pick = el("select", {});
    if (!parameter.required) pick.append(el("option", { value: "" }, "(not given)"));
    for (const one of schema.enum) pick.append(el("option", { value: String(one) }, String(one)));
    return pick;
  }
  const input = el("input", { type: "text", autocomplete: "off" });
  const example = parameter.example ?? schema.examples?.[0];
  if (example !== undefined) input.value = String(example);
  else if (parameter.required) input.value = String(sample(doc, schema));
  if (schema.type === "array") input.placeholder = "several: separated by commas";
  return input;
}

function schemes(doc, op) {
  const known = doc.components?.securitySchemes ?? {};
  const names = (op.security ?? []).flatMap((one) => Object.keys(one));
  return names.map((name) => resolve(doc, known[name] ?? {})).flatMap((scheme) => {
    if (scheme.type === "apiKey" && scheme.in === "header") {
      return [{ label: scheme.name, header: scheme.name, write: (text) => text }];
    }
    if (scheme.scheme === "basic") {
      return [{ label: "name:password", header: "Authorization", write: (text) => `Basic ${btoa(text)}` }];
    }
    if (scheme.type === "mutualTLS") return [];
    return [{ label: "Bearer token", header: "Authorization", write: (text) => `Bearer ${text}` }];
  });
}

function bodyFields(doc, own, body) {
  const medias = Object.keys(body.content ?? {});
  const pick = el("select", {});
  for (const media of medias) pick.append(el("option", { value: media }, media));
  const area = el("textarea", { rows: "8", spellcheck: "false" });
  const fill = () => {
    const one = body.content[pick.value] ?? {};
    const value = one.example ?? sample(doc, one.schema ?? {});
    area.value = pick.value.includes("json") ? JSON.stringify(value, null, 2)
      : pick.value.includes("urlencoded") ? new URLSearchParams(value).toString() : "";
  };
  pick.addEventListener("change", fill);
  own.append(labelled("Content-Type", pick), labelled("Body", area));
  fill();
  return { pick, area };
}

function request(path, method, fields, credentials, sent) {
  const headers = new Headers({ Accept: "application/json, */*;q=0.5" });
  const query = new URLSearchParams();
  let where = path;
  for (const { parameter, input } of fields) {
    const value = input.value;
    if (value === "" && !parameter.required) continue;
    const many = parameter.schema?.type === "array" ? value.split(",").map((one) => one.trim()) : [value];
    if (parameter.in === "path") where = where.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (parameter.in === "header") headers.set(parameter.name, value);
    else for (const one of many) query.append(parameter.name, one);
  }
  for (const { scheme, input } of credentials) {
    if (input.value) headers.set(scheme.header, scheme.write(input.value));
  }
  const options = { method: method.toUpperCase(), headers };
  if (sent && (sent.area.value || method !== "get")) {
    options.body = sent.area.value;
    headers.set("Content-Type", sent.pick.value);
  }
  const text = query.toString();
  return [new URL(prefix() + where + (text ? `?${text}` : ""), location.origin), options];
}

/** What stands before all paths when the application is mounted below one. */
const prefix = () => document.body.dataset.prefix ?? "";

async function send([url, options], result) {
  result.replaceChildren("Sending…");
  const started = performance.now();
  try {
    const answer = await fetch(url, options);
    const data = await answer.text();
    const took = Math.round(performance.now() - started);
    const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    result.replaceChildren(
      el("p", {}, el("span", {}, el("strong", {}, `${answer.status} ${answer.statusText}`),
        ` · ${took} ms · ${url.pathname}${url.search}`)),
      el("pre", { tabindex: "0", "aria-label": "Headers" }, lines),
      el("pre", { tabindex: "0", "aria-label": "Body" }, pretty(data, answer.headers.get("content-type") ?? "")),
    );
  } catch (error) {
    result.replaceChildren(`No answer: ${error.message}`);
  }
}

function pretty(data, media) {
  if (!media.includes("json") || media.includes("ndjson")) return data.slice(0, 100000);
  try {
    return JSON.stringify(JSON.parse(data), null, 2);
  } catch {
    return data;
  }
}
