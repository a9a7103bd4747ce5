/** CPU, memory and requests of a service: history from the hub, then every second. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "../live/api";
import { numbers, tick } from "../live/store";
import { bridged, Curves, highest, summed, type Past, type Point } from "../model/curves";
import { amount, bytes, latency, percent } from "../model/format";
import type { Happening } from "../model/types";
import { param, narrow } from "../model/route";
import { Chart, type Marker, type Series } from "./Chart";
import { Choice } from "../parts/Choice";
import { look, sentence } from "../parts/Timeline";

const MOST_LINES = 8;
const MARKED = /process\.exited|brain_died|service\.(reloaded|scaled|failed)|config_applied|supervisor\.(drained|undrained)/;
const BY_HAND = /^(start|stop|restart)$/;

type Line = (number | null)[];
const NONE: readonly Marker[] = [];

/** `window`: the moments shown, so that they stand below others on the same axis. */
export function LiveCharts({ nodes, service, events, window, also = NONE }: { nodes: string[]; service: string; events: readonly Happening[]; window?: [number, number]; also?: readonly Marker[] }) {
  const span = window ? Math.min(3600, 60 * Math.ceil((window[1] - window[0]) / 60)) : Number(param("range", "300"));
  const curves = useRef(new Curves(span));
  const [, redraw] = useState(0);
  const wanted = `${nodes.join(" ")} ${service} ${span}`;

  useEffect(() => {
    const fresh = new Curves(span);
    curves.current = fresh;
    const ask = async (node: string) => {
      const past = await get<Past>("/api/history", { node, service, seconds: String(span) });
      numbers.fillProcesses(node, past);
      return past;
    };
    void Promise.allSettled(nodes.map(async (node) => fresh.load(nodes.length > 1 ? `${node} ` : "", await ask(node)))).then(() => redraw((n) => n + 1));
  }, [wanted]);

  useEffect(() => {
    const { time, readings } = readingsNow(nodes, service);
    if (time) curves.current.add(time, readings);
    redraw((n) => n + 1);
  }, [tick.value, wanted]);

  const { times } = curves.current;
  const markers = useMemo(() => [...events.filter(marked).map(marker), ...also], [events, also]);
  const shown = CHARTS.filter((row) => !window || row.beside).map((row) => ({ ...row, series: row.series(curves.current, events) })).filter((row) => row.beside || row.series.length > 0);
  return (
    <section class="chart-block" aria-label={`CPU and memory of ${service}`}>
      {!window && <Choice label="Range" value={String(span)} onPick={(range) => narrow({ range })} options={[["60", "1 m"], ["300", "5 m"], ["600", "10 m"]]} />}
      <div class="charts">
        {shown.map(({ title, series, format, binary }) => (
          <Chart key={title} title={window ? `${title} of ${service}` : title} window={window} times={times} series={series} format={format} markers={markers} span={span} binary={binary ?? false} />
        ))}
      </div>
    </section>
  );
}

interface Row {
  title: string;
  format: (value: number) => string;
  series: (curves: Curves, events: readonly Happening[]) => Series[]; // none: no chart
  beside?: boolean; // shown below a load test too, and when there are no values
  binary?: boolean;
}

/** The charts of a service, one a row. */
const CHARTS: readonly Row[] = [
  { title: "CPU", format: percent, series: ({ lines }) => ofProcesses(lines.cpu), beside: true },
  { title: "Memory", format: bytes, series: ({ lines }) => ofProcesses(lines.rss), beside: true, binary: true },
  { title: "Unexpected exits", format: (value) => (Number.isInteger(value) ? String(value) : ""), series: ({ times }, events) => exits(times, events) },
  { title: "Requests per second", format: amount, series: ({ lines }) => ofServers(lines.rate, summed, lines.errors) },
  { title: "p99 of the requests", format: latency, series: ({ lines }) => (lines.rate.size ? ofServers(lines.p99, highest) : []) },
];

/** How many processes have exited unexpectedly since the chart's beginning. */
function exits(times: readonly number[], events: readonly Happening[]): Series[] {
  const found = events.filter((e) => e.kind === "process.exited" && !e.data?.["asked"] && e.time >= (times[0] ?? Infinity)).map((e) => e.time).sort((a, b) => a - b);
  let count = 0;
  const values = times.map((time) => {
    while (count < found.length && (found[count] as number) < time + 1) count++;
    return count;
  });
  return count ? [{ label: "exits", values }] : [];
}

function readingsNow(nodes: string[], service: string): { time: number; readings: Map<string, Point> } {
  const readings = new Map<string, Point>();
  let time = 0;
  for (const node of nodes) {
    const last = numbers.node(node);
    if (!last) continue;
    time = Math.max(time, last.time);
    for (const id of numbers.idsOf(node, service)) {
      const read = numbers.process(node, id);
      if (read) readings.set(nodes.length > 1 ? `${node} ${id}` : id, { cpu: read.cpu, rss: read.rss });
    }
    const [rate, p99, errors] = last.requests?.[service] ?? [];
    if (rate != null) readings.set(nodes.length > 1 ? node : "", { rate, p99: p99 ?? null, errors: errors ?? 0 });
  }
  return { time, readings };
}

/** Few processes are a line each; many are one line, their sum. */
function ofProcesses(all: Map<string, (number | null)[]>): Series[] {
  const names = [...all.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const found = names.map((id): Series => ({ label: id.replace(/^(.* )?.*\//, "$1#"), values: bridged(all.get(id) ?? []) }));
  return found.length <= MOST_LINES ? found : [{ label: `sum of ${found.length}`, values: summed(found.map((one) => one.values)) }];
}

/** Of each server a line, of many servers one; and what failed, where something did. */
function ofServers(all: Map<string, Line>, together: (lines: Line[]) => Line, failed?: Map<string, Line>): Series[] {
  const names = [...all.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const found = names.map((name): Series => ({ label: name || "all", values: bridged(all.get(name) ?? []) }));
  if (!found.length) return [];
  const bad = summed([...(failed?.values() ?? [])].map((line) => bridged(line)));
  const shown = found.length <= MOST_LINES ? found : [{ label: `${together === summed ? "sum" : "highest"} of ${found.length}`, values: together(found.map((one) => one.values)) }];
  return bad.some(Boolean) ? [...shown, { label: "answered 5xx", values: bad }] : shown;
}

/** What explains a curve: crashes, new versions, orders by people. Not each end that was asked for. */
export function marked(event: Happening): boolean {
  if (event.kind === "command.done") return BY_HAND.test(String(event.data?.["verb"]));
  return MARKED.test(event.kind) && !event.data?.["asked"];
}

export function marker(event: Happening): Marker {
  const [glyph, tone] = look(event);
  return { time: event.time, glyph, tone, text: sentence(event) };
}
