/** Who did what on the page, kept by the hub: newest first, older ones on request. */

import { useEffect, useState } from "preact/hooks";
import { get, Refusal } from "../live/api";
import { actions } from "../live/store";
import { compile } from "../model/filter";
import { moment } from "../model/format";
import { param } from "../model/route";

interface Entry {
  seq: number;
  time: number;
  who: string;
  verb: string;
  target: string;
  result: string;
}

const PAGE = 200; // as many as the hub gives at once

export function Audit() {
  const [entries, setEntries] = useState<Entry[]>([]);
  const [error, setError] = useState("");
  const [whole, setWhole] = useState(false);
  const ask = async (before: number) => {
    try {
      const { entries: found } = await get<{ entries: Entry[] }>("/api/audit", { before: String(before) });
      setWhole(found.length < PAGE);
      setEntries((known) => (before ? [...known, ...found] : found));
    } catch (problem) {
      setError(problem instanceof Refusal ? problem.message : String(problem));
    }
  };
  // What is pressed anywhere shows at once.
  useEffect(() => void ask(0), [actions.value]);
  const test = compile<Entry>(param("q"), (e, name) => (e as unknown as Record<string, string | number>)[name], (e) => `${e.who} ${e.verb} ${e.target} ${e.result}`);
  const shown = entries.filter(test);
  if (error) return <p role="alert" class="bad">✖ {error}</p>;
  if (!shown.length) return <p class="empty">{entries.length > 0 ? "No matches." : "No actions yet."}</p>;
  return (
    <div class="panel scroll" tabIndex={0} role="region" aria-label="Audit trail">
      <table class="audit">
        <thead><tr><th scope="col">when</th><th scope="col">who</th><th scope="col">did</th><th scope="col">to</th><th scope="col">result</th></tr></thead>
        <tbody>{shown.map((e) => <tr key={e.seq}><td>{moment(e.time)}</td><td>{e.who}</td><td>{e.verb}</td><td>{e.target}</td><td>{e.result}</td></tr>)}</tbody>
      </table>
      {!whole && <button type="button" class="small" onClick={() => ask(entries[entries.length - 1]?.seq ?? 0)}>older</button>}
    </div>
  );
}
