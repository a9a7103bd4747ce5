/** Go anywhere, do anything allowed, from the keyboard; and the sheet of keys. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { KEYS, overlay, setSingleKeys, singleKeys } from "../keys";
import { wish } from "../live/doing";
import { may, sortedNodes } from "../live/store";
import { go, href } from "../model/route";
import type { Verb } from "../model/types";

interface Entry {
  text: string;
  hint: string;
  run: () => void;
}

const VERBS: Verb[] = ["reload", "restart", "start", "stop"];

function entries(): Entry[] {
  const found: Entry[] = [["Fleet", "/"], ["Services", "/?view=services"], ["Processes", "/?view=processes"], ["Sockets", "/sockets"], ["Deploys", "/deploys"], ["Load", "/load"], ["APIs", "/apis"], ["Events", "/events"]].map(([text = "", to = ""]) => ({ text, hint: "page", run: () => go(to) }));
  const services = new Map<string, string[]>();
  for (const node of sortedNodes.value) {
    found.push({ text: node.name, hint: "server", run: () => go(href(["server", node.name])) });
    const emptied = node.status.drained?.since ? "undrain" : "drain";
    if (may(emptied)) found.push({ text: `${emptied} ${node.name}`, hint: "the whole server", run: () => wish(emptied, [{ node: node.name, service: "all" }]) });
    for (const service of node.status.services ?? []) services.set(service.name, [...(services.get(service.name) ?? []), node.name]);
  }
  for (const [service, nodes] of services) {
    found.push({ text: service, hint: nodes.length > 1 ? `service on ${nodes.length} servers` : "service", run: () => go(href(["service", service])) });
    for (const verb of VERBS) if (may(verb)) found.push({ text: `${verb} ${service}`, hint: nodes.length > 1 ? `on ${nodes.length} servers` : `on ${nodes[0]}`, run: () => wish(verb, nodes.map((node) => ({ node, service }))) });
  }
  for (const node of sortedNodes.value.slice(0, 200)) {
    for (const service of node.status.services ?? []) {
      for (const process of service.processes) if (process.pid) found.push({ text: `pid ${process.pid}`, hint: `${service.name} #${process.number} on ${node.name}`, run: () => go(href(["service", service.name], { node: node.name, process: String(process.number) })) });
    }
  }
  return found;
}

export function Palette() {
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = entries().filter((e) => wanted.every((w) => `${e.text} ${e.hint}`.toLowerCase().includes(w))).slice(0, 12);
  const pick = (entry: Entry | undefined) => {
    document.querySelector<HTMLDialogElement>("dialog[open]")?.close(); // which gives the focus back
    entry?.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(shown.length - 1, at + 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, at - 1));
    else if (event.key === "Enter") pick(shown[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Modal label="Search or command">
      <input type="text" role="combobox" list={undefined} aria-expanded="true" aria-controls="palette-list" aria-activedescendant={`palette-${at}`} aria-label="Search or command" placeholder="server, service, pid, “reload web”" value={words} autofocus onKeyDown={onKeyDown}
        onInput={(event) => { setWords((event.currentTarget as HTMLInputElement).value); setAt(0); }} />
      <ul id="palette-list" class="palette" role="listbox" aria-label="Found">
        {shown.map((entry, i) => <li key={`${entry.text} ${entry.hint}`} id={`palette-${i}`} role="option" aria-selected={i === at} onClick={() => pick(entry)}>{entry.text}<span class="muted">{entry.hint}</span></li>)}
      </ul>
      {!shown.length && <p class="empty">Nothing found.</p>}
    </Modal>
  );
}

export function KeySheet() {
  return (
    <Modal label="Keys">
      <h2>Keys</h2>
      <dl class="keys">{KEYS.map(([keys, does]) => <div key={keys}><dt><kbd>{keys}</kbd></dt><dd>{does}</dd></div>)}</dl>
      <label class="check"><input type="checkbox" checked={singleKeys.value} onChange={(event) => setSingleKeys((event.currentTarget as HTMLInputElement).checked)} /> single-letter keys are on</label>
      <div class="buttons"><button type="button" onClick={(event) => event.currentTarget.closest("dialog")?.close()}>Close</button></div>
    </Modal>
  );
}

function Modal({ label, children }: { label: string; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => box.current?.showModal(), []);
  return (
    <dialog ref={box} aria-label={label} onClose={() => (overlay.value = "")} onClick={(event) => event.target === box.current && box.current?.close()}>
      {children}
    </dialog>
  );
}
