/** Everything known of the fleet, as signals; filled by the live socket. */

import { computed, signal } from "@preact/signals";
import { Numbers, type StatsNames, type StatsNode } from "../model/columns";
import type { Action, Happening, LogRow, Node, Older, Session, Problem } from "../model/types";
import { get } from "./api";
import { Live, type Message } from "./socket";

const KEPT_EVENTS = 3000;
const MOST_ORDER = 50_000; // characters; the hub takes no order of more than 64 KiB

export const session = signal<Session | null>(null);
export const loggedOut = signal("");
export const nodes = signal<ReadonlyMap<string, Node>>(new Map());
export const events = signal<readonly Happening[]>([]);
export const actions = signal<ReadonlyMap<number, Action>>(new Map());
export const load = signal<LoadState | null>(null);
export const linkUp = signal(false);
export const linkRefused = signal(0); // so many times in a row, though the session is good
export const linkLost = signal(0); // when the link was lost, ms
export const heard = signal(0); // when numbers last came, ms
export const tick = signal(0); // counts messages with numbers
export const now = signal(Date.now() / 1000);
export const numbers = new Numbers();

export interface LoadResult {
  id: number;
  started: number;
  kind: string;
  name: string;
  target: string;
  verdict: string;
  line: string;
  seconds: number;
  requests: number;
  rate: number;
  p99: number | null;
  errors: number;
  report: string;
  version: string; // of the service under load
  baseline: number | null; // the result that its test is held against
}

export interface LoadPoint {
  t: number; // seconds after the start
  rate: number;
  bad: number;
  running: number | null;
  p50?: number | null;
  p95?: number | null;
  p99?: number | null;
}

export interface LiveRun {
  run: string;
  kind: string;
  name: string;
  target: string;
  objective?: string;
  phase?: string;
  started: number;
  seconds: number;
  requests: number;
  rate?: number; // wanted by the step that runs
  p50?: number | null;
  p99?: number | null;
  errors: number;
  dropped?: number;
  so_far?: { objective: string; shown: string; met: boolean; value: number | null }[];
  timeline?: LoadPoint[];
  rows?: LiveRow[];
  marks?: { t: number; who: string; text: string }[]; // seconds after the start
  ended_by?: string; // who asked for its end
  soundness?: { sound: boolean; cpu_peak?: number | null; lag_p99?: number | null; late?: number | null; processes?: number; notes: string[] };
  load?: string[]; // its stages, in words
  room?: { is_open: boolean; level: number; peak: number; most: number; fixed: string }; // for more load
  failures?: Failure[];
}

export interface Failure {
  what: string;
  count: number;
  sample: string;
}

export interface LiveRow {
  name: string;
  requests: number;
  bad: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  max: number | null;
  pace: number[]; // a second, the last minute
  statuses?: Record<string, number>;
  failures?: Record<string, number>;
  slowest?: [number, number][]; // second in which it was due, how long it took
  bins?: [number, number][]; // seconds from which a bin counts, requests
}

export interface LoadState {
  live: LiveRun[];
  results: LoadResult[];
}

/** Every problem, muted ones too, the worst first. */
export const allProblems = computed<Problem[]>(() =>
  [...nodes.value.values()].flatMap((node) => node.problems).sort((a, b) => b.severity - a.severity || b.since - a.since),
);
export const problems = computed<Problem[]>(() => allProblems.value.filter((problem) => !problem.muted_until));

export const sortedNodes = computed<Node[]>(() => [...nodes.value.values()].sort((a, b) => a.name.localeCompare(b.name)));

/** Asks the hub who we are when it refuses the link; set by whoever knows how. */
export const onRefused = { ask: (): void => {} };

let live: Live | null = null;
type PageEnd = { node: string; older: Record<string, string>; unread: string[] };
const logTakers = new Map<string, (rows: LogRow[], gap: number, end?: PageEnd) => void>();
let logCount = 0;
let namesAsked = 0; // when figures first came without their names, or names were last asked for again
const NAMES_WAIT = 3000; // names may come a message later

