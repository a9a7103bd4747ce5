/** What changed in a service's API since its last document: what can break its clients first. */

import { moment, plural } from "../model/format";

export interface Past {
  since: number;
  before: { since: number; changes: { breaking: boolean; where: string; what: string }[] } | null;
}

export function ApiChanges({ since, before }: Past) {
  if (!before) return <p class="muted">First version seen, since {moment(since)}.</p>;
  const breaking = before.changes.filter((c) => c.breaking);
  const rest = before.changes.filter((c) => !c.breaking);
  if (!before.changes.length) return <p class="muted">Its words changed {moment(since)}; what clients send and get did not.</p>;
  return (
    <details class="api-changes">
      <summary>Changed {moment(since)}: {breaking.length > 0 && <strong class="bad">▲ {breaking.length} breaking</strong>}{breaking.length > 0 && rest.length > 0 && ", "}{rest.length > 0 && plural(rest.length, "compatible change")}</summary>
      <ul class="changes">
        {[...breaking, ...rest].map((c) => <li key={`${c.where} ${c.what}`}><span class={c.breaking ? "bad" : "muted"}>{c.breaking ? "▲ breaking" : "compatible"}</span> <code>{c.where}</code> {c.what}</li>)}
      </ul>
    </details>
  );
}
