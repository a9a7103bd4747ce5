/** The newest numbers of every process, kept as columns: 10,000 rows cost no 10,000 objects. */

export interface StatsNode {
  node: string;
  v: number;
  time: number;
  pid: number[];
  cpu: number[];
  rss: number[];
  threads?: number[];
  fds?: number[];
  sockets?: Record<string, { queued: number; connections: number; accepts?: number }>;
  requests?: Record<string, (number | null)[]>; // service → a second, p99 in seconds, 5xx a second
  supervisor?: { cpu: number; rss: number };
  host?: { cpu: number; mem_used: number; mem_total: number; load1: number };
  past?: number[]; // with the first message: the host's CPU in the last minute
}

export interface StatsNames {
  node: string;
  v: number;
  ids: string[];
}

export interface Reading {
  cpu: number;
  rss: number;
  threads: number;
  fds: number;
}

const SPARK = 60;

/** One second's columns as they came, and where each process stands in them: the past costs no copy. */
interface Second {
  time: number;
  at: ReadonlyMap<string, number>;
  cpu: readonly (number | null)[];
  rss: readonly (number | null)[];
}

interface Sum {
  cpu: number;
  rss: number;
}

class NodeNumbers {
  v = -1;
  ids: string[] = [];
  owner: number[] = []; // of each process: its service's place in `sums`
  services: string[] = [];
  sums = new Map<string, Sum>();
  at = new Map<string, number>();
  last: StatsNode | null = null;
  spark: number[] = []; // host CPU of the last minute
  past: Second[] = [];
}

const ofService = (id: string) => id.slice(0, id.lastIndexOf("/"));

export class Numbers {
  #nodes = new Map<string, NodeNumbers>();
  #before = new Map<string, { time: number; cpu: (number | null)[]; rss: (number | null)[] }>();
  #sparks = new Map<string, number[]>(); // "node service" → CPU of the last minute

  names(message: StatsNames): void {
    const node = this.#node(message.node);
    // Told again, and nothing new: what was measured stays.
    if (message.v === node.v && message.ids.join("\n") === node.ids.join("\n")) return;
    node.v = message.v;
    node.ids = message.ids;
    node.at = new Map(message.ids.map((id, i) => [id, i]));
    node.services = [...new Set(message.ids.map(ofService))];
    const places = new Map(node.services.map((service, i) => [service, i]));
    node.owner = message.ids.map((id) => places.get(ofService(id)) ?? 0);
    node.sums.clear();
    node.last = null;
  }

  /** Takes one node's columns; false when they belong to names not yet known. */
  columns(message: StatsNode): boolean {
    const node = this.#node(message.node);
    if (message.v !== node.v || message.cpu.length !== node.ids.length) return false;
    node.last = message;
    // Told with the first message of a link: what came before it is not known better here.
    if (message.past?.length) node.spark = message.past.slice(-SPARK);
    else push(node.spark, message.host?.cpu ?? 0);
    push(node.past, { time: message.time, at: node.at, cpu: message.cpu, rss: message.rss });
    const sums = node.services.map((): Sum => ({ cpu: 0, rss: 0 }));
    node.owner.forEach((place, i) => {
      const sum = sums[place] as Sum;
      sum.cpu += message.cpu[i] ?? 0;
      sum.rss += message.rss[i] ?? 0;
    });
    node.services.forEach((service, i) => {
      const sum = sums[i] as Sum;
      node.sums.set(service, sum);
      const key = `${message.node} ${service}`;
      let spark = this.#sparks.get(key);
      if (!spark) this.#sparks.set(key, (spark = []));
      push(spark, sum.cpu);
    });
    return true;
  }

  process(node: string, id: string): Reading | null {
    const found = this.#nodes.get(node);
    const i = found?.at.get(id);
    const last = found?.last;
    if (i === undefined || !last) return null;
    return {
      cpu: last.cpu[i] ?? 0,
      rss: last.rss[i] ?? 0,
      threads: last.threads?.[i] ?? 0,
      fds: last.fds?.[i] ?? 0,
    };
  }

  /** A node's columns and where each process stands in them: for whoever reads thousands at once. */
  table(node: string): { at: ReadonlyMap<string, number>; cpu: readonly number[]; rss: readonly number[] } | null {
    const found = this.#nodes.get(node);
    return found?.last ? { at: found.at, cpu: found.last.cpu, rss: found.last.rss } : null;
  }

  service(node: string, service: string): Sum {
    return this.#nodes.get(node)?.sums.get(service) ?? { cpu: 0, rss: 0 };
  }

  /** A process in the last minute, oldest first; put together only for rows in sight. */
  processSpark(node: string, id: string, what: "cpu" | "rss"): number[] {
    const live = this.#nodes.get(node)?.past ?? [];
    const values = this.#known(`${node} ${id}`, what, live.length, live[0]?.time);
    for (const second of live) {
      const place = second.at.get(id);
      if (place !== undefined) values.push(second[what][place] ?? 0);
    }
    return values;
  }

  /** What was before the live seconds began. */
  #known(key: string, what: "cpu" | "rss", count: number, began?: number): number[] {
    const before = count < SPARK ? this.#before.get(key) : undefined;
    if (!before) return [];
    const begin = Math.floor(began ?? before.time + before.cpu.length);
    return before[what].slice(0, Math.max(0, begin - before.time)).slice(count - SPARK).filter((value) => value !== null);
  }

  /** The past of a process, or with 0 of a service, from the hub: it stands before what has come since. */
  fill(node: string, service: string, process: number, past: { time: number; cpu: (number | null)[]; rss: (number | null)[] }): void {
    this.#before.set(process ? `${node} ${service}/${process}` : `${node} ${service}`, past);
  }

  /** The same of many processes. */
  fillProcesses(node: string, past: { time: number; ids: string[]; cpu: (number | null)[][]; rss: (number | null)[][] }): void {
    past.ids.forEach((id, i) => this.#before.set(`${node} ${id}`, { time: past.time, cpu: past.cpu[i] ?? [], rss: past.rss[i] ?? [] }));
  }

  idsOf(node: string, service: string): string[] {
    return (this.#nodes.get(node)?.ids ?? []).filter((id) => ofService(id) === service);
  }

  serviceSpark(node: string, service: string): readonly number[] {
    const key = `${node} ${service}`;
    const live = this.#sparks.get(key) ?? [];
    const seconds = this.#nodes.get(node)?.past ?? [];
    return [...this.#known(key, "cpu", live.length, seconds[seconds.length - live.length]?.time), ...live];
  }

  node(name: string): StatsNode | null {
    return this.#nodes.get(name)?.last ?? null;
  }

  nodeSpark(name: string): readonly number[] {
    return this.#nodes.get(name)?.spark ?? [];
  }

  forget(name: string): void {
    this.#nodes.delete(name);
  }

  #node(name: string): NodeNumbers {
    let found = this.#nodes.get(name);
    if (!found) this.#nodes.set(name, (found = new NodeNumbers()));
    return found;
  }
}

function push<T>(ring: T[], value: T): void {
  ring.push(value);
  if (ring.length > SPARK) ring.shift();
}
