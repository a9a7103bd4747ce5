// The reader of an OpenAPI document: contents on the left, operations and schemas on the right.
// Text of the document only ever becomes text nodes: nothing in it can become markup or script.

import { el, prose } from "./parts.js";
import { bodySection, resolve, schemaTree } from "./schema.js";
import { trial } from "./trial.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];

async function start() {
  const state = document.getElementById("state");
  const asked = new URLSearchParams(location.search).get("version");
  const base = document.body.dataset.document;
  const url = asked ? `${base}?version=${encodeURIComponent(asked)}` : base;
  let doc;
  try {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    doc = await answer.json();
  } catch (error) {
    state.textContent = `The document can't be read: ${error.message}. `;
    state.append(el("a", { href: url }, url));
    return;
  }
  head(doc, base, asked);
  show(doc);
  state.textContent = "";
  document.getElementById("filter").addEventListener("input", filter);
  reveal();
  addEventListener("hashchange", reveal);
}

function head(doc, base, asked) {
  document.title = `${doc.info.title} ${doc.info.version}`;
  document.querySelector("h1").replaceChildren(doc.info.title, " ", el("small", {}, doc.info.version));
  const about = document.getElementById("about");
  const query = asked ? `version=${encodeURIComponent(asked)}&` : "";
  about.replaceChildren(
    "The document: ",
    el("a", { href: `${base}?${query}` }, "OpenAPI 3.1"),
    ", ",
    el("a", { href: `${base}?${query}openapi=3.0` }, "3.0"),
    ", ",
    el("a", { href: `${base}?${query}format=yaml` }, "YAML"),
  );
  const versions = (document.body.dataset.versions || "").split(" ").filter(Boolean);
  if (versions.length) {
    const pick = el("select", { id: "version" });
    for (const name of versions) pick.append(el("option", { value: name }, name));
    pick.value = asked || doc.info.version;
    pick.addEventListener("change", () => location.assign(`?version=${encodeURIComponent(pick.value)}`));
    about.append(" · ", el("label", { for: "version" }, "Version "), pick);
  }
  if (doc.info.description) about.after(prose(doc.info.description));
}

function show(doc) {
  const main = document.getElementById("content");
  const contents = document.getElementById("contents");
  for (const [tag, entries] of byTag(doc)) {
    const list = el("ul");
    const section = el("section", { "aria-label": tag }, el("h2", {}, tag));
    for (const entry of entries) {
      list.append(el("li", { "data-text": entry.text }, link(entry)));
      section.append(operation(doc, entry));
    }
    contents.append(el("h2", {}, tag), list);
    main.append(section);
  }
  const schemas = Object.entries(doc.components?.schemas ?? {});
  if (!schemas.length) return;
  const list = el("ul");
  const section = el("section", { "aria-label": "Schemas" }, el("h2", {}, "Schemas"));
  for (const [name, schema] of schemas) {
    const id = `schema-${name}`;
    list.append(el("li", { "data-text": name.toLowerCase() }, el("a", { href: `#${id}` }, name)));
    section.append(
      el("article", { id, tabindex: "-1", "data-text": name.toLowerCase() },
        el("h3", {}, name), schemaTree(doc, schema, { named: false })),
    );
  }
  contents.append(el("h2", {}, "Schemas"), list);
  main.append(section);
}

function byTag(doc) {
  const groups = new Map();
  const add = (path, method, op, sent) => {
    const tag = op.tags?.[0] ?? "Operations";
    if (!groups.has(tag)) groups.set(tag, []);
    const id = op.operationId ?? `${method}-${path}`;
    const text = `${method} ${path} ${id} ${op.summary ?? ""} ${tag}`.toLowerCase();
    groups.get(tag).push({ path, method, op, id, text, sent });
  };
  for (const [path, item] of Object.entries(doc.paths ?? {})) {
    for (const method of METHODS) if (item[method]) add(path, method, item[method], false);
  }
  for (const [name, item] of Object.entries(doc.webhooks ?? {})) {
    for (const method of METHODS) if (item[method]) add(name, method, item[method], true);
  }
  return groups;
}

const badge = (method) => el("span", { class: `method ${method}` }, method.toUpperCase());

function link(entry) {
  const words = entry.op.summary || entry.path;
  return el("a", { href: `#${entry.id}`, title: `${entry.method.toUpperCase()} ${entry.path}` },
    badge(entry.method), " ", words);
}

