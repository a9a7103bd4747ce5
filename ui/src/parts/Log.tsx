/**
 * Output of one or many processes. A ring of 5,000 lines; only those in sight are in the page.
 * It follows while you are at the bottom; scroll up and it waits, saying how much is new.
 */

import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { followLog } from "../live/store";
import { pieces, plain } from "../model/ansi";
import { clockFine, plural } from "../model/format";
import { narrow, param } from "../model/route";
import type { LogRow } from "../model/types";

const KEPT = 5000;
const LINE = 18;
const SPARE = 20;

interface Line {
  id: number;
  row: LogRow;
  plain: string;
}

export interface LogProps {
  nodes: string[];
  service: string;
  showNode: boolean;
}

export function Log({ nodes, service, showNode }: LogProps) {
  const stream = param("stream");
  const process = param("process");
  const grep = param("grep");
  const [draft, setDraft] = useState(grep);
  const level = param("level");
  const since = param("since");
  const lines = useRing(nodes, { service, stream, process, grep, level, since });
  const [wrap, setWrap] = useState(remembered("wrap"));
  const [times, setTimes] = useState(remembered("times", true));
  const regex = draft && compiled(draft);

  return (
    <section class="panel log-panel" aria-label="Log">
      <header class="bar">
        <h2>Log</h2>
        <Choice label="Stream" value={stream} onPick={(v) => narrow({ stream: v })} options={[["", "out + err"], ["stdout", "out"], ["stderr", "err"]]} />
        <Pick label="Level" value={level} onPick={(v) => narrow({ level: v })} options={[["", "any level"], ["info", "info and worse"], ["warning", "warnings and worse"], ["error", "errors"]]} />
        <Pick label="Since" value={since} onPick={(v) => narrow({ since: v })} options={[["", "newest 500"], ["300", "last 5 minutes"], ["3600", "last hour"], ["86400", "last day"]]} />
        <form class="grow" onSubmit={(event) => { event.preventDefault(); narrow({ grep: draft }); }}>
          <input type="search" id="log-filter" value={draft} placeholder="regular expression; Enter searches on the server" aria-label="Filter lines" aria-keyshortcuts="l"
            aria-invalid={regex === null} onInput={(event) => setDraft((event.currentTarget as HTMLInputElement).value)} />
        </form>
        {process && <button type="button" class="chip" onClick={() => narrow({ process: "" })} aria-label={`Show all processes, not only ${process}`}>#{process} ✕</button>}
        <Toggle name="wrap" on={wrap} set={setWrap} />
        <Toggle name="times" on={times} set={setTimes} />
        <button type="button" class="quiet small" onClick={() => save(lines.value, service)}>save</button>
      </header>
      {grep && <div class="bar hits" role="status"><span>{plural(lines.value.length, "line")} with <code>{grep}</code></span><button type="button" class="small" onClick={() => { setDraft(""); narrow({ grep: "" }); }}>show all lines around them</button></div>}
      <Lines lines={regex ? lines.value.filter((line) => regex.test(line.plain)) : lines.value} wrap={wrap} times={times} showNode={showNode} />
    </section>
  );
}

function useRing(nodes: string[], narrowed: Record<string, string>) {
  const lines = useSignal<Line[]>([]);
  const wanted = JSON.stringify([nodes, narrowed]);
  useEffect(() => {
    lines.value = [];
    let count = 0;
    const { since = "", ...query } = narrowed;
    const window: Record<string, string> = since ? { since: String(Date.now() / 1000 - Number(since)), last: String(KEPT) } : { last: "500" };
    return followLog({ nodes, query: { ...query, ...window } }, (rows, gap) => {
      const fresh = rows.map((row) => ({ id: ++count, row, plain: plain(row[5]) }));
      if (gap) fresh.unshift({ id: ++count, row: [0, "", "", 0, "note", `${gap} lines skipped here: this page was too slow`], plain: "" });
      lines.value = [...lines.value, ...fresh].slice(-KEPT);
    });
  }, [wanted]);
  return lines;
}

function Lines({ lines, wrap, times, showNode }: { lines: Line[]; wrap: boolean; times: boolean; showNode: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const [follow, setFollow] = useState(true);
  const [seen, setSeen] = useState(0);
  const [view, setView] = useState({ top: 0, height: 400 });
  const lastId = lines[lines.length - 1]?.id ?? 0;

  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
    if (follow) setSeen(lastId);
  }, [lastId, follow, wrap]);

  const onScroll = () => {
    const el = box.current;
    if (!el) return;
    setView({ top: el.scrollTop, height: el.clientHeight });
    setFollow(el.scrollHeight - el.scrollTop - el.clientHeight < 2 * LINE);
  };
  // Wrapped lines have no known height: the last thousand are laid out, the browser skips those out of sight.
  const first = wrap ? Math.max(0, lines.length - 1000) : Math.max(0, Math.floor(view.top / LINE) - SPARE);
  const last = wrap ? lines.length : Math.min(lines.length, Math.ceil((view.top + view.height) / LINE) + SPARE);
  const fresh = lastId - seen;

  return (
    <div class="log-box">
      <div class={`log${wrap ? " wrap" : ""}`} ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-label="Output lines" aria-live="off">
        <div class="log-inner" style={wrap ? {} : { height: `${lines.length * LINE}px` }}>
          <div style={wrap ? {} : { transform: `translateY(${first * LINE}px)` }}>
            {lines.slice(first, last).map((line) => <One key={line.id} row={line.row} times={times} showNode={showNode} />)}
          </div>
        </div>
        {lines.length === 0 && <p class="empty">No output yet.</p>}
      </div>
      {!follow && fresh > 0 && (
        <button type="button" class="pill" onClick={() => setFollow(true)} aria-keyshortcuts="f">▼ {fresh} new</button>
      )}
    </div>
  );
}

