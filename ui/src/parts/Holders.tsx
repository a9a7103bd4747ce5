/** Every process that has a listening socket open, as its server finds them now. */

import { useEffect, useState } from "preact/hooks";
import { get, Refusal } from "../live/api";
import { plural } from "../model/format";
import { href, narrow } from "../model/route";

interface Held {
  holders: { pid: number; name: string; service: string; process: number; part: string }[];
  hidden: number;
}

export function Holders({ node, socket }: { node: string; socket: string }) {
  const [held, setHeld] = useState<Held | string | null>(null);
  const ask = () => void get<Held>(`/api/nodes/${encodeURIComponent(node)}/v1/sockets/${encodeURIComponent(socket)}`).then(setHeld, (problem: unknown) => setHeld(problem instanceof Refusal ? `${problem.message} ${problem.hint}` : String(problem)));
  useEffect(ask, [node, socket]);
  return (
    <section class="panel" aria-label={`Who holds ${socket} on ${node}`}>
      <div class="bar"><h2>Who holds {socket} on {node}</h2>
        <button type="button" class="quiet small" onClick={ask}>Refresh</button>
        <button type="button" class="quiet small" aria-label="Close" onClick={() => narrow({ held: "" })}>✕</button></div>
      {typeof held === "string" ? <p role="alert" class="bad">✖ {held}</p> : !held ? <p class="empty" aria-busy="true">Looking…</p> : (
        <ul class="each">
          {held.holders.map((h) => <li key={h.pid}><code>{h.pid}</code> {h.name} {h.part ? <span class="muted">the {h.part}</span> : h.service ? <a href={href(["service", h.service], { node })}>{h.service} #{h.process}</a> : <strong class="warn">not managed</strong>}</li>)}
          {held.hidden > 0 && <li class="muted">{plural(held.hidden, "process", "processes")} of other users could not be looked at.</li>}
        </ul>
      )}
    </section>
  );
}
