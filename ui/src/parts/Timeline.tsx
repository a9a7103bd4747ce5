/** What happened, newest first. */

import { clock, moment, signalName } from "../model/format";
import { href } from "../model/route";
import type { Happening } from "../model/types";
import { plain } from "../model/ansi";

const TONES: [RegExp, string, string][] = [
  [/failed|killed|spawn_failed|unhealthy|brain_died|dropped/, "✖", "bad"],
  [/process\.exited|backoff|unready/, "▼", "warn"],
  [/\.ready|recovered|completed|reloaded|supervisor\.started/, "●", "good"],
  [/command|scaled|config|drain/, "◆", "accent"],
];

export function look(event: Happening): [string, string] {
  // A one-shot that ends with 0 did what it should, and so did what ended when it was asked to.
  if (event.kind === "process.exited" && (event.data?.["code"] === 0 || event.data?.["asked"])) return ["·", "muted"];
  const found = TONES.find(([pattern]) => pattern.test(event.kind));
  return found ? [found[1], found[2]] : ["·", "muted"];
}

export function sentence(event: Happening): string {
  const signal = event.kind === "process.exited" ? event.data?.["signal"] : null;
  if (signal) return `killed by ${signalName(signal as number)}`;
  const words = plain(event.text ?? "") || event.kind.replace(event.service ? /^\w+\./ : "", "").replace(/[._]/g, " ");
  return event.who && !words.includes(event.who) ? `${words} — by ${person(event.who)}` : words;
}

/** "uid 0 (dash:ana)" → "ana": who pressed it here; anybody else as the server knows them. */
export function person(who: string): string {
  return /dash:([^)]+)\)?$/.exec(who)?.[1] ?? who;
}

export function Timeline({ events, showNode, most = 200 }: { events: readonly Happening[]; showNode: boolean; most?: number }) {
  if (!events.length) return <p class="empty">Nothing has happened yet.</p>;
  return (
    <ol class="timeline">
      {events.slice(-most).reverse().map((event) => {
/** What a process said before it ended. A moment later counts too: its output is read after it has gone. */
export const lastWords = (service: string, node: string, process: number, time: number) => `${href(["service", service], { node, process: String(process), until: (time + 0.05).toFixed(3) })}#log`;

        const [glyph, tone] = look(event);
        return (
          <li key={`${event.node}/${event.seq}/${event.time}`}>
            <time title={moment(event.time)}>{clock(event.time)}</time>
            <span class={`glyph ${tone}`} aria-hidden="true">{glyph}</span>
            <span class="grow">
              {showNode && <a href={href(["server", event.node])} class="muted">{event.node} </a>}
              {event.service && <a href={href(["service", event.service])}>{event.service}{event.process ? ` #${event.process}` : ""}</a>} {sentence(event)}
            </span>
            <code class="kind">{event.kind}</code>
          </li>
        );
      })}
              {event.kind === "process.exited" && event.service && <> · <a class="muted" href={lastWords(event.service, event.node, event.process ?? 0, event.time)}>last lines</a></>}
    </ol>
  );
}
