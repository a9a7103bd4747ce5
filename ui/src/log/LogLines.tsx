/** The lines of a log: only those in sight are in the page. It follows while you are at the bottom. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { pieces } from "../model/ansi";
import { clockFine } from "../model/format";
import { marked, placeOf } from "./hits";
import { folded } from "../model/jsonline";
import type { Line } from "../model/ring";
import { href, route } from "../model/route";
import type { LogRow } from "../model/types";

const LINE = 18;
const SPARE = 20;

export interface Look {
  wrap: boolean;
  times: boolean;
  fold: boolean; // lines of JSON to their message
  showNode: boolean;
  links: boolean; // times lead to what was said around them
}

export interface LinesProps {
  lines: readonly Line[];
  count: number; // how many ever came
  look: Look;
  goal: number; // the moment that is looked at
  at: number; // the number of the line that is looked at
  hit: RegExp | null;
  follow: boolean;
  onFollow: (follow: boolean) => void;
}

export function LogLines({ lines, count, look, goal, at, hit, follow, onFollow }: LinesProps) {
  const { wrap } = look;
  const box = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(0);
  const [view, setView] = useState({ top: 0, height: 400 });
  const steered = useRef(false); // the page scrolled, nobody's hand did
  const target = at ? lines.findIndex((line) => line.id === at) : goal ? placeOf(lines, goal, hit) : -1;

  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
    if (follow) setSeen(count);
  }, [count, follow, wrap]);
  useEffect(() => {
    const el = box.current;
    if (!el || target < 0) return;
    const before = el.scrollTop;
    el.scrollTop = target * LINE - el.clientHeight / 2;
    el.querySelector(".goal")?.scrollIntoView({ block: "nearest" });
    steered.current = el.scrollTop !== before;
  }, [goal, at, goal ? target : 0]);

  // Older lines came in above: what was looked at stays where it is.
  const top = useRef(lines[0]?.id);
  useLayoutEffect(() => {
    const moved = lines.findIndex((line) => line.id === top.current);
    top.current = lines[0]?.id;
    if (moved > 0 && box.current && !wrap) box.current.scrollTop += moved * LINE;
  }, [lines]);

  // What is being selected must not run away.
  useEffect(() => {
    if (!follow) return;
    const selected = () => {
      const chosen = getSelection();
      if (chosen && !chosen.isCollapsed && box.current?.contains(chosen.anchorNode)) onFollow(false);
    };
    document.addEventListener("selectionchange", selected);
    return () => document.removeEventListener("selectionchange", selected);
  }, [follow]);

  const onScroll = () => {
    const el = box.current;
    if (!el) return;
    setView({ top: el.scrollTop, height: el.clientHeight });
    if (!goal && !steered.current) onFollow(el.scrollHeight - el.scrollTop - el.clientHeight < 2 * LINE);
    steered.current = false;
  };
  // Wrapped lines have no known height: the last thousand are laid out, the browser skips those out of sight.
  const first = wrap ? Math.max(0, lines.length - 1000) : Math.max(0, Math.floor(view.top / LINE) - SPARE);
  const last = wrap ? lines.length : Math.min(lines.length, Math.ceil((view.top + view.height) / LINE) + SPARE);
  const fresh = count - seen;

  return (
    <div class="log-box">
      <div class={`log${wrap ? " wrap" : ""}`} ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-label="Output lines" aria-live="off">
        <div class="log-inner" style={wrap ? {} : { height: `${lines.length * LINE}px` }}>
          <div style={wrap ? {} : { transform: `translateY(${first * LINE}px)` }}>
            {lines.slice(first, last).map((line, i) => <One key={line.id} row={line.row} look={look} hit={hit} mark={first + i === target ? " goal" : ""} />)}
          </div>
        </div>
        {lines.length === 0 && <p class="empty">{goal ? "Nothing was said around then." : "No output yet."}</p>}
      </div>
      {!follow && !goal && fresh > 0 && (
        <button type="button" class="pill" onClick={() => onFollow(true)} aria-keyshortcuts="f" title="To the newest line (f)">▼ {fresh} new</button>
      )}
    </div>
  );
}

function One({ row, look, hit, mark }: { row: LogRow; look: Look; hit: RegExp | null; mark: string }) {
  const [time, node, , number, stream, text] = row;
  return (
    <div class={`line ${text.startsWith("[chapiteau: ") ? "note" : stream}${mark}`}>
      {look.times && time > 0 && <><When time={time} link={look.links} /> </>}
      {number > 0 && <span class={`who p${number % 8}`}>{look.showNode ? `${node} ` : ""}#{number} </span>}
      {stream === "stderr" && <span class="err-mark" title="stderr">err </span>}
      <Text text={text} fold={look.fold} hit={hit} />
    </div>
  );
}

function When({ time, link }: { time: number; link: boolean }) {
  if (!link) return <span class="when">{clockFine(time)}</span>;
  const { parts, query } = route.value;
  return <a class="when" href={href(parts, { ...Object.fromEntries(query), around: String(time) })} title="What was said around then">{clockFine(time)}</a>;
}

function Text({ text, fold, hit }: { text: string; fold: boolean; hit: RegExp | null }) {
  const json = fold ? folded(text) : null;
  if (!json) return <Pieces text={text} hit={hit} />;
  return (
    <span title={text.slice(0, 4000)}>
      {json.level && <span class={`level ${json.level}`}>{json.level} </span>}<Pieces text={json.message} hit={hit} />
      {json.fields.map(([key, value]) => <span key={key} class="field"> {key}=<Pieces text={value} hit={hit} /></span>)}
    </span>
  );
}

const Pieces = ({ text, hit }: { text: string; hit: RegExp | null }) => <>{pieces(text).map((piece, i) => <Marked key={i} text={piece.text} style={piece.style} hit={hit} />)}</>;

function Marked({ text, style, hit }: { text: string; style: string; hit: RegExp | null }) {
  const parts = marked(text, hit).map((part, i) => (i % 2 ? <mark key={i}>{part}</mark> : part));
  return style ? <span class={style}>{parts}</span> : <>{parts}</>;
}
