/** CPU and memory of a server: its past from the hub, then what comes every second. */

import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../live/api";
import { numbers, tick } from "../live/store";
import { bridged } from "../model/curves";
import { percent } from "../model/format";
import { narrow, param } from "../model/route";
import type { Happening } from "../model/types";
import { Choice } from "../parts/Choice";
import { Chart } from "./Chart";
import { marked, marker } from "./LiveCharts";

interface Past {
  time: number;
  step: number;
  cpu: (number | null)[];
  mem: (number | null)[];
}

const SECONDS = 600; // beyond it the hub tells minutes
const RANGES: [string, string][] = [["300", "5 m"], ["3600", "1 h"], ["86400", "24 h"]];

export function HostCharts({ node, events }: { node: string; events: readonly Happening[] }) {
  const span = Number(param("range", "300"));
  const past = useRef<Past>({ time: 0, step: 1, cpu: [], mem: [] });
  const [, redraw] = useState(0);
  const load = () => get<Past>("/api/history", { node, host: "1", seconds: String(span) }).then((found) => {
    past.current = found;
    redraw((n) => n + 1);
  }, () => {});

  useEffect(() => {
    void load();
    if (span <= SECONDS) return;
    const timer = setInterval(() => void load(), 60_000);
    return () => clearInterval(timer);
  }, [node, span]);

  useEffect(() => {
    const last = numbers.node(node);
    const { current } = past;
    if (!last?.host || span > SECONDS || !current.cpu.length) return;
    const missing = Math.floor(last.time) - (current.time + current.cpu.length - 1);
    if (missing < 1) return;
    const gap = Array<null>(Math.min(missing, span) - 1).fill(null);
    const keep = <T,>(line: T[]) => line.slice(-span);
    const cpu = keep([...current.cpu, ...gap, last.host.cpu]);
    past.current = { ...current, time: Math.floor(last.time) - cpu.length + 1, cpu, mem: keep([...current.mem, ...gap, (100 * last.host.mem_used) / last.host.mem_total]) };
    redraw((n) => n + 1);
  }, [tick.value]);

  const { time, step, cpu, mem } = past.current;
  const times = cpu.map((_, i) => time + i * step);
  const markers = events.filter(marked).map(marker);
  return (
    <section class="chart-block" aria-label={`CPU and memory of ${node}`}>
      <Choice label="Range" value={String(span)} onPick={(range) => narrow({ range })} options={RANGES} />
      <div class="charts">
        <Chart title="CPU of the server" times={times} series={[{ label: "CPU", values: bridged(cpu) }]} format={percent} markers={markers} span={span} />
        <Chart title="Memory of the server" times={times} series={[{ label: "memory", values: bridged(mem) }]} format={percent} markers={markers} span={span} />
      </div>
    </section>
  );
}
