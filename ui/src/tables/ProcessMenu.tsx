/** One process: what it is, how its last one ended, and all that can be done to it. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { wish } from "../live/doing";
import { may } from "../live/store";
import { plain } from "../model/ansi";
import { moment } from "../model/format";
import { go, href } from "../model/route";
import { exitWords, reason, type ProcessRow } from "../model/rows";
import type { Verb } from "../model/types";
import { SignalPick } from "./Picking";
import { Prose } from "../parts/Prose";
import { State } from "../parts/State";
import { lastWords } from "../parts/Timeline";

export const chosen = signal<ProcessRow | null>(null);

export function MenuButton({ row }: { row: ProcessRow }) {
  return <button type="button" class="quiet small dots" tabIndex={-1} aria-haspopup="dialog" aria-label={`Actions on ${row.service} #${row.process.number} on ${row.node}`} title="All about this process (m on its row)" onClick={() => (chosen.value = row)}>⋮</button>;
}

export function ProcessMenu() {
  const row = chosen.value;
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (row && !box.current?.open) box.current?.showModal();
  }, [row]);
  if (!row) return null;
  const { process, service, node } = row;
  const close = () => box.current?.close();
  const then = (work: () => void) => () => {
    close();
    work();
  };
  const target = [{ node, service, process: process.number }];
  const exit = process.last_exit;
  const query = { node, process: String(process.number) };
  return (
    <dialog ref={box} aria-labelledby="process-title" onClose={() => (chosen.value = null)} onClick={(event) => event.target === box.current && close()}>
      <h2 id="process-title">{service} #{process.number} on {node}</h2>
      <p><State state={row.away ? "unreachable" : process.state} /> {process.pid > 0 && <span class="muted">pid {process.pid}</span>} {reason(process)}</p>
      {exit.time ? (
        <>
          <p>Previous process exited {moment(exit.time)}: <strong>{exitWords(process) || "for an unknown reason"}</strong>. <Prose text={exit.cause ?? ""} /></p>
          {exit.lines?.length ? <pre class="said" tabIndex={0} aria-label="Its last words">{exit.lines.map(plain).join("\n")}</pre> : null}
        </>
      ) : null}
      <div class="buttons start">
        <button type="button" onClick={then(() => go(`${href(["service", service], query)}#log`))}>Log</button>
        {exit.time ? <button type="button" onClick={then(() => go(lastWords(service, node, process.number, exit.time ?? 0)))} title="The last 200 lines of the one before">Why did it die?</button> : null}
        {process.pid > 0 && (["reload", "restart", "stop"] as Verb[]).filter(may).map((verb) => <button type="button" key={verb} onClick={then(() => wish(verb, target))}>{verb[0]?.toUpperCase()}{verb.slice(1)}</button>)}
        {process.pid > 0 && may("signal") && <SignalPick label={`Send a signal to ${service} #${process.number}`} onPick={(name) => then(() => wish("signal", target, { signal: name }))()} />}
        <button type="button" class="last" onClick={close}>Close</button>
      </div>
    </dialog>
  );
}
