/** A live chart: uPlot, with one cursor for all charts of a page, markers, and words for its values. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock } from "../model/format";

export interface Series {
  label: string;
  values: (number | null)[];
}

export interface Marker {
  time: number;
  glyph: string;
  tone: string;
  text: string;
}

export interface ChartProps {
  title: string;
  times: number[];
  series: Series[];
  format: (value: number) => string;
  markers?: Marker[];
  height?: number;
  span?: number; // seconds; without it all that is there
  window?: [number, number] | undefined; // or from when to when
  when?: (time: number) => string; // how a moment is written; a clock's time by default
  binary?: boolean; // bytes: ticks at powers of two
  log?: boolean; // a logarithmic axis: small values and their multiples are all in sight
  sync?: string;
}

const HUES = [222, 28, 160, 285, 52, 340, 190, 110];

export function Chart(props: ChartProps) {
  const { title, times, series, format, height = 170 } = props;
  const box = useRef<HTMLDivElement>(null);
  const figure = useRef<HTMLElement>(null);
  const plot = useRef<uPlot | null>(null);
  const live = useRef(props);
  live.current = props;
  const [asTable, setAsTable] = useState(false);
  const shape = series.map((s) => s.label).join("\n");

  useEffect(() => {
    if (!box.current || asTable) return;
    const made = new uPlot(options(live, box.current.clientWidth, height), data(live.current), box.current);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: box.current?.clientWidth ?? 300, height }));
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, asTable, height]);

  useEffect(() => {
    plot.current?.setData(data(props));
  }, [times, series, props.markers, props.window?.[1]]);

  // Written by hand: what stands under the cursor changes more often than the page is drawn.
  useEffect(() => tell(figure.current, props, plot.current?.cursor.idx));

  const words = useMemo(() => summary(series, format), [series]);
  return (
    <figure class="chart" ref={figure}>
      <figcaption>
        <span>{title}</span>
        <span class="chart-at" />
        <button type="button" class="quiet small" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? "as chart" : "as table"}
        </button>
      </figcaption>
      <ul class="legend">{series.map((s, i) => <li key={s.label} class={`s${i % HUES.length}`}>{s.label} <b /></li>)}</ul>
      {asTable ? <Table {...props} /> : <div ref={box} role="img" aria-label={`${title}: ${words.all}`} style={{ height: `${height}px` }} />}
    </figure>
  );
}

function Table({ title, times, series, format, when = clock }: ChartProps) {
  const every = Math.max(1, Math.ceil(times.length / 20));
  const picked = times.map((time, i) => [time, i] as const).filter(([, i]) => i % every === 0);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${title} as a table`}>
      <table>
        <thead>
          <tr><th scope="col">time</th>{series.map((s) => <th scope="col" key={s.label}>{s.label}</th>)}</tr>
        </thead>
        <tbody>
          {picked.reverse().map(([time, i]) => (
            <tr key={time}>
              <td>{when(time)}</td>
              {series.map((s) => <td key={s.label} class="right">{s.values[i] == null ? "–" : format(s.values[i] as number)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function data({ times, series }: ChartProps): uPlot.AlignedData {
  return [times, ...series.map((s) => s.values)] as uPlot.AlignedData;
}

function options(live: { current: ChartProps }, width: number, height: number): uPlot.Options {
  const { sync = "page", series, binary, log } = live.current;
  const ink = () => css("--muted");
  const line = () => css("--line");
  return {
    width,
    height,
    cursor: { sync: { key: sync }, points: { size: 6 }, drag: { x: false, y: false } },
    legend: { show: false },
    scales: {
      x: { time: true, range: (_u, min, max) => live.current.window ?? [live.current.span ? max - live.current.span : min, max] },
      y: log ? { distr: 3, range: (_u, min, max) => [decade(min, Math.floor), decade(max, Math.ceil)] } : { range: (_u, _min, max) => [0, max > 0 ? max * 1.12 : 1] },
    },
    axes: [
      { stroke: ink, grid: { show: false }, ticks: { show: false }, size: 22, font: FONT, space: 70, values: (_u, ticks) => ticks.map((t) => (live.current.when ?? clock)(t)) },
      { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 58, ...(log ? { splits: (_u, _axis, min, max) => decades(min, max) } : {}), font: FONT, space: 34, ...(binary ? { incrs: BINARY } : {}), values: (_u, ticks) => ticks.map((v) => (v == null ? "" : live.current.format(v).replace(".0", ""))) },
    ],
    series: [
      {},
      ...series.map((s, i): uPlot.Series => ({
        label: s.label,
        stroke: () => hue(i),
        width: 1.5,
        fill: series.length === 1 ? () => hue(i, 0.12) : undefined as never,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: { draw: [(u) => drawMarkers(u, live.current.markers ?? [])], setCursor: [(u) => tell(u.root.closest("figure"), live.current, u.cursor.idx)] },
  };
}

const decade = (value: number, way: (power: number) => number) => 10 ** way(Math.log10(value > 0 ? value : 0.001) + (way === Math.ceil ? 1e-9 : -1e-9));
const decades = (min: number, max: number) => Array.from({ length: Math.round(Math.log10(max / min)) + 1 }, (_, i) => min * 10 ** i);
const BINARY = Array.from({ length: 34 }, (_, i) => 2 ** (i + 8));
const FONT = "11px system-ui, sans-serif";

function drawMarkers(u: uPlot, markers: Marker[]): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui`;
  ctx.textAlign = "center";
  for (const marker of markers) {
    const x = u.valToPos(marker.time, "x", true);
    if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue;
    ctx.strokeStyle = ctx.fillStyle = css(`--${marker.tone}`);
    ctx.globalAlpha = 0.55;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top + 12 * devicePixelRatio);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.fillText(marker.glyph, x, bbox.top + 10 * devicePixelRatio);
  }
  ctx.restore();
}

/** The values under the cursor stand in the legend: no box that covers the lines. */
function tell(figure: HTMLElement | null, props: ChartProps, i: number | null | undefined): void {
  const place = figure?.querySelector(".chart-at");
  if (!figure || !place) return;
  const time = i == null ? 0 : (props.times[i] ?? 0);
  const near = i == null ? undefined : (props.markers ?? []).find((m) => Math.abs(m.time - time) <= 2);
  place.textContent = i == null ? "" : `${(props.when ?? clock)(time)}${near ? `  ${near.glyph} ${near.text}` : ""}`;
  const now = i == null ? summary(props.series, props.format).now : props.series.map((s) => shown(s.values[i], props.format));
  figure.querySelectorAll(".legend b").forEach((value, at) => (value.textContent = now[at] ?? ""));
}

