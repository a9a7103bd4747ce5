/** Requests by name, of a test that runs or has run; one of them in full: histogram, statuses, the slowest, failures. */

import type { Failure, LiveRow } from "../live/store";
import { duration, grouped, latency, percent } from "../model/format";
import { narrow, param } from "../model/route";
import { Spark } from "../charts/Spark";

const HEAD = ["request", "n", "rate", "errors", "p50", "p95", "p99", "max", "pace"];

/** `seconds`: in which they came. */
export function Endpoints({ rows, seconds, failures = [], label }: { rows: LiveRow[]; seconds: number; failures?: Failure[] | undefined; label: string }) {
  const time = (value: number | null) => (value === null ? "–" : latency(value));
  const open = param("row");
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table class="figures">
        <thead><tr>{HEAD.map((name) => <th scope="col" key={name}>{name}</th>)}</tr></thead>
        <tbody>{rows.map((row) => [
          <tr key={row.name}>
            <th scope="row"><button type="button" class="quiet" aria-expanded={open === row.name} onClick={() => narrow({ row: open === row.name ? "" : row.name })}>{row.name}</button></th>
            <td>{grouped(row.requests)}</td><td>{perSecond(row.requests / Math.max(1, seconds))}</td><td class={row.bad ? "bad" : ""}>{percent(row.requests ? (100 * row.bad) / row.requests : 0)}</td><td>{time(row.p50)}</td><td>{time(row.p95)}</td><td>{time(row.p99)}</td><td>{time(row.max)}</td><td><Spark values={row.pace} /></td>
          </tr>,
          open === row.name && <tr key={`${row.name} `}><td colSpan={HEAD.length}><Detail row={row} failures={failures} /></td></tr>,
        ])}</tbody>
      </table>
    </div>
  );
}

const perSecond = (rate: number) => `${rate < 10 ? rate.toFixed(1) : grouped(rate)}/s`;

function Detail({ row, failures }: { row: LiveRow; failures: Failure[] }) {
  const answers = Object.entries({ ...row.statuses, ...row.failures });
  const mine = failures.filter((one) => one.what.startsWith(`${row.name}: `));
  return (
    <div class="endpoint">
      {row.bins && row.bins.length > 0 && <Bins bins={row.bins} />}
      <dl aria-label="Answers">{answers.map(([what, count]) => <div key={what}><dt>{what}</dt><dd>{grouped(count)}</dd></div>)}</dl>
      {row.slowest && row.slowest.length > 0 && <div><strong>The slowest</strong><ol>{row.slowest.map(([at, took], i) => <li key={i}>{latency(took)} <span class="muted">at {duration(at)}</span></li>)}</ol></div>}
      {mine.length > 0 && <div class="whole"><strong>Failures, each with a sample</strong>{mine.map((one) => <details key={one.what}><summary><b>{grouped(one.count)}×</b> {one.what.slice(row.name.length + 2)}</summary><pre class="said" tabIndex={0}>{one.sample || "no sample was kept"}</pre></details>)}</div>}
    </div>
  );
}

/** How many took how long; the axis is logarithmic. */
function Bins({ bins }: { bins: [number, number][] }) {
  const top = Math.max(...bins.map(([, count]) => count));
  const [from] = bins[0] as [number, number];
  const [upto] = bins[bins.length - 1] as [number, number];
  const [most] = bins.find(([, count]) => count === top) as [number, number];
  const words = `from ${latency(from)} to ${latency(upto * STEP)}, most often ${latency(most)} to ${latency(most * STEP)}`;
  return (
    <figure>
      <svg class="bins" viewBox={`0 0 ${bins.length} 100`} preserveAspectRatio="none" role="img" aria-label={`How long they took: ${words}`}>
        {bins.map(([at, count], i) => <rect key={at} x={i + 0.08} width="0.84" y={100 - (100 * count) / top} height={(100 * count) / top}><title>{`${latency(at)}: ${grouped(count)}`}</title></rect>)}
      </svg>
      <figcaption class="muted">{words}</figcaption>
    </figure>
  );
}

const STEP = 10 ** (1 / 12);
