/** Rows of the process and service tables, made of what the fleet says and what was measured. */

import type { Node, Process, Service } from "./types";
import type { Numbers } from "./columns";
import { signalName } from "./format";

export interface ProcessRow {
  id: string;
  node: string;
  away: boolean;
  service: string;
  process: Process;
  cpu: number;
  rss: number;
}

export interface ServiceRow {
  id: string;
  node: string;
  away: boolean;
  service: Service;
  state: string;
  cpu: number;
  rss: number;
}

export interface ServerRow {
  id: string;
  node: Node;
  state: string;
  ready: number;
  wanted: number;
  running: number;
  cpu: number | null; // percent, as the memory
  memory: number | null;
  load: number | null;
}

/** One word for a whole server. */
export function serverState(node: Node): string {
  const { drained, services = [] } = node.status;
  if (node.away) return "unreachable";
  if (drained?.since) return drained.left?.length ? "draining" : "drained";
  // What was stopped on purpose says nothing of the others.
  const states = services.map((service) => service.state).filter((state) => state !== "stopped");
  return worst(states);
}

export function serverRows(nodes: readonly Node[], numbers: Numbers): ServerRow[] {
  return nodes.map((node) => {
    const lasting = (node.status.services ?? []).filter((service) => !service.one_shot);
    const host = numbers.node(node.name)?.host;
    return {
      id: node.name,
      node,
      state: serverState(node),
      ready: lasting.reduce((sum, s) => sum + s.ready, 0),
      wanted: lasting.reduce((sum, s) => sum + s.wanted, 0),
      running: lasting.reduce((sum, s) => sum + s.processes.filter((p) => p.pid).length, 0),
      cpu: host?.cpu ?? null,
      memory: host ? (100 * host.mem_used) / host.mem_total : null,
      load: host?.load1 ?? null,
    };
  });
}

/** What is worse comes first, then the name. */
export function byWeight(rows: readonly ServerRow[]): ServerRow[] {
  const weight = (node: Node) => (node.away ? 1000 : 0) + node.problems.reduce((sum, t) => sum + t.severity, 0);
  return [...rows].sort((a, b) => weight(b.node) - weight(a.node) || a.id.localeCompare(b.id, "en", { numeric: true }));
}

export function processRows(nodes: readonly Node[], numbers: Numbers, only = ""): ProcessRow[] {
  const rows: ProcessRow[] = [];
  for (const node of nodes) {
    const table = numbers.table(node.name);
    for (const service of node.status.services ?? []) {
      if (only && service.name !== only) continue;
      for (const process of service.processes) {
        const key = `${service.name}/${process.number}`;
        const place = process.pid ? table?.at.get(key) : undefined;
        rows.push({
          id: `${node.name}/${key}/${process.pid}`,
          node: node.name,
          away: node.away > 0,
          service: service.name,
          process,
          cpu: place === undefined ? process.cpu_percent : (table?.cpu[place] ?? 0),
          rss: place === undefined ? process.rss_bytes : (table?.rss[place] ?? 0),
        });
      }
    }
  }
  return rows;
}

export function serviceRows(nodes: readonly Node[], numbers: Numbers): ServiceRow[] {
  return nodes.flatMap((node) =>
    (node.status.services ?? []).map((service) => ({
      id: `${node.name}/${service.name}`,
      node: node.name,
      away: node.away > 0,
      service,
      state: service.state,
      ...numbers.service(node.name, service.name),
    })),
  );
}

const WORST = ["failed", "backoff", "unhealthy", "stopping", "starting", "waiting", "reloading", "restarting", "stopped", "running", "completed"];

/** Order of states, the worst first. */
export function rank(state: string): number {
  const at = WORST.indexOf(state);
  return at < 0 ? 3 : at;
}

/** The state to show for many services at once. */
export function worst(states: Iterable<string>): string {
  let found = "stopped";
  let least = Infinity;
  for (const state of states) {
    const place = rank(state);
    if (place < least) [found, least] = [state, place];
  }
  return found;
}

/** Why a process is not simply running, or what it said of itself. */
export function reason(process: Process): string {
  const exit = process.last_exit;
  if (process.state === "running") return process.status_text || process.reason;
  return process.reason || exit.cause || "";
}

/** "exit 1", "SIGKILL", "out of memory". */
export function exitWords(process: Process): string {
  const exit = process.last_exit;
  if (!exit || (exit.code == null && !exit.signal)) return "";
  if (exit.oom) return "out of memory";
  return exit.signal ? `killed by ${signalName(exit.signal)}` : `exit ${exit.code}`;
}
