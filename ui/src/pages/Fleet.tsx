/** Home: is anything broken, where, why; then every server and everything on it. */

import { useState } from "preact/hooks";
import { wish } from "../live/doing";
import { heard, may, numbers, sortedNodes, tick, troubles } from "../live/store";
import { bytes, percent, plural } from "../model/format";
import { href, narrow, param } from "../model/route";
import { processRows, serviceRows, worst } from "../model/rows";
import type { Node, Verb } from "../model/types";
import { Age } from "../parts/Age";
import { Attention } from "../parts/Attention";
import { Choice } from "../parts/Log";
import { Spark } from "../charts/Spark";
import { State } from "../parts/State";
import { FilterBox, ProcessTable, ServiceTable } from "../parts/Tables";

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
        <Choice label="View" value={view} onPick={(v) => narrow({ view: v, sort: "" })} options={options} />
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
          <span>{node.away ? <>seen <Age since={node.seen} /></> : host ? bytes(host.mem_used) : ""}</span>
        </span>
      </a>
    </li>
  );
}

function Services({ nodes, many }: { nodes: Node[]; many: boolean }) {
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const rows = serviceRows(nodes, numbers);
  const pick = (id: string) => {
    const next = new Set(picked);
    if (!next.delete(id)) next.add(id);
    setPicked(next);
  };
  const targets = rows.filter((r) => picked.has(r.id)).map((r) => ({ node: r.node, service: r.service.name }));
  return (
    <>
      {targets.length > 0 && (
        <div class="bar selected" role="toolbar" aria-label="Selected services">
          <span>{plural(targets.length, "service")} selected</span>
          {(["start", "reload", "restart", "stop"] as Verb[]).filter(may).map((verb) => <button type="button" key={verb} class="small" onClick={() => wish(verb, targets)}>{verb}</button>)}
          <button type="button" class="quiet small" onClick={() => setPicked(new Set())}>clear</button>
        </div>
      )}
      <ServiceTable label="Services" rows={rows} showNode={many} selected={picked} {...(may("start") ? { onSelect: pick } : {})} />
    </>
  );
}