function operation(doc, entry) {
  const { op, path, method, sent } = entry;
  const title = el("h3", {}, badge(method), " ", el("code", {}, path));
  if (op.deprecated) title.append(" ", el("span", { class: "mark" }, "deprecated"));
  if (sent) title.append(" ", el("span", { class: "mark" }, "sent by the service"));
  const article = el("article", { id: entry.id, tabindex: "-1", "data-text": entry.text }, title);
  if (op.summary) article.append(el("p", { class: "summary" }, op.summary));
  if (op.description) article.append(prose(op.description));
  const security = (op.security ?? []).flatMap((one) => Object.entries(one));
  if (security.length) {
    const words = security.map(([name, scopes]) => name + (scopes.length ? `: ${scopes.join(", ")}` : ""));
    article.append(el("p", {}, "Needs ", el("strong", {}, words.join(" or "))));
  }
  const parameters = (op.parameters ?? []).map((one) => resolve(doc, one));
  if (parameters.length) article.append(el("h4", {}, "Parameters"), parameterTable(doc, parameters, entry.id));
  const body = op.requestBody && resolve(doc, op.requestBody);
  if (body) {
    article.append(el("h4", {}, body.required ? "Body" : "Body (may be left out)"));
    if (body.description) article.append(prose(body.description));
    article.append(bodySection(doc, body.content));
  }
  article.append(el("h4", {}, "Answers"), answers(doc, op.responses ?? {}));
  for (const [name, callback] of Object.entries(op.callbacks ?? {})) {
    for (const [url, item] of Object.entries(callback)) {
      for (const verb of METHODS) {
        if (item[verb]) {
          const inner = { op: item[verb], path: url, method: verb, sent: true, text: "" };
          inner.id = `${entry.id}-${name}`;
          article.append(el("h4", {}, `Callback ${name}`), operation(doc, inner));
        }
      }
    }
  }
  if (!sent) article.append(trial(doc, path, method, op, parameters, body));
  return article;
}

function parameterTable(doc, parameters, id) {
  const rows = parameters.map((one) =>
    el("tr", {},
      el("th", { scope: "row" }, el("code", {}, one.name), one.required ? el("b", { class: "needed" }, " needed") : ""),
      el("td", {}, one.in),
      el("td", {}, schemaTree(doc, one.schema ?? {})),
      el("td", {}, one.description ? prose(one.description) : "")),
  );
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `Parameters of ${id}` },
    el("table", {},
      el("thead", {}, el("tr", {}, ...["Name", "In", "Type", "What"].map((t) => el("th", { scope: "col" }, t)))),
      el("tbody", {}, ...rows)));
}

function answers(doc, responses) {
  const list = el("div", { class: "answers" });
  for (const [status, given] of Object.entries(responses)) {
    const answer = resolve(doc, given);
    const kind = status[0] === "2" ? "good" : status[0] === "3" ? "moved" : "bad";
    const box = el("details", { class: kind },
      el("summary", {}, el("strong", {}, status), " ", answer.description ?? ""));
    if (kind === "good") box.open = true;
    const headers = Object.entries(answer.headers ?? {});
    if (headers.length) {
      box.append(el("dl", {}, ...headers.flatMap(([name, one]) =>
        [el("dt", {}, el("code", {}, name)), el("dd", {}, resolve(doc, one).description ?? "")])));
    }
    if (answer.content) box.append(bodySection(doc, answer.content));
    for (const [name, one] of Object.entries(answer.links ?? {})) {
      box.append(el("p", {}, `Link ${name}: `, el("a", { href: `#${one.operationId}` }, one.operationId),
        one.description ? ` – ${one.description}` : ""));
    }
    list.append(box);
  }
  return list;
}

function filter(event) {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const one of document.querySelectorAll("[data-text]")) {
    one.hidden = !words.every((word) => one.dataset.text.includes(word));
  }
}

function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  target.hidden = false;
  target.scrollIntoView();
  target.focus({ preventScroll: true });
  for (const one of document.querySelectorAll("nav [aria-current]")) one.removeAttribute("aria-current");
  for (const one of document.querySelectorAll("nav a")) {
    if (one.hash === location.hash) one.setAttribute("aria-current", "true");
  }
}

start();