export function connect(): void {
  live = new Live(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`);
  live.onMessages = (messages) => {
    for (const message of messages) {
      try {
        take(message);
      } catch (error) {
        console.error(`a message of ${message.topic} could not be shown:`, error); // the others still count
      }
    }
  };
  live.onLink = (up, refused) => {
    if (up !== linkUp.value) linkLost.value = up ? 0 : Date.now();
    linkUp.value = up;
    if (up) linkRefused.value = 0;
    if (refused) onRefused.ask();
  };
  setInterval(() => (now.value = Date.now() / 1000), 1000);
  for (const topic of ["fleet", "stats", "events", "actions"]) live.subscribe(topic);
  live.start();
}

export function watchLoad(): () => void {
  return live?.subscribe("load") ?? (() => {});
}

export interface LogQuery {
  nodes: string[];
  query: Record<string, string>;
  before?: Older;
}

/** Follow output; `taker` gets rows and how many were skipped before them, and each server's end of a page. */
export function followLog(wanted: LogQuery, taker: (rows: LogRow[], gap: number, end?: PageEnd) => void): () => void {
  const id = `${++logCount}`;
  const topic = `log:${id}`;
  const seen: Record<string, Record<string, number>> = {}; // node → stream → up to where: not again after a break
  logTakers.set(topic, (rows, gap, end) => {
    for (const [, node, service, process, stream, , at] of rows) if (at) (seen[node] ??= {})[`${service}/${process}/${stream}`] = at;
    taker(rows, gap, end);
  });
  const stop = live?.want(topic, () => ({ op: "log", id, ...wanted, ...(JSON.stringify(seen).length < MOST_ORDER ? { after: seen } : {}) }));
  return () => {
    logTakers.delete(topic);
    stop?.();
  };
}

/** Events that are not here yet, since newer ones of others came first. */
export async function recall(query: Record<string, string>): Promise<void> {
  const { events: found } = await get<{ events: Happening[] }>("/api/events", query);
  const name = (event: Happening) => `${event.node}/${event.seq}/${event.time}`;
  const known = new Set(events.value.map(name));
  const fresh = found.filter((event) => !known.has(name(event)));
  if (fresh.length) events.value = [...events.value, ...fresh].sort((a, b) => a.time - b.time).slice(-KEPT_EVENTS);
}

function take(message: Message): void {
  if (message.topic === "fleet") takeNode(message.data as Node & { gone?: string });
  else if (message.topic === "stats") takeStats(message.data as StatsNames & { nodes?: StatsNode[] });
  else if (message.topic === "events") takeEvents(message.data as { events: Happening[]; first?: boolean });
  else if (message.topic === "actions") {
    const action = message.data as Action;
    actions.value = new Map(actions.value).set(action.number, action);
  } else if (message.topic === "load") load.value = message.data as LoadState;
  else if (message.topic.startsWith("log:")) {
    const { lines, gap, older } = message.data as { lines: LogRow[]; gap: number; older?: PageEnd };
    logTakers.get(message.topic)?.(lines, gap, older);
  }
}

function takeNode(node: Node & { gone?: string }): void {
  const next = new Map(nodes.value);
  if (node.gone) {
    next.delete(node.gone);
    numbers.forget(node.gone);
  } else next.set(node.name, node);
  nodes.value = next;
}

function takeStats(data: StatsNames & { nodes?: StatsNode[] }): void {
  if (!data.nodes) {
    numbers.names(data);
    return;
  }
  // Figures of processes whose names never came: ask once more, though not for each second's message.
  const known = data.nodes.map((node) => numbers.columns(node)).every(Boolean);
  if (known) namesAsked = 0;
  else if (Date.now() - namesAsked > NAMES_WAIT) {
    if (namesAsked) live?.renew("stats");
    namesAsked = Date.now();
  }
  heard.value = Date.now();
  tick.value++;
}

function takeEvents(data: { events: Happening[]; first?: boolean }): void {
  const before = data.first ? [] : events.value;
  events.value = [...before, ...data.events].slice(-KEPT_EVENTS);
}

/** Whether the person may do this. */
export function may(verb: string): boolean {
  return session.value?.verbs.includes(verb) ?? false;
}

/** Nodes that run a service of this name. */
export function nodesWith(service: string): Node[] {
  return sortedNodes.value.filter((node) => node.status.services?.some((s) => s.name === service));
}
