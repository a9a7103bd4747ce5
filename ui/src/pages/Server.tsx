/** One machine: its health, what runs on it, what happened. */

import { useEffect } from "preact/hooks";
import { events, nodes, numbers, recall, tick } from "../live/store";
import { bytes, duration, percent } from "../model/format";
import { href } from "../model/route";
import { serviceRows } from "../model/rows";
import { Age } from "../parts/Age";
import { Attention } from "../parts/Attention";
import { Config } from "../parts/Config";
import { SocketTable } from "./Sockets";
import { Fact } from "./Fleet";
import { FilterBox, ServiceTable } from "../parts/Tables";
import { Timeline } from "../parts/Timeline";
import { now } from "../live/store";

export function Server({ name }: { name: string }) {
  const node = nodes.value.get(name);
  tick.value;
  useEffect(() => void recall({ node: name, last: "100" }).catch(() => {}), [name]);
  if (!node) return <p class="empty">No server is called {name}. <a href="/">All servers</a></p>;
  const status = node.status;
  const last = numbers.node(name);
  const host = last?.host;
  return (
    <div class={`page${node.away ? " away" : ""}`}>
      <header class="title">
        <h1>{name}</h1>
        <span class="muted">{status.config}</span>
        {node.away > 0 && <strong class="warn">? unreachable for <Age since={node.away} suffix="" />; shown is what was seen <Age since={node.seen} /></strong>}
      </header>
      <dl class="band">
        <Fact label="CPU" value={host ? percent(host.cpu) : "–"} note={host ? `load ${host.load1.toFixed(2)}` : ""} />
        <Fact label="memory" value={host ? percent((100 * host.mem_used) / host.mem_total) : "–"} note={host ? `${bytes(host.mem_used)} of ${bytes(host.mem_total)}` : ""} />
        <Fact label="supervisor" value={last?.supervisor ? percent(last.supervisor.cpu) : "–"} note={last?.supervisor ? bytes(last.supervisor.rss) : ""} />
        <Fact label="version" value={status.version ?? "–"} note={`cgroups ${status.cgroups ?? "?"}`} />
        <Fact label="up" value={status.started_at ? duration(now.value - status.started_at) : "–"} note={status.brain_restarts ? `brain restarted ${status.brain_restarts}×` : `pid ${status.pid ?? "?"}, keeper ${status.keeper_pid ?? "?"}`} tone={status.brain_restarts ? "warn" : ""} />
      </dl>
      <Attention troubles={node.troubles} showNode={false} />
      <Config node={name} />
      <div class="bar"><h2>Services</h2><FilterBox placeholder="name, state:failed, cpu>80" /></div>
      <ServiceTable label="Services" rows={serviceRows([node], numbers)} showNode={false} />
      <h2>Sockets</h2>
      <SocketTable nodes={[node]} />
      <h2>Events <a class="more" href={href(["events"], { node: name })}>all</a></h2>
      <div class="panel"><Timeline events={events.value.filter((e) => e.node === name)} showNode={false} most={30} /></div>
    </div>
  );
}
