/** Needs attention: what fails, where, since when, why, and the buttons that cure it. */

import { useState } from "preact/hooks";
import { post } from "../live/api";
import { wish } from "../live/doing";
import { may } from "../live/store";
import { plain } from "../model/ansi";
import { clock, plural } from "../model/format";
import { href } from "../model/route";
import type { Trouble } from "../model/types";
import { Age } from "./Age";
import { Prose } from "./Prose";

const LABELS: Record<string, string> = { start: "Start", stop: "Stop", restart: "Restart", reload: "Reload", scale: "+1 process", undrain: "Undrain" };

export function Attention({ troubles, showNode }: { troubles: readonly Trouble[]; showNode: boolean }) {
  const loud = troubles.filter((trouble) => !trouble.muted_until);
  const quiet = troubles.filter((trouble) => trouble.muted_until);
  return (
    <>
      {loud.length ? (
        <section class="attention" aria-label={`Needs attention: ${loud.length}`}>
          <h2>Needs attention <span class="count">{loud.length}</span></h2>
          <ul>{loud.slice(0, 50).map((trouble) => <One key={trouble.key} trouble={trouble} showNode={showNode} />)}</ul>
          {loud.length > 50 && <p class="muted">and {loud.length - 50} more</p>}
        </section>
      ) : <p class="allwell"><span class="good" aria-hidden="true">●</span> Nothing needs attention.</p>}
      {quiet.length > 0 && (
        <details class="attention quiet">
          <summary>{plural(quiet.length, "problem")} muted</summary>
          <ul>{quiet.map((trouble) => <One key={trouble.key} trouble={trouble} showNode={showNode} />)}</ul>
        </details>
      )}
    </>
  );
}

const MUTES: [string, string][] = [["60", "for 1 h"], ["480", "for 8 h"], ["1440", "for 24 h"]];

/** Somebody knows: it stays in sight, and nobody is told. */
function Mute({ trouble }: { trouble: Trouble }) {
  const [error, setError] = useState("");
  if (!may("mute")) return null;
  const ask = (minutes: number) => post("/api/mute", { key: trouble.key, minutes }).then(() => setError(""), (problem: Error) => setError(problem.message));
  const name = `${trouble.service || trouble.node}: ${trouble.what}`;
  if (trouble.muted_until) return <button type="button" class="small" title={`Let it be heard again: ${name}`} onClick={() => ask(0)}>Unmute</button>;
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

function One({ trouble, showNode }: { trouble: Trouble; showNode: boolean }) {
  const query = { node: trouble.node, process: trouble.process ? String(trouble.process) : "" };
  return (
    <li class={trouble.severity > 1 ? "broken" : "degraded"} data-problem tabIndex={-1}>
      <span class="mark" aria-hidden="true">{trouble.kind === "away" ? "?" : trouble.severity > 1 ? "✖" : "▲"}</span>
      <div class="grow">
        <div class="what">
          {trouble.service ? <a href={href(["service", trouble.service], query)}><strong>{trouble.service}</strong></a> : <a href={href(["server", trouble.node])}><strong>{trouble.node}</strong></a>}
          {showNode && trouble.service && <span class="muted"> on {trouble.node}</span>} {trouble.what}
          {trouble.since > 0 && <span class="muted"> · <Age since={trouble.since} /></span>}
          {trouble.muted_until > 0 && <span class="muted"> · muted by {trouble.muted_by} until {clock(trouble.muted_until)}</span>}
        </div>
        {trouble.cause && <div class="cause"><Prose text={trouble.cause} /></div>}
        {trouble.lines.length > 0 && <Lines lines={trouble.lines} />}
      </div>
      <div class="cures">
        {trouble.service && <a class="button small" href={`${href(["service", trouble.service], query)}#log`}>Log</a>}
        {trouble.kind === "config" && may("plan") && <a class="button small" href={`${href(["server", trouble.node])}#config`}>Compare</a>}
        {trouble.cures.filter((cure) => may(cure.verb)).map((cure) => (
          <button type="button" class="small" key={cure.line} data-cure={cure.verb} title={cure.line} onClick={() => wish(cure.verb, [{ node: trouble.node, service: cure.service }], cure.options)}>
            {LABELS[cure.verb] ?? cure.verb}
          </button>
        ))}
        <Mute trouble={trouble} />
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
