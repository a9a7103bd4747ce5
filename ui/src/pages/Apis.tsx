/** Each service's own API: read it, try it through the hub, copy it, load-test it. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { get, post, Refusal } from "../live/api";
import { may, sortedNodes } from "../live/store";
import { plain } from "../model/ansi";
import { amount, latency, percent } from "../model/format";
import { curl, filledHeaders, filledPath, loadLine, operations, outline, typeOf, type Doc, type Filled, type Operation } from "../model/openapi";
import { href, narrow, param } from "../model/route";
import { ApiChanges, type Past } from "../parts/ApiChanges";
import { CommandLine, CopyButton } from "../parts/Copy";
import { Prose } from "../parts/Prose";
import { FilterBox } from "../tables/Tables";

interface Found extends Past {
  url: string;
  document: Doc;
}

export function Apis() {
  const published = sortedNodes.value.flatMap((node) => (node.status.services ?? []).filter((s) => s.openapi).map((s) => ({ node: node.name, service: s.name })));
  const service = param("service", published[0]?.service ?? "");
  const node = param("node", published.find((p) => p.service === service)?.node ?? "");
  if (!published.length) return <><h1>APIs</h1><p class="empty">No service publishes an OpenAPI document.</p></>;
  return (
    <>
      <header class="title"><h1>APIs</h1>
        <select aria-label="Service" value={`${node}/${service}`} onChange={(event) => {
          const [n = "", s = ""] = (event.currentTarget as HTMLSelectElement).value.split("/");
          narrow({ node: n, service: s, op: "" });
        }}>
          {published.map((p) => <option key={`${p.node}/${p.service}`} value={`${p.node}/${p.service}`}>{p.service} on {p.node}</option>)}
        </select>
      </header>
      <Api key={`${node}/${service}`} node={node} service={service} />
    </>
  );
}

function Api({ node, service }: { node: string; service: string }) {
  const [found, setFound] = useState<Found | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    if (node && service) get<Found>("/api/openapi", { node, service }).then(setFound, (problem: unknown) => setError(problem instanceof Refusal ? `${problem.message} ${problem.hint}` : String(problem)));
  }, [node, service]);
  const live = useLive(node, service);
  const ops = useMemo(() => (found ? operations(found.document) : []), [found]);
  if (error) return <p role="alert" class="bad">✖ {error}</p>;
  if (!found) return <p class="empty" aria-busy="true">Fetching the document…</p>;
  const info = (found.document["info"] ?? {}) as Record<string, string>;
  const words = param("q").toLowerCase();
  const shown = ops.filter((op) => `${op.method} ${op.path} ${op.summary}`.toLowerCase().includes(words));
  const op = ops.find((one) => one.id === param("op")) ?? shown[0];
  return (
    <>
      <p><strong>{info["title"]}</strong> {info["version"]} · OpenAPI {String(found.document["openapi"])} · {ops.length} operations · <a href={href(["service", service])}>{service}</a> · <button type="button" class="quiet small" title="The document as it is, as a file" onClick={() => saved(`${service}.openapi.json`, JSON.stringify(found.document, null, 2))}>download JSON</button>
        <span class="muted"> <Prose text={info["description"] ?? ""} /></span></p>
      <ApiChanges since={found.since} before={found.before} />
      <div class="two apis">
        <nav class="panel" aria-label="Operations">
          <div class="bar"><FilterBox placeholder="find an operation" /></div>
          <ul class="ops">{shown.map((one) => (
            <li key={one.id}><button type="button" aria-current={one === op} onClick={() => narrow({ op: one.id })}><Method name={one.method} /> <span class={one.deprecated ? "struck" : ""}>{one.path}</span><Rate live={live.get(shapeOf(one))} /><span class="muted summary"><Prose text={one.summary} /></span></button></li>
          ))}</ul>
        </nav>
        {op && <Detail key={op.id} op={op} live={live.get(shapeOf(op))} found={found} node={node} service={service} />}
      </div>
    </>
  );
}

const Method = ({ name }: { name: string }) => <code class={`method m-${name.toLowerCase()}`}>{name}</code>;

interface Live {
  method: string;
  path: string; // with {} for each parameter
  rate: number;
  p99: number | null; // seconds
  errors: number; // 5xx a second
}

const shapeOf = ({ method, path }: { method: string; path: string }) => `${method} ${path.replace(/\{[^}]*\}/g, "{}")}`;

/** What each operation answers now, as long as somebody looks; empty when the service measures nothing. */
function useLive(node: string, service: string): Map<string, Live> {
  const [live, setLive] = useState(new Map<string, Live>());
  useEffect(() => {
    const ask = () => {
      if (!document.hidden) get<{ operations: Live[] }>("/api/operations", { node, service }).then((found) => setLive(new Map(found.operations.map((one) => [shapeOf(one), one]))), () => setLive(new Map()));
    };
    ask();
    const timer = setInterval(ask, 2000);
    return () => clearInterval(timer);
  }, [node, service]);
  return live;
}

