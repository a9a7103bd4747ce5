/** One service, wherever it runs: how many of how many, why not, its curves, its output. */

import { useEffect, useMemo } from "preact/hooks";
import { wish } from "../live/doing";
import { events, may, nodesWith, numbers, recall, tick, allProblems } from "../live/store";
import { latency, plural } from "../model/format";
import { href, narrow, param } from "../model/route";
import { processRows, worst } from "../model/rows";
import type { Health, Node, Service as ServiceView, Target, Verb } from "../model/types";
import { Age } from "../parts/Age";
import { Attention } from "../parts/Attention";
import { CommandLines } from "../parts/Copy";
import { LiveCharts } from "../charts/LiveCharts";
import { Choice } from "../parts/Choice";
import { Log } from "../log/Log";
import { State } from "../parts/State";
import { SignalPick } from "../tables/Picking";
import { fittingProcesses, ProcessTable } from "../tables/Tables";
import { Timeline } from "../parts/Timeline";

const HIDDEN_LABELS = new Set(["openapi", "metrics", "plugin"]); // for programs

export function Service({ name }: { name: string }) {
  const all = nodesWith(name);
  const only = param("node");
  const nodes = only ? all.filter((n) => n.name === only) : all;
  tick.value;
  useEffect(() => void recall({ service: name, node: only, last: "300" }).catch(() => {}), [name, only]);
  const happened = useMemo(() => events.value.filter((e) => e.service === name && (!only || e.node === only)), [events.value, name, only]);
  if (!nodes.length) return <p class="empty">No service is called {name}{only && ` on ${only}`}. <a href="/">All services</a></p>;
  const services = nodes.map((n) => n.status.services?.find((s) => s.name === name)).filter((s) => s !== undefined);
  const many = nodes.length > 1;
  const names = nodes.map((n) => n.name);
  return (
    <div class={`page${nodes.every((n) => n.away) ? " away" : ""}`}>
      <Title name={name} services={services} nodes={nodes} />
      {all.length > 1 && <Choice label="Server" value={only} onPick={(node) => narrow({ node })} options={[["", `all ${all.length} servers`], ...all.slice(0, 12).map((n): [string, string] => [n.name, n.name])]} />}
      <Buttons name={name} services={services} nodes={nodes} />
      {allProblems.value.some((t) => t.service === name && names.includes(t.node)) && <Attention problems={allProblems.value.filter((t) => t.service === name && names.includes(t.node))} showNode={many} />}
      <LiveCharts nodes={names} service={name} events={happened} />
      <div class="two">
        <section class="panel" aria-label="Processes">
          <header class="bar"><h2>Processes</h2></header>
          <ProcessTable label={`Processes of ${name}`} rows={fittingProcesses(processRows(nodes, numbers, name), param("q"))} showNode={many} showService={false} />
        </section>
        <Log nodes={names} service={name} showNode={many} />
      </div>
      <h2>Timeline <a class="more" href={href(["events"], { q: `service:${name}`, node: only })} data-key="e" aria-keyshortcuts="e" title="All its events (e)">all</a></h2>
      <div class="panel"><Timeline events={happened} showNode={many} most={100} /></div>
    </div>
  );
}

function Title({ name, services, nodes }: { name: string; services: ServiceView[]; nodes: Node[] }) {
  const ready = services.reduce((sum, s) => sum + s.ready, 0);
  const wanted = services.reduce((sum, s) => sum + s.wanted, 0);
  const first = services[0] as ServiceView;
  const youngest = Math.max(0, ...services.flatMap((s) => s.processes.map((p) => (p.pid ? p.started_at : 0))));
  return (
    <header class="title">
      <h1>{name}</h1>
      <State state={worst(services.map((s) => s.state))} />
      {!first.one_shot && <span><strong>{ready}/{wanted}</strong> ready on {nodes.length === 1 ? nodes[0]?.name : `${nodes.length} servers`}</span>}
      {nodes.filter((n) => n.away).map((n) => <strong key={n.name} class="warn">? {n.name} unreachable for <Age since={n.away} suffix="" /></strong>)}
      {first.sockets.length > 0 && <span class="muted">sockets <a href="/sockets">{first.sockets.map((name) => addressed(name, nodes)).join(", ")}</a></span>}
      <HealthOf services={services} />
      {first.needs.length > 0 && <span class="muted">needs {first.needs.map((need, i) => <>{i > 0 && ", "}<a href={href(["service", need])}>{need}</a></>)}</span>}
      {first.openapi && <a href={href(["apis"], { service: name, node: nodes[0]?.name ?? "" })}>API</a>}
      {Object.entries(first.labels ?? {}).filter(([key]) => !HIDDEN_LABELS.has(key)).slice(0, 4).map(([key, value]) => <span key={key} class="muted">{key} <a href={href([], { view: "services", q: value })}>{value}</a></span>)}
      {youngest > 0 && <span class="muted">newest process <Age since={youngest} /></span>}
      {first.schedule && <span class="muted">runs {first.schedule}</span>}
      <code class="muted command" title={first.command}>{first.command}</code>
    </header>
  );
}

