/** Needs attention: what fails, where, since when, why, and the buttons that cure it. */

import { wish } from "../live/doing";
import { may } from "../live/store";
import { plain } from "../model/ansi";
import { href } from "../model/route";
import type { Trouble } from "../model/types";
import { Age } from "./Age";
import { Prose } from "./Prose";

const LABELS: Record<string, string> = { start: "Start", stop: "Stop", restart: "Restart", reload: "Reload", scale: "+1 process", undrain: "Undrain" };

export function Attention({ troubles, showNode }: { troubles: readonly Trouble[]; showNode: boolean }) {
  if (!troubles.length) return <p class="allwell"><span class="good" aria-hidden="true">●</span> Nothing needs attention.</p>;
  return (
    <section class="attention" aria-label={`Needs attention: ${troubles.length}`}>
      <h2>Needs attention <span class="count">{troubles.length}</span></h2>
      <ul>{troubles.slice(0, 50).map((trouble) => <One key={trouble.key} trouble={trouble} showNode={showNode} />)}</ul>
      {troubles.length > 50 && <p class="muted">and {troubles.length - 50} more</p>}
    </section>
  );
}

function One({ trouble, showNode }: { trouble: Trouble; showNode: boolean }) {
  const query = { node: trouble.node, process: trouble.process ? String(trouble.process) : "" };
  return (
    <li class={trouble.severity > 1 ? "broken" : "degraded"} data-problem tabIndex={-1}>
      <span class="mark" aria-hidden="true">{trouble.severity > 1 ? "✖" : "▲"}</span>
      <div class="grow">
        <div class="what">
          {trouble.service ? <a href={href(["service", trouble.service], query)}><strong>{trouble.service}</strong></a> : <a href={href(["server", trouble.node])}><strong>{trouble.node}</strong></a>}
          {showNode && trouble.service && <span class="muted"> on {trouble.node}</span>} {trouble.what}
          {trouble.since > 0 && <span class="muted"> · <Age since={trouble.since} /></span>}
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
