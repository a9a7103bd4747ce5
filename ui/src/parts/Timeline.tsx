/** What happened, newest first. */

import { clock, moment, signalName } from "../model/format";
import { href } from "../model/route";
import { TONES } from "../live/tones";
import type { Happening } from "../model/types";
import { plain } from "../model/ansi";

const LOOKS: Record<string, [string, string]> = { bad: ["✖", "bad"], warn: ["▼", "warn"], good: ["●", "good"], people: ["◆", "accent"] };

export function look(event: Happening): [string, string] {
  // A one-shot that ends with 0 did what it should, and so did what ended when it was asked to.
  if (event.kind === "process.exited" && (event.data?.["code"] === 0 || event.data?.["asked"])) return ["·", "muted"];
  return LOOKS[TONES[event.kind] ?? ""] ?? ["·", "muted"];
}

/** Whether something went wrong. */
export function isProblem(event: Happening): boolean {
  return /bad|warn/.test(look(event)[1]);
}

/** Whether a person wanted it, here or from a terminal. */
export function isWanted(event: Happening): boolean {
  return TONES[event.kind] === "people" || /^uid|dash:/.test(event.who ?? "");
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

/** What a process said before it ended. A moment later counts too: its output is read after it has gone. */
export const lastWords = (service: string, node: string, process: number, time: number) => `${href(["service", service], { node, process: String(process), until: (time + 0.05).toFixed(3) })}#log`;

export function Timeline({ events, showNode, most = 200 }: { events: readonly Happening[]; showNode: boolean; most?: number }) {
  if (!events.length) return <p class="empty">No events yet.</p>;
  return (
    <ol class="timeline">
      {events.slice(-most).reverse().map((event) => {
        const [glyph, tone] = look(event);
        return (
          <li key={`${event.node}/${event.seq}/${event.time}`}>
            <time title={moment(event.time)}>{clock(event.time)}</time>
            <span class={`glyph ${tone}`} aria-hidden="true">{glyph}</span>
            <div class="grow">
              {showNode && <a href={href(["server", event.node])} class="muted">{event.node} </a>}
              {event.service && <a href={href(["service", event.service])}>{event.service}{event.process ? ` #${event.process}` : ""}</a>} {sentence(event)}
              {event.kind === "process.exited" && event.service && <> · <a class="muted" href={lastWords(event.service, event.node, event.process ?? 0, event.time)}>last lines</a></>}
              <More event={event} />
            </div>
            <code class="kind">{event.kind}</code>
          </li>
        );
      })}
    </ol>
  );
}

/** What an event has to say beyond its line: why a new version was not taken, what a file changed. */
function More({ event }: { event: Happening }) {
  const { lines, changes } = (event.data ?? {}) as { lines?: string[]; changes?: { text: string }[] };
  const told = event.kind === "service.reload_failed" ? lines : changes?.map((change) => change.text);
  if (!told?.length) return null;
  return <details><summary>{changes ? "what changed" : "its last lines"}</summary><pre class="said" tabIndex={0}>{told.map(plain).join("\n")}</pre></details>;
}
