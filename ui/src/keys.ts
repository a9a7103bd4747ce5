/** Keys that work everywhere. Each is also in a button's tooltip. */

import { signal } from "@preact/signals";
import { go } from "./model/route";
import { problems } from "./live/store";
import { href } from "./model/route";
import { toClipboard } from "./live/clipboard";
import { note } from "./live/doing";
import { nextTheme } from "./theme";

export const overlay = signal<"" | "palette" | "keys">("");
export const singleKeys = signal(localStorage.getItem("keys") !== "off");

export const KEYS: [string, string][] = [
  ["⌘K or Ctrl+K, :", "search, or give a command"],
  ["/", "filter what is shown"],
  ["g f, g s, g k, g d, g l, g a, g e", "go to Fleet, its services, Sockets, Deploys, Load, APIs, Events"],
  ["n, then ↵ or r", "next problem; open it, restart what fails"],
  ["1 2 3 4", "(fleet) tiles, servers, processes, services"],
  ["j k ↵", "move in a table, open the row"],
  ["m", "(processes) all about the row: why it died, what can be done; (sockets) who holds it"],
  ["x, Shift+X", "select the row; all from the last one to it"],
  ["Shift+A", "select all that is shown, or none"],
  ["r, Shift+R, s, !", "(service) reload, restart, stop or start, signal"],
  ["+ −", "(service) one process more, one less"],
  ["d, Shift+R, Shift+D", "(server) compare what runs with the file; apply it; drain or undrain it"],
  ["s, m, +", "(load) end the running test, mark this moment, put more load on"],
  ["c, b, [ ]", "(load) compare, set as baseline, older and newer result"],
  ["l, n N", "(service) search the log; next match, previous match"],
  ["f, o", "(service) follow the log, open all of it as plain text"],
  ["e", "(service) all its events"],
  ["y", "copy what is selected"],
  ["t, y", "theme; on an API: try, copy as curl"],
  ["?", "this sheet"],
  ["Esc", "close, or go back"],
];

const PLACES: Record<string, string> = { f: "/", s: "/?view=services", k: "/sockets", d: "/deploys", l: "/load", a: "/apis", e: "/events" };

let pending = "";
let problem = 0;
let leaving = false; // the browser goes back a little later than it is asked to

export function setSingleKeys(on: boolean): void {
  singleKeys.value = on;
  localStorage.setItem("keys", on ? "on" : "off");
}

export function listenToKeys(): () => void {
  const arrived = () => (leaving = false);
  addEventListener("keydown", onKey);
  addEventListener("popstate", arrived);
  return () => {
    removeEventListener("keydown", onKey);
    removeEventListener("popstate", arrived);
  };
}

function onKey(event: KeyboardEvent): void {
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") return done(event, () => (overlay.value = "palette"));
  if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  const at = event.target as HTMLElement;
  if (at.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) {
    if (event.key === "Escape") at.blur();
    return;
  }
  if (singleKeys.value || event.key === "Escape") single(event);
}

function single(event: KeyboardEvent): void {
  const key = event.key;
  const problem = (event.target as HTMLElement).closest<HTMLElement>("[data-problem]");
  if (problem === event.target && problem && cured(key, problem)) return event.preventDefault();
  if (pending === "g") {
    pending = "";
    const place = PLACES[key];
    if (place) return done(event, () => go(place));
  }
  if (key === "g") pending = "g";
  else if (key === "?") done(event, () => (overlay.value = "keys"));
  else if (key === ":") done(event, () => (overlay.value = "palette"));
  else if (key === "/") done(event, () => focus("#filter") || focus("#log-filter"));
  else if (key === "l") done(event, () => focus("#log-filter"));
  else if (key === "Escape") back();
  else if (key === "y" && String(getSelection())) done(event, () => toClipboard(String(getSelection())).then(() => note("✓ copied")));
  else if (press(key, event)) return;
  else if (key === "n") nextProblem(event); // where no search is on: then it is the next hit
  else if (key === "t") done(event, nextTheme);
}

/** Back, but never out of the page: not twice from one place, either. */
function back(): void {
  if (leaving || !(history.state as { ours?: boolean } | null)?.ours) return;
  leaving = true;
  history.back();
}

/** Buttons carry their key; the first one on the page is pressed. */
function press(key: string, event: KeyboardEvent): boolean {
  const name = /^[A-Z]$/.test(key) ? `Shift+${key}` : key;
  const button = [...document.querySelectorAll<HTMLElement>("[data-key]")].find((one) => one.dataset["key"] === name && !one.matches(":disabled"));
  if (button) done(event, () => (button.matches("select") ? opened(button as HTMLSelectElement) : button.click()));
  return Boolean(button);
}

function opened(box: HTMLSelectElement): void {
  box.focus();
  box.showPicker?.();
}

/** Keys on a problem that has the focus. */
function cured(key: string, problem: HTMLElement): boolean {
  const found = key === "Enter" ? problem.querySelector<HTMLElement>(".what a") : key === "r" ? problem.querySelector<HTMLElement>("[data-remedy=restart], [data-remedy=start], [data-remedy]") : null;
  found?.click();
  return Boolean(found);
}

/** On a page that lists problems the focus goes from one to the next; elsewhere to where the next one is. */
function nextProblem(event: KeyboardEvent): void {
  const listed = [...document.querySelectorAll<HTMLElement>("[data-problem]")];
  if (listed.length) return done(event, () => listed[(listed.indexOf(document.activeElement as HTMLElement) + 1) % listed.length]?.focus());
  const found = problems.value[problem++ % Math.max(1, problems.value.length)];
  if (found) done(event, () => go(found.service ? href(["service", found.service], { node: found.node }) : href(["server", found.node])));
}

function focus(selector: string): boolean {
  const found = document.querySelector<HTMLElement>(selector);
  found?.focus();
  return Boolean(found);
}

function done(event: KeyboardEvent, work: () => unknown): void {
  event.preventDefault();
  work();
}
