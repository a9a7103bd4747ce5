/** The frame around every page: where you are, what else there is, how fresh it all is. */

import { useEffect, useRef, useState } from "preact/hooks";
import { logOut } from "./live/session";
import { heard, linkLost, linkRefused, linkUp, now, session, sortedNodes, problems } from "./live/store";
import { duration } from "./model/format";
import { go, param, route } from "./model/route";
import { Apis } from "./pages/Apis";
import { Deploys } from "./pages/Deploys";
import { Events } from "./pages/Events";
import { Fleet } from "./pages/Fleet";
import { Load } from "./pages/Load";
import { Server } from "./pages/Server";
import { Service } from "./pages/Service";
import { Sockets } from "./pages/Sockets";
import { ActionDialog, Toasts } from "./parts/Doing";
import { ProcessMenu } from "./tables/ProcessMenu";
import { KeySheet, Palette } from "./parts/Palette";
import { listenToKeys, overlay } from "./keys";
import { nextTheme, theme } from "./theme";

const PAGES: [string, string, string][] = [
  ["/", "Fleet", "g f"],
  ["/?view=services", "Services", "g s"],
  ["/sockets", "Sockets", "g k"],
  ["/deploys", "Deploys", "g d"],
  ["/load", "Load", "g l"],
  ["/apis", "APIs", "g a"],
  ["/events", "Events", "g e"],
];

export function App() {
  useEffect(listenToKeys, []);
  const { parts } = route.value;
  const first = parts[0] ?? "";
  useEffect(() => {
    document.title = `${[parts[1] ?? first, session.value?.project].filter(Boolean).join(" · ") || "Chapiteau"} — Chapiteau`;
  }, [route.value, session.value]);
  return (
    <div class={`frame${linkUp.value ? "" : " cut"}`}>
      <a class="skip" href="#main">Skip to content</a>
      <header class="top">
        <a class="brand" href="/"><img src="/favicon.svg" alt="" width="20" height="20" /> <span>{session.value?.project ?? "Chapiteau"}</span></a>
        <nav aria-label="Pages">
          {PAGES.map(([path, label, keys]) => {
            const services = first === "service" || (first === "" && param("view") === "services");
            const here = label === "Services" ? services : path === "/" ? ["", "server"].includes(first) && !services : `/${first}` === path;
            return <a key={path} href={path} aria-current={here ? "page" : undefined} title={keys} aria-keyshortcuts={keys}>{label}{path === "/" && problems.value.length > 0 && <span class="count">{problems.value.length}</span>}</a>;
          })}
        </nav>
        <button type="button" class="quiet palette-button" onClick={() => (overlay.value = "palette")} aria-keyshortcuts="Control+K" title="Search or command (⌘K)">Search<kbd>⌘K</kbd></button>
        <Freshness />
        <button type="button" class="quiet" onClick={nextTheme} title={`Theme: ${theme.value} (t)`} aria-label={`Theme: ${theme.value}`} aria-keyshortcuts="t">{theme.value === "light" ? "☀" : theme.value === "dark" ? "☾" : "◐"}</button>
        <Me />
      </header>
      <main id="main" tabIndex={-1}><Page parts={parts} /></main>
      <ProcessMenu />
      <ActionDialog />
      <Toasts />
      {overlay.value === "palette" && <Palette />}
      {overlay.value === "keys" && <KeySheet />}
    </div>
  );
}

function Page({ parts }: { parts: string[] }) {
  const [first = "", second = ""] = parts;
  if (!sortedNodes.value.length) return <><h1 class="sr">Chapiteau</h1><p class="empty" aria-busy="true">Waiting for the first server…</p>{linkRefused.value > 1 && <p role="alert" class="bad">✖ The live link is refused, though you are logged in. A proxy in front must pass Upgrade, and Host with its port.</p>}</>;
  if (first === "") return <Fleet />;
  if (first === "server" && second) return <Server key={second} name={second} />;
  if (first === "service" && second) return <Service key={second} name={second} />;
  if (first === "sockets") return <Sockets />;
  if (first === "deploys") return <Deploys />;
  if (first === "load") return <Load id={second} />;
  if (first === "apis") return <Apis />;
  if (first === "events") return <Events />;
  return <p class="empty">There is no such page. <a href="/">Home</a></p>;
}

/** How old the newest number is; old values grey out, they never vanish. */
function Freshness() {
  const nodes = sortedNodes.value;
  const up = nodes.filter((n) => !n.away).length;
  const age = heard.value ? now.value - heard.value / 1000 : 0;
  const lost = linkLost.value ? now.value - linkLost.value / 1000 : 0;
  const tone = !linkUp.value ? "bad" : age > 3 || up < nodes.length ? "warn" : "good";
  const word = !linkUp.value ? `reconnecting (${duration(lost)})` : age > 3 ? `${duration(age)} old` : "live";
  const exact = linkUp.value && age <= 3 && heard.value ? ` ${Math.max(0, Math.round(age))} s` : "";
  return (
    <span class="fresh" role="status">
      <span class={tone}>● {word}</span><span class={`wide ${tone}`} aria-hidden="true" title="Age of the newest numbers">{exact}</span>
      {nodes.length > 1 && <span class="muted"> {up}/{nodes.length}<span class="wide"> servers</span></span>}
    </span>
  );
}

function Me() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  const who = session.value;
  if (!who) return null;
  const leave = async () => {
    await logOut();
  };
  return (
    <span class="me" ref={box} onKeyDown={(event) => { if (open && event.key === "Escape") { event.stopPropagation(); setOpen(false); box.current?.querySelector("button")?.focus(); } }} onFocusOut={(event: FocusEvent) => { if (!box.current?.contains(event.relatedTarget as globalThis.Node | null)) setOpen(false); }}>
      <button type="button" class="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>{who.name} ▾</button>
      {open && <span class="menu"><span class="muted">{who.role}</span><button type="button" class="quiet" onClick={() => { setOpen(false); overlay.value = "keys"; }}>Keys</button><button type="button" class="quiet" onClick={leave}>Log out</button></span>}
    </span>
  );
}

export const goHome = () => go("/");
