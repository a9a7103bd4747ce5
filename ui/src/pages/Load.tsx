/** Load tests: what runs now, what ran, whether it kept its objective, and the report itself. */

import { useEffect } from "preact/hooks";
import { load, watchLoad, type LoadResult } from "../live/store";
import { duration, grouped, latency, moment, percent } from "../model/format";
import { compile } from "../model/filter";
import { quoted } from "../model/lines";
import { go, href, narrow, param } from "../model/route";
import { CommandLine } from "../parts/Copy";
import { Grid, sorted, type Column } from "../tables/Grid";
import { FilterBox } from "../tables/Tables";
import { LoadDialog } from "../parts/LoadDeeds";
import { Fact } from "./Fleet";
import { Baseline } from "../load/Baseline";
import { Stored } from "../load/Stored";
import { Live } from "./LoadLive";
import { LoadCompare } from "./LoadCompare";

const VERDICTS: Record<string, [string, string]> = {
  met: ["✓", "good"],
  "not met": ["✖", "bad"],
  unsure: ["?", "warn"],
  "generator-limited": ["▲", "warn"],
  broken: ["✖", "bad"],
  none: ["·", "muted"],
};

export function Load({ id }: { id: string }) {
  useEffect(watchLoad, []);
  const state = load.value;
  if (!state) return <><h1>Load</h1><p class="empty" aria-busy="true">Looking for load tests…</p></>;
  const found = state.results.find((r) => String(r.id) === id);
  const other = state.results.find((r) => String(r.id) === param("with"));
  if (found && other) return <LoadCompare key={`${other.id} ${found.id}`} before={other} after={found} />;
  if (id) return found ? <One key={id} result={found} all={state.results} /> : <><h1>Load</h1><p class="empty">No load test {id}. <a href="/load">All load tests</a></p></>;
  return (
    <>
      <header class="title"><h1>Load</h1><span class="muted">Latency counts from the moment a request was due, not from when it could be sent.</span></header>
      {state.live.map((run, i) => <Live key={run.run} run={run} first={i === 0} />)}
      <LoadDialog />
      <div class="bar"><h2>Results</h2><FilterBox placeholder="name, verdict:met, p99>0.3" /></div>
      <Results rows={state.results} />
      {!state.results.length && <><p>How far does a service scale, and where does it break?</p><CommandLine line="chapiteau load capacity http://127.0.0.1:8000/openapi.json" /></>}
    </>
  );
}

function Verdict({ word }: { word: string }) {
  const [glyph, tone] = VERDICTS[word] ?? ["·", "muted"];
  return <span class={`state ${tone}`}><span aria-hidden="true">{glyph}</span> {word}</span>;
}

function Results({ rows }: { rows: LoadResult[] }) {
  const picked = new Set(param("pick").split(",").filter(Boolean));
  const setPicked = (ids: ReadonlySet<string>) => narrow({ pick: [...ids].join(",") });
  const sort = param("sort");
  const kept = rows.filter(compile(param("q"), (r, name) => (r as unknown as Record<string, string | number>)[name], (r) => `${r.id} ${r.name} ${r.target} ${r.verdict}`));
  const pick = (id: string) => {
    const next = new Set([...picked].slice(picked.has(id) ? 0 : -1));
    if (!next.delete(id)) next.add(id);
    setPicked(next);
  };
  const [before = "", after = ""] = [...picked].sort((a, b) => Number(a) - Number(b));
  return (
    <>
      {picked.size > 0 && (
        <div class="bar selected" role="toolbar" aria-label="Selected load tests">
          <span>{after ? `#${before} and #${after}` : `#${before}: pick another one`}</span>
          {after && <a class="button small primary" href={href(["load", after], { with: before })} data-key="c" aria-keyshortcuts="c" title="Compare (c)">compare</a>}
          <button type="button" class="quiet small" onClick={() => setPicked(new Set())}>clear</button>
        </div>
      )}
      <Table rows={sorted(kept, columnsOf(rows), sort)} sort={sort} picked={picked} pick={pick} />
    </>
  );
}

function Table({ rows, sort, picked, pick }: { rows: LoadResult[]; sort: string; picked: ReadonlySet<string>; pick: (id: string) => void }) {
  const box: Column<LoadResult> = { key: "pick", label: "selected", mute: true, width: "20px", cell: (r) => <input type="checkbox" aria-label={`Select load test ${r.id}`} checked={picked.has(String(r.id))} onChange={() => pick(String(r.id))} /> };
  return <Grid label="Load tests" columns={[box, ...columnsOf(load.value?.results ?? rows)]} rows={rows} id={(r) => String(r.id)} sort={sort} selected={picked} onSelect={(ids) => pick(ids[ids.length - 1] ?? "")} onSort={(s) => narrow({ sort: s })} onOpen={(r) => go(href(["load", String(r.id)]))} />;
}

/** By how much its p99 is above that of its test's baseline. Whether that is real, a comparison tells. */
function against(result: LoadResult, all: readonly LoadResult[]): number | null {
  const held = all.find((r) => r.id === result.baseline);
  return held && held !== result && held.p99 && result.p99 ? result.p99 / held.p99 - 1 : null;
}