/** "web :8000", or where it is at a path. */
function addressed(name: string, nodes: Node[]): string {
  const address = nodes[0]?.status.sockets?.find((socket) => socket.name === name)?.address ?? "";
  return `${name} ${/:\d+$/.exec(address)?.[0] ?? address}`.trim();
}

/** What the probes of all its processes say: how many pass, and how long the slowest took. */
function HealthOf({ services }: { services: ServiceView[] }) {
  const found = services.flatMap((s) => s.processes).filter((p) => p.pid && p.health?.what).map((p) => p.health as Health);
  const bad = found.filter((one) => !one.ok);
  if (!found.length) return null;
  const what = (found[0] as Health).what.replace(/^(https?:\/\/[^/]+|socket:[^/]+)(?=\/)/, "");
  const slowest = Math.max(...found.map((one) => one.ms));
  return <span class={bad.length ? "bad" : "muted"} title={bad[0]?.why}>health {what}: {bad.length ? `${bad.length} of ${found.length} fail` : `${found.length === 1 ? "passes" : `all ${found.length} pass`} in ${latency(slowest / 1000)}`}</span>;
}

function Buttons({ name, services, nodes }: { name: string; services: ServiceView[]; nodes: Node[] }) {
  const targets: Target[] = nodes.map((n) => ({ node: n.name, service: name }));
  const stopped = services.every((s) => ["stopped", "failed", "completed"].includes(s.state));
  const wanted = services[0]?.wanted ?? 1;
  const verbs: [Verb, string, string, string][] = stopped ? [["start", "Start", "s", "primary"]] : [["reload", "Reload", "r", "primary"], ["restart", "Restart", "Shift+R", ""], ["stop", "Stop", "s", ""]];
  if (!may("start")) return null;
  return (
    <div class="bar actions" role="toolbar" aria-label={`Actions on ${name}`}>
      {verbs.map(([verb, label, key, tone]) => (
        <button type="button" key={verb} class={tone} title={`${label} (${key})`} aria-keyshortcuts={key} data-key={key} onClick={() => wish(verb, targets)}>{label}</button>
      ))}
      {!stopped && !services[0]?.one_shot && (
        <span class="joined" role="group" aria-label="Scale">
          <button type="button" aria-label="One process less" title="One process less (-)" data-key="-" disabled={wanted < 1} onClick={() => wish("scale", targets, wanted === 1 ? { processes: 0 } : { by: -1 })}>−</button>
          <span class="joined-text">{plural(wanted, "process", "processes")}{nodes.length > 1 && " each"}</span>
          <button type="button" aria-label="One process more" title="One process more (+)" data-key="+" onClick={() => wish("scale", targets, { by: 1 })}>+</button>
        </span>
      )}
      {!stopped && <SignalMenu targets={targets} />}
      <CommandLines verb={stopped ? "start" : "reload"} targets={targets} />
    </div>
  );
}

function SignalMenu({ targets }: { targets: Target[] }) {
  const process = Number(param("process")) || 0;
  return <SignalPick shortcut="!" label={process ? `Send a signal to process ${process}` : "Send a signal"} title={`Signal${process ? ` #${process}` : ""}…`} onPick={(signal) => wish("signal", process ? targets.map((t) => ({ ...t, process })) : targets, { signal })} />;
}
