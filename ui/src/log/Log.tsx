/** Output of one or many processes on one or many servers: followed, searched there, read around a moment. */

import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { followLog } from "../live/store";
import { clockFine, plural } from "../model/format";
import { narrow, param } from "../model/route";
import { compiled, hitsOf, nextHit, placeOf, withNotes } from "./hits";
import { EMPTY, withOlder, withRows, type Line } from "../model/ring";
import type { LogRow, Older } from "../model/types";
import { Choice, Pick, useToggle } from "../parts/Choice";
import { LogLines } from "./LogLines";

const KEPT = 5000;
// Around a moment: little after it, so that the newest lines of the window do not crowd it out.
const BEFORE = 30; // seconds
const AFTER = 5;
const NEWEST = 500;
const LAST_WORDS = "200"; // lines of one that ended

export interface LogProps {
  nodes: string[];
  service: string;
  showNode: boolean;
  title?: string;
  children?: ComponentChildren; // more to choose from
}

export function Log({ nodes: all, service, showNode, title = "Log", children }: LogProps) {
  const grep = param("grep");
  const level = param("level");
  const around = Number(param("around")) || 0;
  const until = around ? 0 : Number(param("until")) || 0;
  const from = all.length > 1 && all.includes(param("from")) ? param("from") : "";
  const nodes = from ? [from] : all;
  const narrowed = { service, stream: param("stream"), process: param("process") };
  const draft = param("find") || grep; // what is looked for among the lines that are here
  const [follow, setFollow] = useState(true);
  const [at, setAt] = useState(0); // the hit that was gone to: its line's number
  const asked = grep && `(?i)${grep}`; // as it is looked for here
  const wanted: Record<string, string> = around ? { service } : until ? { ...narrowed, until: String(until) } : { ...narrowed, grep: asked, level, since: param("since") };
  const { ring: { lines, count }, unread, older, looking, more } = useRing(nodes, wanted, around);
  const [wrap, wrapButton] = useToggle("log.wrap", "wrap");
  const [times, timesButton] = useToggle("log.times", "times", true);
  const [fold, foldButton] = useToggle("log.fold", "fold JSON", true);
  const [only, onlyButton] = useToggle("log.only", "only hits", true);
  const regex = draft ? compiled(draft) : undefined;
  useEffect(() => setAt(0), [JSON.stringify(wanted), from]); // other lines have other numbers
  const hits = useMemo(() => (regex ? hitsOf(lines, regex) : []), [lines, draft]);
  const shown = useMemo(() => (regex && only && !around ? withNotes(lines, regex) : lines), [lines, draft, only, around]);
  const go = (way: 1 | -1) => {
    setAt(nextHit(hits, at || (around ? (lines[placeOf(lines, around, regex)]?.id ?? 0) : 0), way));
    setFollow(false);
  };
  const place = hits.findIndex((line) => line.id === at) + 1;
  const raw = download(nodes, { ...narrowed, grep: asked, level });

  return (
    <section class="panel log-panel" id="log" tabIndex={-1} aria-label={title}>
      <header class="bar">
        <h2>{title}</h2>
        {children}
        <Choice label="Stream" value={narrowed.stream} onPick={(v) => narrow({ stream: v })} options={[["", "out + err"], ["stdout", "out"], ["stderr", "err"]]} />
        {all.length > 1 && <Pick label="Output of which server" value={from} onPick={(v) => narrow({ from: v })} options={[["", `all ${all.length} servers`], ...all.map((name): [string, string] => [name, name])]} />}
        <Pick label="Level" value={level} onPick={(v) => narrow({ level: v })} options={[["", "any level"], ["info", "info and above"], ["warning", "warning and above"], ["error", "errors"]]} />
        <Pick label="Since" value={param("since")} onPick={(v) => narrow({ since: v })} options={[["", "newest 500"], ["300", "last 5 minutes"], ["3600", "last hour"], ["86400", "last day"]]} />
        <form class="grow" onSubmit={(event) => { event.preventDefault(); narrow({ grep: draft, find: "", around: "", until: "" }); }}>
          <input type="search" id="log-filter" value={draft} placeholder="regular expression; Enter searches on the servers" aria-label="Filter lines" aria-keyshortcuts="l"
            aria-invalid={regex === null} onInput={(event) => { const find = (event.currentTarget as HTMLInputElement).value; narrow(find ? { find } : { find, grep: "" }); setAt(0); }} />
        </form>
        {narrowed.process && <button type="button" class="chip" onClick={() => narrow({ process: "", from: "" })} aria-label={`Show all processes, not only ${narrowed.process}`}>{from} #{narrowed.process} ✕</button>}
        {wrapButton}{timesButton}{foldButton}
        {!around && !until && <button type="button" class="quiet small" aria-pressed={follow} data-key="f" aria-keyshortcuts="f" title="Stay at the newest line (f)" onClick={() => setFollow(!follow)}>follow</button>}
        <button type="button" class="quiet small" title="What is shown, as a file" onClick={() => save(shown, service)}>save</button>
        <a class="button quiet small" href={raw} download={`${service || "log"}.log`} title="All that is kept on the servers, as a file">download</a>
        <a class="button quiet small" href={`${raw}&show=1`} target="_blank" rel="noopener" data-key="o" aria-keyshortcuts="o" title="All that is kept on the servers, as plain text in a tab of its own (o)">raw</a>
      </header>
      {around > 0 && <div class="bar hits" role="status"><span>All of {service} around {clockFine(around)}: {BEFORE} s before, {AFTER} s after</span><button type="button" class="small" onClick={() => narrow({ around: "" })}>{grep ? "back to the search" : "back to the newest"}</button></div>}
      {until > 0 && <div class="bar hits" role="status"><span>The last {LAST_WORDS} lines of {from || service} #{narrowed.process} until {clockFine(until)}</span><button type="button" class="small" onClick={() => narrow({ around: String(until) })}>all around it</button><button type="button" class="small" onClick={() => narrow({ until: "" })}>back to the newest</button></div>}
      {regex && (
        <div class="bar hits">
          <span>{grep && !around && lines.length >= NEWEST && !param("since") ? "newest " : ""}{plural(hits.length, "hit")}{older && grep && !looking ? " so far" : ""}{place > 0 && `, this is ${place}`}</span>
          <span class="joined" role="group" aria-label="Hits">
            <button type="button" class="small" disabled={!hits.length} data-key="Shift+N" aria-keyshortcuts="Shift+N" aria-label="Previous match" title="Previous match (Shift+N)" onClick={() => go(-1)}>▲</button>
            <button type="button" class="small" disabled={!hits.length} data-key="n" aria-keyshortcuts="n" aria-label="Next match" title="Next match (n)" onClick={() => go(1)}>▼</button>
          </span>
          {!grep && !around && onlyButton}
          {grep && !around && <><span class="muted">a line's time shows what was said around it</span><button type="button" class="small" onClick={() => narrow({ grep: "", find: "" })}>all lines</button></>}
        </div>
      )}
      {(older || looking) && <div class="bar hits older"><button type="button" class="small" onClick={more} aria-busy={looking}>{looking ? "stop looking" : "older lines"}</button><span role="status">{looking ? "looking through older files on the servers…" : ""}</span></div>}
      {grep && unread.map((what) => <div class="bar hits" key={what}><span class="warn">not read: {what}</span></div>)}
      <LogLines key={around || until} lines={shown} count={count} goal={around} at={at} hit={regex ?? null} follow={follow && !around} onFollow={setFollow} look={{ wrap, times, fold, showNode, links: !around && Boolean(grep || draft || level || until) }} />
    </section>
  );
}

function useRing(nodes: string[], narrowed: Record<string, string>, around: number) {
  const ring = useSignal(EMPTY);
  const older = useSignal<Older>({});
  const unread = useSignal<readonly string[]>([]);
  const turned = (page: { node: string; older: Record<string, string>; unread: string[] }) => {
    older.value = onward(older.value, page);
    if (page.unread.length) unread.value = [...new Set([...unread.value, ...page.unread.map((what) => `${page.node}: ${what}`)])];
  };
  const looking = useSignal<(() => void) | null>(null);
  const most = useRef(KEPT);
  const { since = "", until = "", ...query } = narrowed;
  const wanted = JSON.stringify([nodes, narrowed, around]);
  useEffect(() => {
    ring.value = EMPTY;
    older.value = {};
    unread.value = [];
    most.current = KEPT;
    let window: Record<string, string> = { last: String(NEWEST) };
    if (around) window = { since: String(around - BEFORE), until: String(around + AFTER), last: String(KEPT) };
    else if (until) window = { until, last: LAST_WORDS };
    else if (since) window = { since: String(Date.now() / 1000 - Number(since)), last: String(KEPT) };
    const end = followLog({ nodes, query: { ...query, ...window, pages: "1" } }, (rows, gap, page) => {
      if (page) turned(page);
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
    const end = followLog({ nodes: [...asked], before: older.value, query: { ...query, pages: "1", last: String(NEWEST), until: until || String(around ? around + AFTER : Date.now() / 1000), ...(begin ? { since: String(begin) } : {}) } }, (found, _, page) => {
      rows.push(...found);
      if (!page) return;
      turned(page);
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
  return { ring: ring.value, unread: unread.value, older: Object.keys(older.value).length > 0, looking: looking.value !== null, more };
}

function onward(older: Older, { node, older: places }: { node: string; older: Record<string, string> }): Older {
  const { [node]: _, ...others } = older;
  return Object.keys(places).length ? { ...others, [node]: places } : others;
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
