/** Everything that happened, on every server, and who did it. */

import { useEffect } from "preact/hooks";
import { events, may, recall, sortedNodes } from "../live/store";
import { compile } from "../model/filter";
import { narrow, param } from "../model/route";
import type { Happening } from "../model/types";
import { Choice } from "../parts/Choice";
import { FilterBox } from "../tables/Tables";
import { isProblem, isWanted, sentence, Timeline } from "../parts/Timeline";
import { Audit } from "../parts/Audit";

const KINDS: Record<string, (event: Happening) => boolean> = { problem: isProblem, people: isWanted };

export function Events() {
  useEffect(() => void recall({ node: param("node"), last: "2000" }).catch(() => {}), [param("node")]);
  const kind = param("kind");
  const node = param("node");
  const test = compile<Happening>(param("q"), (e, name) => (e as unknown as Record<string, string | number>)[name], (e) => `${e.kind} ${e.service ?? ""} ${e.node} ${sentence(e)}`);
  const shown = events.value.filter((e) => (!node || e.node === node) && (!KINDS[kind] || KINDS[kind](e)) && test(e));
  return (
    <>
      <header class="title"><h1>Events</h1>{node && <button type="button" class="chip" onClick={() => narrow({ node: "" })}>{node} ✕</button>}</header>
      <div class="bar">
        <Choice label="Kind" value={kind} onPick={(k) => narrow({ kind: k })} options={[["", "all"], ["problem", "problem"], ["people", "by people"], ...(may("audit") ? [["audit", "audit trail"] as [string, string]] : [])]} />
        <FilterBox placeholder="words, kind:exited, service:web" />
      </div>
      {kind === "audit" && may("audit") ? <Audit /> : <div class="panel"><Timeline events={shown} showNode={sortedNodes.value.length > 1} most={500} /></div>}
    </>
  );
}
