/** Output of one or many processes on one or many servers: followed, searched there, read around a moment. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { followLog } from "../live/store";
import { clockFine, plural } from "../model/format";
import { narrow, param } from "../model/route";
import { EMPTY, withOlder, withRows, type Line } from "../model/ring";
import type { LogRow, Older } from "../model/types";
import { Choice, Pick, useToggle } from "../parts/Choice";
import { LogLines } from "./LogLines";

const KEPT = 5000;
// Around a moment: little after it, so that the newest lines of the window do not crowd it out.
const BEFORE = 30; // seconds
const AFTER = 5;
const NEWEST = 500;

export interface LogProps {
  nodes: string[];
  service: string;
  showNode: boolean;
}

export function Log({ nodes, service, showNode }: LogProps) {
  const grep = param("grep");
  const level = param("level");
  const around = Number(param("around")) || 0;
  const narrowed = { service, stream: param("stream"), process: param("process") };
  const [draft, setDraft] = useState(grep);
  const { ring: { lines, count }, older, looking, more } = useRing(nodes, around ? { service } : { ...narrowed, grep, level, since: param("since") }, around);
  const [wrap, wrapButton] = useToggle("log.wrap", "wrap");
  const [times, timesButton] = useToggle("log.times", "times", true);
  const [fold, foldButton] = useToggle("log.fold", "fold JSON", true);
  const regex = draft ? compiled(draft) : undefined;
  const shown = regex && !around ? lines.filter((line) => regex.test(line.plain)) : lines;

  return (
    <section class="panel log-panel" id="log" tabIndex={-1} aria-label="Log">
      <header class="bar">
        <h2>Log</h2>
        <Choice label="Stream" value={narrowed.stream} onPick={(v) => narrow({ stream: v })} options={[["", "out + err"], ["stdout", "out"], ["stderr", "err"]]} />
        <Pick label="Level" value={level} onPick={(v) => narrow({ level: v })} options={[["", "any level"], ["info", "info and worse"], ["warning", "warnings and worse"], ["error", "errors"]]} />
        <Pick label="Since" value={param("since")} onPick={(v) => narrow({ since: v })} options={[["", "newest 500"], ["300", "last 5 minutes"], ["3600", "last hour"], ["86400", "last day"]]} />
        <form class="grow" onSubmit={(event) => { event.preventDefault(); narrow({ grep: draft, around: "" }); }}>
          <input type="search" id="log-filter" value={draft} placeholder="regular expression; Enter searches on the servers" aria-label="Filter lines" aria-keyshortcuts="l"
            aria-invalid={regex === null} onInput={(event) => setDraft((event.currentTarget as HTMLInputElement).value)} />
        </form>
        {narrowed.process && <button type="button" class="chip" onClick={() => narrow({ process: "" })} aria-label={`Show all processes, not only ${narrowed.process}`}>#{narrowed.process} ✕</button>}
        {wrapButton}{timesButton}{foldButton}
        <button type="button" class="quiet small" title="What is shown, as a file" onClick={() => save(shown, service)}>save</button>
        <a class="button quiet small" href={download(nodes, { ...narrowed, grep, level })} download={`${service}.log`} data-key="o" aria-keyshortcuts="o" title="All that is kept on the servers, as a file (o)">download</a>
      </header>
      {around > 0 && <div class="bar hits" role="status"><span>All of {service} around {clockFine(around)}: {BEFORE} s before, {AFTER} s after</span><button type="button" class="small" onClick={() => narrow({ around: "" })}>{grep ? "back to the search" : "back to the newest"}</button></div>}
      {grep && !around && <div class="bar hits" role="status"><span>{lines.length >= NEWEST && !param("since") ? "The newest lines" : plural(lines.length, "line")} with <code>{grep}</code>{older && !looking ? " so far" : ""}; a line's time shows what was said around it</span><button type="button" class="small" onClick={() => { setDraft(""); narrow({ grep: "" }); }}>all lines</button></div>}
      {(older || looking) && <div class="bar hits older"><button type="button" class="small" onClick={more} aria-busy={looking}>{looking ? "stop looking" : "older lines"}</button><span role="status">{looking ? "looking through older files on the servers…" : ""}</span></div>}
      <LogLines key={around} lines={shown} count={count} goal={around} hit={around ? (regex ?? null) : null} look={{ wrap, times, fold, showNode, links: !around && Boolean(grep || draft || level) }} />
    </section>
  );
}

function useRing(nodes: string[], narrowed: Record<string, string>, around: number) {
  const ring = useSignal(EMPTY);
  const older = useSignal<Older>({});
  const looking = useSignal<(() => void) | null>(null);
  const most = useRef(KEPT);
  const { since = "", ...query } = narrowed;
  const wanted = JSON.stringify([nodes, narrowed, around]);
  useEffect(() => {
    ring.value = EMPTY;
    older.value = {};
    most.current = KEPT;
    let window: Record<string, string> = { last: String(NEWEST) };
    if (around) window = { since: String(around - BEFORE), until: String(around + AFTER), last: String(KEPT) };
    else if (since) window = { since: String(Date.now() / 1000 - Number(since)), last: String(KEPT) };
    const end = followLog({ nodes, query: { ...query, ...window, pages: "1" } }, (rows, gap, page) => {
      if (page) older.value = onward(older.value, page);
      ring.value = withRows(ring.value, rows, gap, most.current);
    });
    return () => {
      end();
      looking.value?.();
    };
  }, [wanted]);

  /** One page more, or the end of looking for it; a server that had no time to find any is asked again. */
  const more = () => {
    if (looking.value) return looking.value();
    const rows: LogRow[] = [];
    const asked = new Set(Object.keys(older.value));
    const begin = around ? around - BEFORE : since ? Date.now() / 1000 - Number(since) : 0;
    const end = followLog({ nodes: [...asked], before: older.value, query: { ...query, pages: "1", last: String(NEWEST), until: String(around ? around + AFTER : Date.now() / 1000), ...(begin ? { since: String(begin) } : {}) } }, (found, _, page) => {
      rows.push(...found);
      if (!page) return;
      older.value = onward(older.value, page);
      asked.delete(page.node);
      // What it found may still be on its way, in the next message.
      if (!asked.size) setTimeout(() => stop(rows.length === 0 && Object.keys(older.value).length > 0), 200);
    });
    const stop = (again = false) => {
      if (looking.value !== stop) return;
      end();
      looking.value = null;
      most.current += rows.length;
      ring.value = withOlder(ring.value, rows);
      if (again) more();
    };
    looking.value = stop;
  };
  return { ring: ring.value, older: Object.keys(older.value).length > 0, looking: looking.value !== null, more };
}

function onward(older: Older, { node, older: places }: { node: string; older: Record<string, string> }): Older {
  const { [node]: _, ...others } = older;
  return Object.keys(places).length ? { ...others, [node]: places } : others;
}

function compiled(source: string): RegExp | null {
  try {
    return new RegExp(source, "i");
  } catch {
    return null;
  }
}

function download(nodes: string[], query: Record<string, string>): string {
  const all = new URLSearchParams([...nodes.map((node) => ["node", node]), ...Object.entries(query).filter(([, value]) => value), ["whole", "1"], ["form", "text"]]);
  return `/api/logs?${all.toString()}`;
}

function save(lines: readonly Line[], service: string): void {
  const text = lines.map(({ time, row, plain: body }) => `${new Date(time * 1000).toISOString()} ${row[1]} ${row[2]}/${row[3]} ${row[4]} ${body || row[5]}`).join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/plain" }));
  link.download = `${service}.log`;
  link.click();
  URL.revokeObjectURL(link.href);
}
