/** Two load tests side by side: is the second faster or slower, by how much, and where. */

import { useEffect, useState } from "preact/hooks";
import { get, Refusal } from "../live/api";
import type { LoadPoint, LoadResult } from "../live/store";
import { duration, grouped, latency, moment, percent } from "../model/format";
import { everySecond } from "../model/curves";
import { href } from "../model/route";
import { Chart, type Marker } from "../charts/Chart";
import { Baseline } from "../load/Baseline";
import { CommandLine } from "../parts/Copy";

interface Change {
  figure: string;
  before: number;
  after: number;
  change: number;
  low: number | null;
  high: number | null;
  word: string;
}

interface Moment {
  t: number;
  who: string;
  text: string;
}

interface Comparison {
  word: string;
  margin: number;
  changes: Change[];
  errors: { before: number; after: number };
  rows: { name: string; before: number; after: number; change: number; low?: number | null; high?: number | null; word?: string }[];
  curves: { a: LoadPoint[]; b: LoadPoint[] };
  marks: { a: Moment[]; b: Moment[] };
}

const WORDS: Record<string, [string, string]> = { faster: ["▼", "good"], slower: ["▲", "bad"], same: ["=", "muted"] };

export function LoadCompare({ before, after }: { before: LoadResult; after: LoadResult }) {
  const [found, setFound] = useState<Comparison | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    setFound(null);
    get<Comparison>("/api/load/compare", { a: String(before.id), b: String(after.id) }).then(setFound, (problem: unknown) => setError(problem instanceof Refusal ? `${problem.message} ${problem.hint}` : String(problem)));
  }, [before.id, after.id]);
  return (
    <>
      <header class="title"><h1><a href={href(["load", String(before.id)])}>#{before.id}</a> → <a href={href(["load", String(after.id)])}>#{after.id}</a></h1>{found && <Word word={found.word} />}
        <a class="button small" href={href(["load", String(before.id)], { with: String(after.id) })}>swap</a></header>
      <p class="muted">{[before, after].map((one, i) => <span key={one.id}>{i > 0 && " against "}{one.name}, {moment(one.started)}</span>)}</p>
      {error && <p role="alert" class="bad">✖ {error}</p>}
      {!found && !error && <p class="empty" aria-busy="true">Comparing…</p>}
      {found && <Found found={found} names={[`#${before.id}`, `#${after.id}`]} />}
      <div class="bar"><CommandLine line={`chapiteau load compare ${before.baseline === before.id ? "baseline" : before.id} ${after.id}`} />{before.name === after.name && before.kind === after.kind && <Baseline key={before.id} result={before} />}<Baseline key={after.id} result={after} /></div>
    </>
  );
}

function Word({ word }: { word: string }) {
  const [glyph, tone] = WORDS[word] ?? ["?", "warn"];
  return <span class={`state ${tone}`}><span aria-hidden="true">{glyph}</span> {word}</span>;
}

/** "+12 % ▲ real", "±2 % noise". */
function Mark({ row }: { row: Comparison["rows"][number] }) {
  const by = `${row.change >= 0 ? "+" : ""}${(100 * row.change).toFixed(0)} %`;
  if (real(row)) return <strong class={row.word === "slower" ? "bad" : "good"}>{by} {row.word === "slower" ? "▲" : "▼"} real</strong>;
  return row.word === "same" || row.word === "noise" ? <span class="muted">±{Math.abs(100 * row.change).toFixed(0)} % noise</span> : <span class="warn" title={row.low == null ? "too few requests for an interval" : "its interval reaches below the margin"}>{by} ? cannot tell</span>;
}

const real = (row: Comparison["rows"][number]) => row.word === "slower" || row.word === "faster";
const between = (low?: number | null, high?: number | null) => (low == null || high == null ? "–" : `${signed(low)} … ${signed(high)}`);

function Found({ found, names: [first, second] }: { found: Comparison; names: [string, string] }) {
  const { a, b } = found.curves;
  const length = Math.max(a.at(-1)?.t ?? 0, b.at(-1)?.t ?? 0) + 1;
  const times = Array.from({ length }, (_, second) => second);
  const both = (value: (point: LoadPoint) => number | null | undefined) => [{ label: first, values: everySecond(a, length, value) }, { label: second, values: everySecond(b, length, value) }];
  const said = (marks: Moment[], which: string) => marks.map((one): Marker => ({ time: one.t, glyph: "◆", tone: "accent", text: `${which}: ${one.text} (${one.who})` }));
  const markers = [...said(found.marks.a, first), ...said(found.marks.b, second)];
  const axis = { times, markers, when: duration };
  return (
    <>
      <div class="scroll panel" tabIndex={0} role="region" aria-label="Figures">
        <table class="figures">
          <thead><tr><th scope="col">figure</th><th scope="col">{first}</th><th scope="col">{second}</th><th scope="col">change</th><th scope="col">95 % interval</th><th scope="col">verdict (±{Math.round(100 * found.margin)} %)</th></tr></thead>
          <tbody>
            {found.changes.map((c) => (
              <tr key={c.figure}><th scope="row">{c.figure}</th><td>{latency(c.before)}</td><td>{latency(c.after)}</td><td>{signed(c.change)}</td><td>{between(c.low, c.high)}</td><td><Word word={c.word} /></td></tr>
            ))}
            <tr><th scope="row">errors</th><td>{percent(100 * found.errors.before)}</td><td>{percent(100 * found.errors.after)}</td><td colSpan={3} /></tr>
          </tbody>
        </table>
      </div>
      <div class="charts">
        <Chart title="p99 by elapsed time" log {...axis} series={both((p) => p.p99)} format={latency} />
        <Chart title="Requests per second" {...axis} series={both((p) => p.rate)} format={(v) => `${grouped(v)}/s`} />
        <Chart title="Errors" {...axis} series={both((p) => (p.rate ? (100 * p.bad) / p.rate : 0))} format={percent} />
        <Chart title="Sessions on their way" {...axis} series={both((p) => p.running)} format={grouped} />
      </div>
      {found.rows.length > 0 && (
        <div class="scroll panel" tabIndex={0} role="region" aria-label="p99 of each endpoint">
          <table class="figures">
            <thead><tr><th scope="col">p99 of</th><th scope="col">{first}</th><th scope="col">{second}</th><th scope="col">interval (all hold together)</th><th scope="col">change</th></tr></thead>
            <tbody>{[...found.rows].sort((x, y) => Number(real(y)) - Number(real(x)) || Math.abs(y.change) - Math.abs(x.change)).map((row) => <tr key={row.name}><th scope="row">{row.name}</th><td>{latency(row.before)}</td><td>{latency(row.after)}</td><td>{between(row.low, row.high)}</td><td><Mark row={row} /></td></tr>)}</tbody>
          </table>
        </div>
      )}
    </>
  );
}

const signed = (share: number) => `${share >= 0 ? "+" : ""}${(100 * share).toFixed(1)} %`;