function One({ row, times, showNode }: { row: LogRow; times: boolean; showNode: boolean }) {
  const [time, node, , number, stream, text] = row;
  return (
    <div class={`line ${stream}`}>
      {times && time > 0 && <span class="when">{clockFine(time)} </span>}
      {number > 0 && <span class={`who p${number % 8}`}>{showNode ? `${node} ` : ""}#{number} </span>}
      {stream === "stderr" && <span class="err-mark" title="stderr">err </span>}
      {pieces(text).map((piece, i) => (piece.style ? <span key={i} class={piece.style}>{piece.text}</span> : piece.text))}
    </div>
  );
}

function Toggle({ name, on, set }: { name: string; on: boolean; set: (on: boolean) => void }) {
  const flip = () => {
    set(!on);
    localStorage.setItem(`log.${name}`, on ? "0" : "1");
  };
  return <button type="button" class="quiet small" aria-pressed={on} onClick={flip}>{name}</button>;
}

function Pick({ label, value, options, onPick }: { label: string; value: string; options: [string, string][]; onPick: (value: string) => void }) {
  return (
    <select aria-label={label} value={value} onChange={(event) => onPick((event.currentTarget as HTMLSelectElement).value)}>
      {options.map(([key, text]) => <option key={key} value={key}>{text}</option>)}
    </select>
  );
}

export function Choice({ label, value, options, onPick }: { label: string; value: string; options: [string, string][]; onPick: (value: string) => void }) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([key, text]) => (
        <button type="button" key={key} aria-pressed={value === key} onClick={() => onPick(key)}>{text}</button>
      ))}
    </div>
  );
}

function remembered(name: string, fallback = false): boolean {
  const kept = localStorage.getItem(`log.${name}`);
  return kept === null ? fallback : kept === "1";
}

function compiled(source: string): RegExp | null {
  try {
    return new RegExp(source, "i");
  } catch {
    return null;
  }
}

function save(lines: Line[], service: string): void {
  const text = lines.map(({ row, plain: body }) => `${new Date(row[0] * 1000).toISOString()} ${row[1]} ${row[2]}/${row[3]} ${row[4]} ${body}`).join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/plain" }));
  link.download = `${service}.log`;
  link.click();
  URL.revokeObjectURL(link.href);
}
