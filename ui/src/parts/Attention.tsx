/** Needs attention: what fails, where, since when, why, and the buttons that remedy it. */

import { useState } from "preact/hooks";
import { post } from "../live/api";
import { wish } from "../live/doing";
import { may } from "../live/store";
import { plain } from "../model/ansi";
import { clock, plural } from "../model/format";
import { href } from "../model/route";
import type { Problem } from "../model/types";
import { Age } from "./Age";
import { Prose } from "./Prose";

const LABELS: Record<string, string> = { start: "Start", stop: "Stop", restart: "Restart", reload: "Reload", scale: "+1 process", undrain: "Undrain" };

export function Attention({ problems, showNode }: { problems: readonly Problem[]; showNode: boolean }) {
  const loud = problems.filter((problem) => !problem.muted_until);
  const quiet = problems.filter((problem) => problem.muted_until);
  return (
    <>
      {loud.length ? (
        <section class="attention" aria-label={`Needs attention: ${loud.length}`}>
          <h2>Needs attention <span class="count">{loud.length}</span></h2>
          <ul>{loud.slice(0, 50).map((problem) => <One key={problem.key} problem={problem} showNode={showNode} />)}</ul>
          {loud.length > 50 && <p class="muted">and {loud.length - 50} more</p>}
        </section>
      ) : <p class="allwell"><span class="good" aria-hidden="true">●</span> Nothing needs attention.</p>}
      {quiet.length > 0 && (
        <details class="attention quiet">
          <summary>{plural(quiet.length, "problem")} muted</summary>
          <ul>{quiet.map((problem) => <One key={problem.key} problem={problem} showNode={showNode} />)}</ul>
        </details>
      )}
    </>
  );
}

const MUTES: [string, string][] = [["60", "for 1 h"], ["480", "for 8 h"], ["1440", "for 24 h"]];

/** Somebody knows: it stays in sight, and nobody is told. */
function Mute({ problem }: { problem: Problem }) {
  const [error, setError] = useState("");
  if (!may("mute")) return null;
  const ask = (minutes: number) => post("/api/mute", { key: problem.key, minutes }).then(() => setError(""), (problem: Error) => setError(problem.message));
  const name = `${problem.service || problem.node}: ${problem.what}`;
  if (problem.muted_until) return <button type="button" class="small" title={`Let it be heard again: ${name}`} onClick={() => ask(0)}>Unmute</button>;
  return (
    <>
      <select class="small" aria-label={`Mute ${name}`} value="" onChange={(event) => void ask(Number((event.currentTarget as HTMLSelectElement).value))}>
        <option value="" disabled>Mute…</option>
        {MUTES.map(([minutes, label]) => <option key={minutes} value={minutes}>{label}</option>)}
      </select>
      {error && <span role="alert" class="bad">{error}</span>}
    </>
  );
}

function One({ problem, showNode }: { problem: Problem; showNode: boolean }) {
  const query = { node: problem.node, process: problem.process ? String(problem.process) : "" };
  return (
    <li class={problem.severity > 1 ? "broken" : "degraded"} data-problem tabIndex={-1}>
      <span class="mark" aria-hidden="true">{problem.kind === "away" ? "?" : problem.severity > 1 ? "✖" : "▲"}</span>
      <div class="grow">
        <div class="what">
          {problem.service ? <a href={href(["service", problem.service], query)}><strong>{problem.service}</strong></a> : <a href={href(["server", problem.node])}><strong>{problem.node}</strong></a>}
          {showNode && problem.service && <span class="muted"> on {problem.node}</span>} {problem.what}
          {problem.since > 0 && <span class="muted"> · <Age since={problem.since} /></span>}
          {problem.muted_until > 0 && <span class="muted"> · muted by {problem.muted_by} until {clock(problem.muted_until)}</span>}
        </div>
        {problem.cause && <div class="cause"><Prose text={problem.cause} /></div>}
        {problem.lines.length > 0 && <Lines lines={problem.lines} />}
      </div>
      <div class="remedies">
        {problem.service && <a class="button small" href={`${href(["service", problem.service], query)}#log`}>Log</a>}
        {problem.kind === "config" && may("plan") && <a class="button small" href={`${href(["server", problem.node])}#config`}>Compare</a>}
        {problem.remedies.filter((remedy) => may(remedy.verb)).map((remedy) => (
          <button type="button" class="small" key={remedy.line} data-remedy={remedy.verb} title={remedy.line} onClick={() => wish(remedy.verb, [{ node: problem.node, service: remedy.service }], remedy.options)}>
            {LABELS[remedy.verb] ?? remedy.verb}
          </button>
        ))}
        <Mute problem={problem} />
      </div>
    </li>
  );
}

function Lines({ lines }: { lines: string[] }) {
  const last = lines.filter((line) => line.trim()).slice(-1)[0] ?? "";
  return (
    <details class="last-lines">
      <summary><code>{plain(last).slice(0, 200)}</code></summary>
      <pre tabIndex={0}>{lines.map(plain).join("\n")}</pre>
    </details>
  );
}
