/** One machine: its health, what runs on it, what happened. */

import { useEffect, useMemo } from "preact/hooks";
import { HostCharts } from "../charts/HostCharts";
import { wish } from "../live/doing";
import { events, may, nodes, now, numbers, recall, tick } from "../live/store";
import { bytes, duration, percent, plural } from "../model/format";
import { href, narrow, param } from "../model/route";
import { serverState, serviceRows } from "../model/rows";
import type { Happening, Node } from "../model/types";
import { Age } from "../parts/Age";
import { Log } from "../log/Log";
import { Attention } from "../parts/Attention";
import { Choice } from "../parts/Choice";
import { Config, ReloadConfig } from "../parts/Config";
import { CopyButton } from "../parts/Copy";
import { State } from "../parts/State";
import { SocketTable } from "./Sockets";
import { Fact } from "./Fleet";
import { FilterBox, ServiceTable, type Story } from "../tables/Tables";
import { person, Timeline } from "../parts/Timeline";

export function Server({ name }: { name: string }) {
  const node = nodes.value.get(name);
  tick.value;
  useEffect(() => void recall({ node: name, last: "1000" }).catch(() => {}), [name]);
  const happened = useMemo(() => events.value.filter((e) => e.node === name), [events.value, name]);
  const story = useMemo(() => storyOf(happened), [happened]);
  if (!node) return <p class="empty">No server is called {name}. <a href="/">All servers</a></p>;
  const status = node.status;
  const last = numbers.node(name);
  const host = last?.host;
  const fds = last?.fds?.reduce((sum, count) => sum + count, 0);
  return (
    <div class={`page${node.away ? " away" : ""}`}>
      <header class="title">
        <h1>{name}</h1>
        <State state={serverState(node)} />
        {node.address && <span class="muted">{node.address}</span>}
        {Object.entries(status.labels ?? {}).map(([key, value]) => <span key={key} class="muted">{key} <a href={href([], { view: "table", q: `${key}:${value}` })}>{value}</a></span>)}
        <span class="muted">{status.config}</span>
        {node.away > 0 && <strong class="warn">? unreachable for <Age since={node.away} suffix="" />; shown is what was seen <Age since={node.seen} /></strong>}
      </header>
      <Deeds node={node} />
      <dl class="band">
        <Fact label="CPU" value={host ? percent(host.cpu) : "–"} note={host ? `load ${host.load1.toFixed(2)}` : ""} />
        <Fact label="memory" value={host ? percent((100 * host.mem_used) / host.mem_total) : "–"} note={host ? `${bytes(host.mem_used)} of ${bytes(host.mem_total)}` : ""} />
        <Fact label="open files" value={fds === undefined ? "–" : String(fds)} note="of the services" />
        <Fact label="supervisor" value={last?.supervisor ? percent(last.supervisor.cpu) : "–"} note={last?.supervisor ? bytes(last.supervisor.rss) : ""} />
        <Fact label="version" value={status.version ?? "–"} note={newer(status.version) || `cgroups ${status.cgroups ?? "?"}`} tone={newer(status.version) ? "warn" : ""} />
        <Fact label="up" value={status.started_at ? duration(now.value - status.started_at) : "–"} note={status.brain_restarts ? `brain restarted ${status.brain_restarts}×` : `pid ${status.pid ?? "?"}, keeper ${status.keeper_pid ?? "?"}`} tone={status.brain_restarts ? "warn" : ""} />
      </dl>
      <Attention problems={node.problems} showNode={false} />
      <HostCharts node={name} events={happened} />
      <Config node={name} />
      <div class="bar"><h2>Services <span class="muted">({status.services?.length ?? 0})</span></h2><FilterBox placeholder="name, state:failed, cpu>80" /></div>
      <ServiceTable label="Services" rows={serviceRows([node], numbers)} showNode={false} story={story} />
      <h2>Sockets <span class="muted">({status.sockets?.length ?? 0})</span></h2>
      <SocketTable nodes={[node]} />
      <h2>Events <a class="more" href={href(["events"], { node: name })}>all</a></h2>
      <div class="panel"><Timeline events={happened} showNode={false} most={30} /></div>
      <AgentLog node={node} />
    </div>
  );
}

const SUPERVISOR = "@supervisor"; // no service has such a name

/** What Chapiteau's own processes say: the supervisor, the dashboard, the link to a hub, plugins. */
function AgentLog({ node }: { node: Node }) {
  const own = (node.status.services ?? []).filter((s) => s.labels?.["plugin"] || s.name === "dashboard" || s.name === "node").map((s) => s.name);
  const of = own.includes(param("of")) ? param("of") : SUPERVISOR;
  return (
    <Log key={of} nodes={[node.name]} service={of} showNode={false} title="Agent log">
      {own.length > 0 && <Choice label="Of which part" value={of} onPick={(name) => narrow({ of: name === SUPERVISOR ? "" : name })} options={[[SUPERVISOR, "supervisor"], ...own.map((name): [string, string] => [name, name])]} />}
    </Log>
  );
}

/** What can be done to the server as a whole. */
function Deeds({ node }: { node: Node }) {
  const { drained, services = [], node: host } = node.status;
  const target = [{ node: node.name, service: "all" }];
  const ran = drained?.services ?? [];
  const left = drained?.left ?? [];
  return (
    <>
      <div class="bar actions" role="toolbar" aria-label={`Actions on ${node.name}`}>
        {may("drain") && !drained?.since && <button type="button" data-key="Shift+D" aria-keyshortcuts="Shift+D" title="Stop services gracefully and start nothing new (Shift+D)" onClick={() => wish("drain", target)}>Drain</button>}
        {may("undrain") && drained?.since && <button type="button" class="primary" data-key="Shift+D" aria-keyshortcuts="Shift+D" title="End the drain; services start again (Shift+D)" onClick={() => wish("undrain", target)}>Undrain</button>}
        {may("apply") && <ReloadConfig />}
        {host && <CopyButton text={`ssh ${host}`} label={`Copy: ssh ${host}`} word="copy ssh line" />}
      </div>
      {drained?.since ? (
        <p class="drained panel" role="status">
          <State state={left.length ? "draining" : "drained"} /> by {person(drained.who ?? "")} <Age since={drained.since} />:{" "}
          {left.length ? <>{plural(left.length, "service")} of {Math.max(ran.length, left.length)} still at work ({left.slice(0, 6).join(", ")}{left.length > 6 && " …"})</> : <>{plural(ran.length, "service")} of {services.length} ended; connections are refused, nothing starts</>}
          {left.length > 0 && <progress max={ran.length || 1} value={ran.length - left.length} aria-label={`Services that have ended, of ${ran.length}`} />}
        </p>
      ) : null}
    </>
  );
}

/** A newer version that runs elsewhere. */
function newer(own: string | undefined): string {
  const all = [...nodes.value.values()].map((node) => node.status.version ?? "").filter(Boolean);
  const newest = all.sort((a, b) => b.localeCompare(a, "en", { numeric: true }))[0];
  return own && newest && newest !== own ? `▲ ${newest} runs elsewhere` : "";
}

const HOUR = 3600;

/** Of each service: how often it ended by itself in the last hour, and what happened last. */
function storyOf(happened: readonly Happening[]): Map<string, Story> {
  const found = new Map<string, Story>();
  const begin = Date.now() / 1000 - HOUR;
  for (const event of happened) {
    if (!event.service) continue;
    const story = found.get(event.service) ?? { ends: 0, last: event };
    if (event.kind === "process.exited" && !event.data?.["asked"] && event.time > begin) story.ends++;
    found.set(event.service, { ...story, last: event });
  }
  return found;
}
