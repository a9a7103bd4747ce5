/** The URL holds the view: which page, and how it is filtered, sorted, narrowed. */

import { signal } from "@preact/signals";

export interface Route {
  parts: string[];
  query: URLSearchParams;
}

export const route = signal<Route>(read());

export function read(): Route {
  if (typeof location === "undefined") return { parts: [], query: new URLSearchParams() };
  return {
    parts: location.pathname.split("/").filter(Boolean).map(decodeURIComponent),
    query: new URLSearchParams(location.search),
  };
}

export function href(parts: readonly string[], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== "")).toString();
  return `/${parts.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

export function go(to: string): void {
  history.pushState({ ours: true }, "", to);
  route.value = read();
  scrollTo(0, 0);
  setTimeout(arrive, 0);
}

/** The eye goes to the part that the address names, and the focus with it. */
function arrive(): void {
  const part = location.hash && document.getElementById(location.hash.slice(1));
  if (part) part.scrollIntoView({ block: "start" });
  (part || document.getElementById("main"))?.focus({ preventScroll: true });
}

/** Change parts of the query without a new entry in the history. */
export function narrow(change: Record<string, string>): void {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(change)) {
    if (value === "") query.delete(key);
    else query.set(key, value);
  }
  const search = query.toString();
  history.replaceState(history.state, "", location.pathname + (search ? `?${search}` : "") + location.hash);
  route.value = read();
}

export function param(name: string, fallback = ""): string {
  return route.value.query.get(name) ?? fallback;
}

/** Links of our own stay in the page; others, and clicks with a modifier, are the browser's. */
export function catchLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname.startsWith("/api/") || (link.hash && link.pathname === location.pathname && link.search === location.search)) return;
  event.preventDefault();
  go(link.pathname + link.search + link.hash);
}
