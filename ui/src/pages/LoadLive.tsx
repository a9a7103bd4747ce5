/** The running test: what it did so far, next to what it has to keep, above its target's own numbers. */

import { events, now, sortedNodes, type LiveRun } from "../live/store";
import { duration, grouped, latency, percent, plural } from "../model/format";
import { Age } from "../parts/Age";
import { Chart, type Marker } from "../charts/Chart";
import { LiveCharts, marked, marker } from "../charts/LiveCharts";
import { LoadButtons } from "../parts/LoadDeeds";
import { Endpoints } from "../load/Endpoints";
import { Fact } from "./Fleet";

export function Live({ run, first }: { run: LiveRun; first: boolean }) {
  const points = (run.timeline ?? []).slice(0, -1); // the newest second is not whole yet
  const last = points[points.length - 1];
  const target = supervised(run.target);
  const times = points.map((p) => Math.floor(run.started) + p.t);
  const window: [number, number] = [times[0] ?? run.started, Math.max(now.value, (times[0] ?? run.started) + 10)];
  const happened = target ? events.value.filter((e) => e.service === target.service && e.node === target.node) : [];
  const said = (run.marks ?? []).map((one): Marker => ({ time: run.started + one.t, glyph: "◆", tone: "accent", text: `${one.text} (${one.who})` }));
  const markers = [...happened.filter(marked).map(marker), ...said];
  const sound = run.soundness;
  const axis = { window, times, markers };
  return (
    <section class="panel live-load" aria-label={`Running: ${run.name}`}>
      <header class="title">
        <h2>{run.name}</h2><span class="state busy"><span aria-hidden="true">◐</span> running{run.phase && `: ${run.phase}`}</span>
        <span class="muted">{run.load?.length ? `${run.load.slice(-3).join(", then ")} · ` : ""}{sound?.processes ? `${plural(sound.processes, "worker")} · ` : ""}<Age since={run.started} suffix="" />{run.kind === "run" && run.seconds > 0 && ` of ${duration(run.seconds)}`} · {run.target}</span>
        <LoadButtons run={run} first={first} />
      </header>
      {run.so_far && run.so_far.length > 0 && <p class="so-far" role="status"><strong>Verdict so far</strong>{run.so_far.map((f) => <span key={f.objective} class={f.value === null ? "muted" : f.met ? "good" : "bad"}>{f.value === null ? "·" : f.met ? "✓" : "✖"} {f.objective} <b>{f.shown}</b></span>)}</p>}
      {run.objective && !run.so_far?.length && <p><code>{run.objective}</code></p>}
      <dl class="band">
        <Fact label="rate" value={`${grouped(last?.rate ?? run.rate ?? 0)}/s`} note={run.rate ? `wanted ${grouped(run.rate)}/s` : ""} />
        <Fact label="p99" value={run.p99 == null ? "–" : latency(run.p99)} note={run.p50 == null ? "" : `p50 ${latency(run.p50)}`} />
        <Fact label="errors" value={percent(100 * run.errors)} note={run.dropped ? `${grouped(run.dropped)} dropped` : ""} tone={run.errors ? "bad" : ""} />
        <Fact label="requests" value={grouped(run.requests)} note={last?.running == null ? "" : `${last.running} sessions now`} />
        {sound && <Fact label="generators" value={sound.cpu_peak == null ? "–" : `CPU ${percent(100 * sound.cpu_peak)}`} note={`${sound.sound ? "ok" : "not to be trusted"}${sound.late == null ? "" : `, late starts ${percent(100 * sound.late)}`}`} tone={sound.sound ? "" : "bad"} />}
      </dl>
      {sound?.notes.map((note) => <p key={note} class="warn">▲ {note}</p>)}
      {points.length > 1 && (
        <div class="charts">
          <Chart title="Requests per second" {...axis} series={[{ label: "rate", values: points.map((p) => p.rate) }]} format={(v) => `${grouped(v)}/s`} />
          <Chart title="Errors" {...axis} series={[{ label: "errors", values: points.map((p) => (p.rate ? (100 * p.bad) / p.rate : 0)) }]} format={percent} />
          <Chart title="Latency" log {...axis} series={(["p50", "p95", "p99"] as const).map((label) => ({ label, values: points.map((p) => p[label] ?? null) }))} format={latency} />
          <Chart title={run.room && !run.room.is_open ? "Users at work" : "Sessions on their way"} {...axis} series={[{ label: "sessions", values: points.map((p) => p.running) }]} format={grouped} />
        </div>
      )}
      {target && <LiveCharts nodes={[target.node]} service={target.service} window={window} events={happened} also={said} />}
      {said.length > 0 && <ul class="marks" aria-label="Marked moments">{(run.marks ?? []).map((one) => <li key={`${one.t} ${one.text}`}><span class="accent" aria-hidden="true">◆</span> {duration(one.t)} {one.text} <span class="muted">— {one.who}</span></li>)}</ul>}
      {run.rows && run.rows.length > 0 && <Endpoints rows={run.rows} seconds={(last?.t ?? 0) + 1} failures={run.failures} label="Requests so far" />}
    </section>
  );
}

const origin = (url: string) => (URL.canParse(url) ? new URL(url).origin : "");

/** The supervised service behind a URL: its CPU and memory belong on the same clock. By the document that it publishes, or by the port, if just one has that. */
function supervised(url: string): { node: string; service: string } | null {
  const place = origin(url);
  if (!place) return null;
  const listening: { node: string; service: string }[] = [];
  const { port, protocol } = new URL(place);
  for (const node of sortedNodes.value) {
    for (const service of node.status.services ?? []) if (origin(service.openapi) === place) return { node: node.name, service: service.name };
    for (const socket of node.status.sockets ?? []) if (socket.address.endsWith(`:${port || (protocol === "https:" ? 443 : 80)}`)) listening.push(...socket.services.map((service) => ({ node: node.name, service })));
  }
  return listening.length === 1 ? (listening[0] ?? null) : null;
}
