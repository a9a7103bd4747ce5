/** The server's file against what runs: what a changed file would do, and doing it. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { post, Refusal } from "../live/api";
import { may } from "../live/store";
import { CommandLine } from "./Copy";

interface Plan {
  ok: boolean;
  text: string;
  error: string;
  hint: string;
  data: { changes?: { kind: string; what: string; name: string; effect: string; differences?: { setting: string; old: unknown; new: unknown }[] }[] };
}

const compared = signal(0);
const waiting = signal(false); // changes are shown, and wait to be applied

/** "Reload config": first what it would change, then the same key does it. */
export function ReloadConfig() {
  const keys = waiting.value ? {} : { "data-key": "Shift+R", "aria-keyshortcuts": "Shift+R" };
  return <button type="button" {...keys} title="What the file would change; then apply it (Shift+R)" onClick={() => { compared.value++; document.getElementById("config")?.scrollIntoView({ block: "center" }); }}>Reload config</button>;
}

export function Config({ node }: { node: string }) {
  const [plan, setPlan] = useState<Plan | null>(null);
  const [state, setState] = useState("");
  const ask = async (apply: boolean) => {
    setState(apply ? "Applying; services restart in their order…" : "Reading the file…");
    try {
      const answer = await post<Plan>("/api/config", { node, apply });
      setPlan(apply && answer.ok ? null : answer);
      setState(apply && answer.ok ? `✓ ${answer.text.split("\n").pop() ?? "applied"}` : "");
    } catch (problem) {
      setPlan(null);
      setState(`✖ ${problem instanceof Refusal ? `${problem.message} ${problem.hint}` : String(problem)}`);
    }
  };
  const asked = compared.value;
  const first = useRef(asked);
  useEffect(() => {
    if (asked !== first.current) void ask(false);
  }, [asked]);
  const changes = plan?.data.changes ?? [];
  useEffect(() => {
    waiting.value = changes.length > 0 && may("apply");
    return () => (waiting.value = false);
  }, [changes.length]);
  if (!may("plan")) return null;
  return (
    <section class="panel config" id="config" tabIndex={-1} aria-label="Configuration">
      <header class="bar">
        <h2>Configuration</h2>
        <button type="button" class="small" data-key="d" aria-keyshortcuts="d" title="Running against the file (d)" onClick={() => ask(false)}>Compare with the file</button>
        {may("apply") && changes.length > 0 && <button type="button" class="small primary" data-key="Shift+R" aria-keyshortcuts="Shift+R" title="Follow the file (Shift+R)" onClick={() => ask(true)}>Apply {changes.length === 1 ? "the change" : `${changes.length} changes`}</button>}
        <span role="status" class={state.startsWith("✖") ? "bad" : "muted"}>{state}</span>
      </header>
      {plan && !plan.ok && <p role="alert" class="bad">✖ {plan.error} <span class="muted">{plan.hint}</span></p>}
      {plan?.ok && !changes.length && <p class="good">● Running configuration matches the file.</p>}
      {changes.length > 0 && (
        <ul class="changes">
          {changes.map((c) => (
            <li key={`${c.what} ${c.name}`}><strong>{SIGNS[c.kind] ?? "~"} {c.what} {c.name}</strong> <span class={c.effect === "none" ? "muted" : "warn"}>{c.effect}</span>
              {c.differences?.map((d) => <div key={d.setting} class="muted"><code>{d.setting}</code> {shown(d.old)} → {shown(d.new)}</div>)}</li>
          ))}
        </ul>
      )}
      {changes.length > 0 && <CommandLine line="chapiteau reload" label="Apply it from a terminal on the server" />}
    </section>
  );
}

const SIGNS: Record<string, string> = { add: "+", remove: "−", change: "~" };

const shown = (value: unknown) => (value === null || value === undefined || value === "" ? "nothing" : typeof value === "string" ? value : JSON.stringify(value));
