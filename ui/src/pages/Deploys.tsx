/** Deploys: reloads and applied configurations, when, by whom, and how they went. */

import { useEffect } from "preact/hooks";
import { events, recall, sortedNodes } from "../live/store";
import { compile } from "../model/filter";
import { param } from "../model/route";
import type { Happening } from "../model/types";
import { CommandLine } from "../parts/Copy";
import { FilterBox } from "../tables/Tables";
import { sentence, Timeline } from "../parts/Timeline";

const BROUGHT = /^(supervisor\.(config_applied|upgraded)|service\.(reloaded|reload_failed))$/;

export function Deploys() {
  useEffect(() => void recall({ last: "2000" }).catch(() => {}), []);
  const test = compile<Happening>(param("q"), (e, name) => (e as unknown as Record<string, string | number>)[name], (e) => `${e.kind} ${e.service ?? ""} ${e.node} ${sentence(e)}`);
  const all = events.value.filter((e) => BROUGHT.test(e.kind)).map(byWhom);
  return (
    <>
      <header class="title"><h1>Deploys</h1><span class="muted">Reloads and applied configurations, on every server. A version that does not get ready leaves the old one serving.</span></header>
      <div class="bar"><FilterBox placeholder="words, service:web, kind:reload_failed" /></div>
      {all.length ? <div class="panel"><Timeline events={all.filter(test)} showNode={sortedNodes.value.length > 1} most={500} /></div>
        : <><p class="empty">No deploys yet.</p><CommandLine line="chapiteau reload web" label="Replace a service's processes with their new version" /></>}
    </>
  );
}

/** A reload does not say who asked for it; the order that ends with it does. */
function byWhom(event: Happening): Happening {
  if (event.who || !event.service) return event;
  const order = events.value.find((e) => e.kind === "command.done" && e.node === event.node && e.service === event.service && e.seq > event.seq && e.time - event.time < 30);
  return order?.who ? { ...event, who: order.who } : event;
}
