/** Rows that are picked, and what can be done to all of them; which ones is in the address. */

import type { ComponentChildren } from "preact";
import { wish } from "../live/doing";
import { may } from "../live/store";
import { narrow, param } from "../model/route";
import type { Target, Verb } from "../model/types";

/** Everything that fits the filter, whatever that will be; else what was picked, one by one. */
const ALL = "all";

export interface Picked {
  picked: ReadonlySet<string>;
  pick: (ids: string[], range?: boolean) => void;
  every: boolean;
}

/** `shown`: what the filter leaves. What it hides is not touched. */
export function usePicked(shown: readonly string[]): Picked {
  const kept = param("pick");
  const picked = new Set(kept === ALL ? shown : kept.split(",").filter(Boolean).map(decodeURIComponent));
  const pick = (ids: string[], range = false) => {
    const next = new Set(picked);
    for (const id of ids) if (range || !next.delete(id)) next.add(id);
    narrow({ pick: [...next].map(encodeURIComponent).join(",") });
  };
  return { picked, pick, every: shown.length > 0 && (kept === ALL || shown.every((id) => picked.has(id))) };
}

export const SIGNALS = ["HUP", "USR1", "USR2", "TERM", "QUIT", "INT", "KILL"];

export function PickBar({ label, every, shown, targets, verbs, children }: { label: string; every: boolean; shown: number; targets: Target[]; verbs: readonly Verb[]; children: ComponentChildren }) {
  if (!may("start") || !shown) return null;
  return (
    <div class={`bar${targets.length ? " selected" : ""}`} role="toolbar" aria-label={label}>
      <button type="button" class="small" data-key="Shift+A" aria-keyshortcuts="Shift+A" title="All that is shown, or none (Shift+A)" onClick={() => narrow({ pick: every ? "" : ALL })}>{every ? "select none" : `select all ${shown} shown`}</button>
      {targets.length > 0 && <span>{children}</span>}
      {targets.length > 0 && verbs.filter((verb) => verb !== "signal" && may(verb)).map((verb) => <button type="button" key={verb} class="small" onClick={() => wish(verb, targets)}>{verb}</button>)}
      {targets.length > 0 && verbs.includes("signal") && may("signal") && <SignalPick onPick={(signal) => wish("signal", targets, { signal })} />}
    </div>
  );
}

export function SignalPick({ onPick, label = "Send a signal", title = "Signal…", shortcut }: { onPick: (signal: string) => void; label?: string; title?: string; shortcut?: string }) {
  return (
    <select aria-label={label} data-key={shortcut} aria-keyshortcuts={shortcut} title={shortcut && `${label} (${shortcut})`} value="" onChange={(event) => {
      const box = event.currentTarget as HTMLSelectElement;
      onPick(box.value);
      box.value = "";
    }}>
      <option value="" disabled>{title}</option>
      {SIGNALS.map((signal) => <option key={signal} value={signal}>{signal}</option>)}
    </select>
  );
}
