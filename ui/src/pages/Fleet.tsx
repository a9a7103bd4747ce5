/** Home: is anything broken, where, why; then every server and everything on it. */

import { wish } from "../live/doing";
import { heard, may, numbers, sortedNodes, tick, troubles } from "../live/store";
import { bytes, percent, plural } from "../model/format";
import { href, narrow, param } from "../model/route";
import { processRows, serviceRows, worst } from "../model/rows";
import type { Node, Verb } from "../model/types";
import { Age } from "../parts/Age";
import { Attention } from "../parts/Attention";
import { Choice } from "../parts/Choice";
import { Spark } from "../charts/Spark";
import { State } from "../parts/State";
import { FilterBox, fitting, ProcessTable, ServiceTable } from "../parts/Tables";

export function Fleet() {
  const nodes = sortedNodes.value;
  const many = nodes.length > 1;
  tick.value;
  const view = param("view", many ? "servers" : "services");
  const options: [string, string][] = [["servers", "servers"], ["services", "services"], ["processes", "processes"]];
  return (
    <>
      <h1 class="sr">Fleet</h1>
      <Band nodes={nodes} />
      <Attention troubles={troubles.value} showNode={many} />
      <div class="bar">
        <Choice label="View" value={view} onPick={(v) => narrow({ view: v, sort: "", pick: "" })} options={options} keys={["1", "2", "3"]} />
        <FilterBox placeholder={view === "servers" ? "name" : "name, state:failed, cpu>80"} />
      </div>
      {view === "servers" && <Tiles nodes={nodes} />}
      {view === "services" && <Services nodes={nodes} many={many} />}
      {view === "processes" && <ProcessTable label="Processes" rows={processRows(nodes, numbers)} showNode={many} showService />}
    </>
  );
}

function Band({ nodes }: { nodes: Node[] }) {
  const services = nodes.flatMap((n) => n.status.services ?? []);
  const processes = services.flatMap((s) => s.processes);
  const count = (state: string) => processes.filter((p) => p.state === state).length;
  const away = nodes.filter((n) => n.away).length;
  const hosts = nodes.map((n) => numbers.node(n.name)?.host).filter((h) => h !== undefined);
  const cpu = hosts.reduce((sum, h) => sum + h.cpu, 0) / (hosts.length || 1);
  const used = hosts.reduce((sum, h) => sum + h.mem_used, 0);
  const total = hosts.reduce((sum, h) => sum + h.mem_total, 0);
  const failed = services.filter((s) => s.state === "failed").length;
  return (
    <dl class="band">
      <Fact label="servers" value={`${nodes.length - away}`} note={away ? `${away} unreachable` : "up"} tone={away ? "warn" : ""} />
      <Fact label="services" value={String(services.length)} note={failed ? `${failed} failed` : "declared"} tone={failed ? "bad" : ""} />
      <Fact label="processes" value={String(count("running"))} note={count("backoff") ? `${count("backoff")} backing off` : "running"} tone={count("backoff") ? "warn" : ""} />
      <Fact label="CPU of the machines" value={heard.value ? percent(cpu) : "–"} note={hosts.length === 1 ? `load ${hosts[0]?.load1.toFixed(1)}` : "mean"} />
      <Fact label="memory" value={total ? percent((100 * used) / total) : "–"} note={total ? `${bytes(used)} of ${bytes(total)}` : ""} />
    </dl>
  );
}

export function Fact({ label, value, note = "", tone = "" }: { label: string; value: string; note?: string; tone?: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd><span class="big">{value}</span> <span class={tone || "muted"}>{note}</span></dd>
    </div>
  );
}

function Tiles({ nodes }: { nodes: Node[] }) {
  const query = param("q").toLowerCase();
  const shown = nodes.filter((n) => n.name.toLowerCase().includes(query)).sort((a, b) => weight(b) - weight(a));
  return <ul class="tiles" aria-label="Servers">{shown.map((node) => <Tile key={node.name} node={node} />)}</ul>;
}

const weight = (node: Node) => (node.away ? 1000 : 0) + node.troubles.reduce((sum, t) => sum + t.severity, 0);

function Tile({ node }: { node: Node }) {
  const host = numbers.node(node.name)?.host;
  const services = node.status.services ?? [];
  const wanted = services.reduce((sum, s) => sum + (s.one_shot ? 0 : s.wanted), 0);
  const ready = services.reduce((sum, s) => sum + (s.one_shot ? 0 : s.ready), 0);
  const state = node.away ? "unreachable" : worst(services.map((s) => s.state));
  return (
    <li class={`tile${node.away ? " away" : ""}`}>
      <a href={href(["server", node.name])}>
        <strong>{node.name}</strong> <State state={state} />
        <span class="tile-row"><Spark values={numbers.nodeSpark(node.name)} width={110} /> <span>{host ? percent(host.cpu) : "–"}</span></span>
        <span class="tile-row muted">
          <span>{ready}/{wanted} ready</span>
          <span>{node.away ? <>seen <Age since={node.seen} /></> : host ? `memory ${percent((100 * host.mem_used) / host.mem_total)}` : ""}</span>
        </span>
      </a>
    </li>
  );
}

/** Everything that fits the filter, whatever that will be; else what was picked, one by one. */
const ALL = "all";

function Services({ nodes, many }: { nodes: Node[]; many: boolean }) {
  const rows = serviceRows(nodes, numbers);
  const shown = fitting(rows, param("q"));
  const kept = param("pick");
  const picked = new Set(kept === ALL ? shown.map((r) => r.id) : kept.split(",").map(decodeURIComponent));
  const keep = (ids: Iterable<string>) => narrow({ pick: [...ids].map(encodeURIComponent).join(",") });
  const pick = (ids: string[], range = false) => {
    const next = new Set(kept ? picked : []);
    for (const id of ids) if (range || !next.delete(id)) next.add(id);
    keep(next);
  };
  // What the filter hides is not touched.
  const targets = shown.filter((r) => picked.has(r.id)).map((r) => ({ node: r.node, service: r.service.name }));
  const every = targets.length === shown.length;
  return (
    <>
      {may("start") && shown.length > 0 && (
        <div class={`bar${targets.length ? " selected" : ""}`} role="toolbar" aria-label="Selected services">
          <button type="button" class="small" data-key="Shift+A" aria-keyshortcuts="Shift+A" title="All that is shown, or none (Shift+A)" onClick={() => narrow({ pick: every ? "" : ALL })}>{every ? "select none" : `select all ${shown.length} shown`}</button>
          {targets.length > 0 && <span>{plural(targets.length, "service")}{many && ` on ${plural(new Set(targets.map((t) => t.node)).size, "server")}`} selected</span>}
          {targets.length > 0 && (["start", "reload", "restart", "stop"] as Verb[]).filter(may).map((verb) => <button type="button" key={verb} class="small" onClick={() => wish(verb, targets)}>{verb}</button>)}
        </div>
      )}
      <ServiceTable label="Services" rows={rows} showNode={many} {...(may("start") ? { selected: picked, onSelect: pick } : {})} />
    </>
  );
}