const columnsOf = (all: readonly LoadResult[]): Column<LoadResult>[] => [
  { key: "id", label: "#", width: "34px", sort: (r) => r.id, cell: (r) => <a href={href(["load", String(r.id)])}>{r.id}</a> },
  { key: "verdict", label: "verdict", width: "minmax(88px, 128px)", sort: (r) => r.verdict, cell: (r) => <Verdict word={r.verdict} /> },
  { key: "name", label: "test", width: "minmax(64px, 1fr)", sort: (r) => r.name, cell: (r) => <span title={`${r.name} (${r.kind})`}><strong>{r.name.replace(/^https?:\/\//, "")}</strong> <span class="muted">{r.kind}</span></span> },
  { key: "rate", label: "rate", width: "64px", right: true, sort: (r) => r.rate, cell: (r) => `${grouped(r.rate)}/s` },
  { key: "p99", label: "p99", width: "80px", right: true, from: 440, sort: (r) => r.p99 ?? 0, cell: (r) => (r.p99 == null ? "–" : latency(r.p99)) },
  { key: "baseline", label: "baseline", width: "96px", right: true, from: 600, sort: (r) => against(r, all) ?? -9, cell: (r) => (r.baseline === r.id ? "this one" : <Against result={r} all={all} />) },
  { key: "version", label: "version", width: "76px", from: 1000, sort: (r) => r.version, cell: (r) => <span title={r.version}>{r.version}</span> },
  { key: "errors", label: "errors", width: "70px", right: true, from: 520, sort: (r) => r.errors, cell: (r) => <span class={r.errors > 0.01 ? "bad" : ""}>{percent(100 * r.errors)}</span> },
  { key: "requests", label: "requests", width: "90px", right: true, from: 640, sort: (r) => r.requests, cell: (r) => grouped(r.requests) },
  { key: "started", label: "when", width: "150px", from: 760, sort: (r) => r.started, cell: (r) => moment(r.started) },
  { key: "line", label: "verdict in words", mute: true, width: "minmax(120px, 2fr)", from: 900, cell: (r) => <span class="muted" title={r.line}>{r.line}</span> },
];

function One({ result, all }: { result: LoadResult; all: LoadResult[] }) {
  const at = all.findIndex((r) => r.id === result.id);
  const newer = all[at - 1];
  const older = all[at + 1];
  const report = `/api/load/${result.id}/report`;
  const same = all.slice(at + 1).find((r) => r.name === result.name && r.kind === result.kind);
  const held = result.baseline === result.id ? undefined : (all.find((r) => r.id === result.baseline) ?? same);
  const than = held && (held.id === result.baseline ? `the baseline #${held.id}` : `#${held.id}, the one before`);
  return (
    <>
      <header class="title"><h1>{result.name} <span class="muted">#{result.id}</span></h1><Verdict word={result.verdict} /><span class="muted">{moment(result.started)} · {duration(result.seconds)} · {result.target}</span></header>
      <p class="verdict-line">{result.line}</p>
      <dl class="band">
        <Fact label="rate" value={`${grouped(result.rate)}/s`} note={change(result.rate, held?.rate, than)} />
        <Fact label="p99" value={result.p99 == null ? "–" : latency(result.p99)} note={change(result.p99 ?? 0, held?.p99 ?? undefined, than)} />
        <Fact label="errors" value={percent(100 * result.errors)} tone={result.errors ? "bad" : ""} />
        <Fact label="requests" value={grouped(result.requests)} />
      </dl>
      <div class="bar">
        {older && <a class="button small" href={href(["load", String(older.id)])} data-key="[">← older</a>}
        {newer && <a class="button small" href={href(["load", String(newer.id)])} data-key="]">newer →</a>}
        {result.report && <a class="button small" href={report} target="_blank" rel="noopener">Open report</a>}
        {held && <a class="button small" href={href(["load", String(result.id)], { with: String(held.id) })} data-key="c" aria-keyshortcuts="c" title="Compare (c)">compare with {held.id === result.baseline ? "the baseline" : ""} #{held.id}</a>}
        <a class="button small quiet" href={`/api/load/${result.id}`} download={`load-${result.id}.json`}>JSON</a>
        <a class="button small quiet" href={`/api/load/${result.id}/csv`} download={`load-${result.id}.csv`}>CSV</a>
        {result.report && <a class="button small quiet" href={report} download={`load-${result.id}.html`}>HTML</a>}
        {held && <CommandLine line={`chapiteau load compare ${held.id === result.baseline ? "baseline" : held.id} ${result.id}`} />}
      </div>
      {result.requests > 0 && <div class="bar"><Baseline result={result} shortcut="b" /></div>}
      <Stored id={result.id} />
      {result.verdict !== "broken" && result.kind === "run" && <details class="as-baseline"><summary>Use as baseline</summary><p>The next run is compared with it, and fails when it is slower:</p><CommandLine line={`chapiteau load run ${quoted(result.name)} --baseline ${result.baseline === result.id ? "baseline" : result.id}`} label="Hold the next one against it" /></details>}
      {result.report ? <iframe class="report" src={report} title={`Report of load test ${result.id}`} sandbox="allow-scripts allow-downloads" /> : <p class="empty">Its report was deleted; the numbers above are kept.</p>}
    </>
  );
}

function Against({ result, all }: { result: LoadResult; all: readonly LoadResult[] }) {
  const by = against(result, all);
  return by === null ? null : <a href={href(["load", String(result.id)], { with: String(result.baseline) })} title={`p99 against that of #${result.baseline}; compare them to see whether it is real`}>{by >= 0 ? "+" : ""}{(100 * by).toFixed(0)} %</a>;
}

function change(value: number, before: number | undefined, than = ""): string {
  if (!before) return "";
  const by = (100 * (value - before)) / before;
  return `${by >= 0 ? "+" : ""}${by.toFixed(1)} % against ${than}`;
}
