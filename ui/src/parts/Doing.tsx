/** What asks before, and what tells after: the dialog and the toasts of actions. */

import { useEffect, useRef, useState } from "preact/hooks";
import { anyAway, asked, dismiss, perform, toasts, type Toast, type Wish } from "../live/doing";
import { post } from "../live/api";
import { actions, may, nodes } from "../live/store";
import { EFFECTS, ON_SERVERS } from "../model/commands";
import { moment, plural } from "../model/format";
import type { Action, Target, Verb } from "../model/types";
import { Pick } from "./Choice";
import { CommandLines } from "./Copy";

export function ActionDialog() {
  const wish = asked.value;
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (wish && !box.current?.open) box.current?.showModal();
  }, [wish]);
  const [batch, setBatch] = useState(100);
  const [wait, setWait] = useState(0);
  if (!wish) return null;
  const servers = new Set(wish.targets.map((t) => t.node)).size;
  // By the browser's own way out: only so does the focus go back to where it was.
  const close = () => box.current?.close();
  const title = titleOf(wish);
  const away = anyAway(wish.targets);
  return (
    <dialog ref={box} aria-labelledby="ask-title" onClose={() => { asked.value = null; setWait(0); }}>
      <form method="dialog" onSubmit={(event) => { event.preventDefault(); close(); void perform(wish, servers > 1 ? batch : 100, away ? wait : 0); }}>
        <h2 id="ask-title">{title}</h2>
        <p>{EFFECTS[wish.verb]}</p>
        <ul class="touches" aria-label="What it touches">
          {wish.targets.slice(0, 12).map((t) => <li key={nameOf(t)}>{onServers(wish.verb) ? <strong>{t.node}</strong> : <><strong>{t.service}{t.process ? ` #${t.process}` : ""}</strong> on {t.node}</>} <Now {...t} /></li>)}
          {wish.targets.length > 12 && <li>and {wish.targets.length - 12} more</li>}
        </ul>
        {servers > 1 && (
          <p class="strategy"><label>Servers at a time <Pick label="Servers at a time" value={String(batch)} onPick={(value) => setBatch(Number(value))} options={[["100", `all ${servers}`], ["50", "half of them"], ["25", "a quarter of them"], ["1", "one"]]} /></label>
            <span class="muted">{batch < 100 ? "The next ones only when these are well; else it ends there." : "One that fails stops no other."}</span></p>
        )}
        {away && (
          <p class="strategy"><label>Where it is unreachable <Pick label="Where it is unreachable" value={String(wait)} onPick={(value) => setWait(Number(value))} options={[["0", "fail at once"], ["600", "wait 10 minutes"], ["3600", "wait an hour"], ["86400", "wait a day"]]} /></label>
            <span class="muted">{wait ? "The hub does it when the server is back, unless the hub ends before." : "Nothing is sent to it."}</span></p>
        )}
        <CommandLines verb={wish.verb} targets={wish.targets} options={wish.options} />
        <div class="buttons">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class={["stop", "signal", "drain"].includes(wish.verb) ? "danger" : "primary"} autofocus>{label(wish.verb)}</button>
        </div>
      </form>
    </dialog>
  );
}

function titleOf({ verb, targets, options }: Wish): string {
  const servers = new Set(targets.map((t) => t.node));
  const services = [...new Set(targets.map((t) => t.service))];
  const where = servers.size === 1 ? [...servers][0] : plural(servers.size, "server");
  if (onServers(verb)) return `${label(verb)} ${where}`;
  const what = targets.some((t) => t.process) ? (targets.length === 1 ? `${services[0]} #${targets[0]?.process}` : plural(targets.length, "process", "processes")) : services.length === 1 ? services[0] : plural(services.length, "service");
  const extra = verb === "signal" ? ` ${String(options["signal"])} to` : "";
  return `${label(verb)}${extra} ${what} on ${where}`;
}

const onServers = (verb: Verb) => ON_SERVERS.includes(verb);
const label = (verb: Verb) => verb.charAt(0).toUpperCase() + verb.slice(1);
const nameOf = (t: Target) => `${t.node}/${t.service}/${t.process ?? 0}`;