const shown = (value: number | null | undefined, format: (value: number) => string) => (value == null ? "–" : format(value));

function summary(series: Series[], format: (value: number) => string): { now: string[]; all: string } {
  const parts = series.map((s) => {
    const known = s.values.filter((v): v is number => v != null);
    if (!known.length) return { now: "–", all: `${s.label} no values` };
    const last = known[known.length - 1] as number;
    const sortedValues = [...known].sort((a, b) => a - b);
    const middle = sortedValues[Math.floor(known.length / 2)] as number;
    return {
      now: shown(s.values[s.values.length - 1], format),
      all: `${s.label} now ${format(last)}, lowest ${format(sortedValues[0] as number)}, median ${format(middle)}, highest ${format(sortedValues[known.length - 1] as number)}`,
    };
  });
  return { now: parts.map((p) => p.now), all: parts.map((p) => p.all).join("; ") || "no values" };
}

function css(name: string): string {
  return getComputedStyle(document.body).getPropertyValue(name).trim() || "gray";
}

function hue(i: number, alpha = 1): string {
  const dark = getComputedStyle(document.body).colorScheme === "dark" || (document.documentElement.dataset["theme"] !== "light" && matchMedia("(prefers-color-scheme: dark)").matches && document.documentElement.dataset["theme"] !== "light");
  return `hsl(${HUES[i % HUES.length]} 60% ${dark ? 68 : 42}% / ${alpha})`;
}