const Rate = ({ live }: { live: Live | undefined }) => (live?.rate ? <span class={live.errors ? "rate bad" : "rate muted"}>{amount(live.rate)}/s</span> : null);

function Detail({ op, live, found, node, service }: { op: Operation; live: Live | undefined; found: Found; node: string; service: string }) {
  const [filled, setFilled] = useState<Filled>(() => start(op));
  const origin = new URL(found.url).origin;
  return (
    <section class="panel detail" aria-label={`${op.method} ${op.path}`}>
      <h2><Method name={op.method} /> <code>{op.path}</code></h2>
      {live && <p>Now on {node}: <strong>{amount(live.rate)}/s</strong>{live.p99 !== null && <> · p99 <strong>{latency(live.p99)}</strong></>}{live.rate > 0 && <span class={live.errors ? "bad" : "muted"}> · {percent((100 * live.errors) / live.rate)} failed</span>}</p>}
      {op.summary && <p><Prose text={op.summary} /></p>}
      {op.description && op.description !== op.summary && <p class="muted pre"><Prose text={op.description} /></p>}
      <Form op={op} filled={filled} set={setFilled} />
      <Try op={op} filled={filled} node={node} service={service} origin={origin} />
      <div class="loadline"><strong>Load-test this</strong> <CommandLine line={loadLine(found.url, origin, op, filled)} label="Load-test this" /></div>
      {op.responses.map((answer) => (
        <details key={answer.status} class="answer">
          <summary><strong>{answer.status}</strong> <Prose text={answer.description} /></summary>
          {answer.schema && <Outline doc={found.document} schema={answer.schema} />}
        </details>
      ))}
    </section>
  );
}

function start(op: Operation): Filled {
  return { values: Object.fromEntries(op.parameters.map((p) => [`${p.where} ${p.name}`, p.where === "path" ? p.example || "1" : p.required ? p.example : ""])), body: op.body?.example ?? "" };
}

function Form({ op, filled, set }: { op: Operation; filled: Filled; set: (filled: Filled) => void }) {
  return (
    <div class="form">
      {op.parameters.map((p) => {
        const key = `${p.where} ${p.name}`;
        return (
          <label key={key}>
            <span><code>{p.name}</code>{p.required && <span class="bad" title="required"> *</span>} <span class="muted">{p.where} · {typeOf({}, p.schema)}</span></span>
            <input value={filled.values[key] ?? ""} placeholder={p.example} onInput={(event) => set({ ...filled, values: { ...filled.values, [key]: (event.currentTarget as HTMLInputElement).value } })} />
            {p.description && <span class="muted"><Prose text={p.description} /></span>}
          </label>
        );
      })}
      {op.body && <label><span><code>body</code> <span class="muted">{op.body.type}</span></span><textarea rows={8} spellcheck={false} value={filled.body} onInput={(event) => set({ ...filled, body: (event.currentTarget as HTMLTextAreaElement).value })} /></label>}
    </div>
  );
}

interface Answer {
  status: number;
  headers: [string, string][];
  body: string;
  milliseconds: number;
  cut: boolean;
}

function Try({ op, filled, node, service, origin }: { op: Operation; filled: Filled; node: string; service: string; origin: string }) {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState("");
  const line = curl(origin, op, filled);
  const send = async () => {
    setError("");
    try {
      setAnswer(await post<Answer>("/api/try", { node, service, method: op.method, path: filledPath(op, filled), headers: filledHeaders(op, filled), body: op.body ? filled.body : "" }));
    } catch (problem) {
      setError(problem instanceof Refusal ? problem.message : String(problem));
    }
  };
  return (
    <>
      <div class="bar">
        {may("try") && <button type="button" class="primary" data-key="t" aria-keyshortcuts="t" onClick={send}>Try on {node}</button>}
        <CopyButton text={line} label="Copy as curl" word="copy as curl" shortcut="y" />
        <code class="muted ellipsis">{line}</code>
      </div>
      {error && <p role="alert" class="bad">✖ {error}</p>}
      {answer && (
        <div class="tried" role="status">
          <p><strong class={answer.status < 400 ? "good" : "bad"}>{answer.status}</strong> in {answer.milliseconds} ms{answer.cut && ", cut at 1 MB"}</p>
          <details><summary>{answer.headers.length} headers</summary><pre>{answer.headers.map(([k, v]) => `${k}: ${v}`).join("\n")}</pre></details>
          <pre tabIndex={0} aria-label="Body of the answer">{pretty(answer.body)}</pre>
        </div>
      )}
    </>
  );
}

function Outline({ doc, schema }: { doc: Doc; schema: Doc }) {
  const lines = outline(doc, schema);
  return (
    <div class="outline">
      <p class="muted">{typeOf(doc, schema)}</p>
      <ul>{lines.map((l, i) => <li key={i} class={`d${l.depth}`}><code>{l.name}</code>{l.required && <span class="bad"> *</span>} <span class="muted">{l.type} {l.description}</span></li>)}</ul>
    </div>
  );
}

function saved(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2).slice(0, 100_000);
  } catch {
    return body.split("\n").map(plain).join("\n").slice(0, 100_000);
  }
}