function Now({ node, service, process }: Target) {
  const known = nodes.value.get(node);
  if (known?.away) return <span class="warn">? unreachable: it can't be asked now</span>;
  if (service === "all") {
    const running = known?.status.services?.filter((s) => s.processes.some((p) => p.pid)).length ?? 0;
    return <span class="muted">{plural(running, "service")} running</span>;
  }
  const found = known?.status.services?.find((s) => s.name === service);
  if (process) return <span class="muted">{found?.processes.find((p) => p.number === process)?.state}</span>;
  return <span class="muted">{found && `${found.ready} of ${plural(found.wanted, "process", "processes")} ready`}</span>;
}

/** What waits for a server stays in sight, also on pages opened later, and can be withdrawn. */
function waitingActions(): Toast[] {
  return [...actions.value.values()]
    .filter((a) => !a.ended && a.targets.some((t) => t.waits && !t.result) && !toasts.value.some((t) => t.action === a.number))
    .map((a) => ({ id: -a.number, action: a.number, error: "", hint: "" }));
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {[...waitingActions(), ...toasts.value].map((toast) => <One key={toast.id} toast={toast} />)}
    </div>
  );
}

const waiting = (until: number) => `waits for it until ${moment(until)}`;

/** What came of it on each server. */
function Each({ action }: { action: Action }) {
  const several = new Set(action.targets.map((t) => t.service)).size > 1;
  return (
    <details>
      <summary>each server</summary>
      <ul class="each">
        {action.targets.map((t) => (
          <li key={nameOf(t)}>
            {t.result ? (t.result.ok ? <span class="good">✓</span> : <span class="bad">✖</span>) : "…"} {t.node}{several && ` ${t.service}`}{t.process ? ` #${t.process}` : ""} <span class="muted">{t.result ? t.result.text || t.result.error : t.waits ? waiting(t.waits) : "not yet"}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function One({ toast }: { toast: Toast }) {
  const action = actions.value.get(toast.action);
  const done = action?.targets.filter((t) => t.result) ?? [];
  const bad = done.filter((t) => !t.result?.ok);
  const finished = Boolean(action?.ended);
  const late = finished ? [] : (action?.targets.filter((t) => t.waits && !t.result) ?? []);
  useEffect(() => {
    if (!finished || bad.length) return;
    const timer = setTimeout(() => dismiss(toast.id), action && action.targets.length > 1 ? 15_000 : 6000);
    return () => clearTimeout(timer);
  }, [finished]);
  const tone = toast.error || bad.length ? "bad" : finished || toast.note ? "good" : "busy";
  return (
    <div class={`toast ${tone}`}>
      <div class="grow">
        {toast.error ? <strong>✖ {toast.error}</strong> : action ? (
          <strong>{finished ? (bad.length ? "✖" : "✓") : "…"} {label(action.verb)} {[...new Set(action.targets.map((t) => (onServers(action.verb) ? t.node : t.service)))].slice(0, 6).join(", ")}
            {action.targets.length > 1 && ` ${done.length - bad.length}/${action.targets.length}${bad.length ? `, ${bad.length} failed` : ""}`}</strong>
        ) : <strong>{toast.note ?? "… sending"}</strong>}
        {late.map((t) => <div key={nameOf(t)} class="muted">{t.node} is away: {waiting(t.waits ?? 0)}</div>)}
        {action && late.length > 0 && may(action.verb) && <button type="button" class="small" onClick={() => void post(`/api/act/${action.number}/withdraw`, {}).catch(() => {})}>withdraw</button>}
        {toast.hint && <div class="muted">{toast.hint}</div>}
        {finished && !bad.length && action?.targets.length === 1 && <div class="muted">{action.targets[0]?.result?.text}</div>}
        {bad.slice(0, 8).map((t) => <div key={nameOf(t)}>{t.node}: {t.result?.error} <span class="muted">{t.result?.hint}</span></div>)}
        {action && action.targets.length > 1 && <Each action={action} />}
      </div>
      {toast.id > 0 && <button type="button" class="quiet small" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>✕</button>}
    </div>
  );
}
