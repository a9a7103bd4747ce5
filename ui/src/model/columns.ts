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
  sockets?: Record<string, { queued: number; connections: number }>;
  supervisor?: { cpu: number; rss: number };
  host?: { cpu: number; mem_used: number; mem_total: number; load1: number };
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

class NodeNumbers {
  v = -1;
  ids: string[] = [];
  at = new Map<string, number>();
  last: StatsNode | null = null;
  spark: number[] = []; // host CPU of the last minute
}

export class Numbers {
  #nodes = new Map<string, NodeNumbers>();
  #sparks = new Map<string, number[]>(); // "node service" → CPU of the last minute

  names(message: StatsNames): void {
    const node = this.#node(message.node);
    // Told again, and nothing new: what was measured stays.
    if (message.v === node.v && message.ids.join("\n") === node.ids.join("\n")) return;
    node.v = message.v;
    node.ids = message.ids;
    node.at = new Map(message.ids.map((id, i) => [id, i]));
    node.last = null;
  }

  /** Takes one node's columns; false when they belong to names not yet known. */
  columns(message: StatsNode): boolean {
    const node = this.#node(message.node);
    if (message.v !== node.v || message.cpu.length !== node.ids.length) return false;
    node.last = message;
    push(node.spark, message.host?.cpu ?? 0);
    const sums = new Map<string, number>();
    node.ids.forEach((id, i) => {
      const service = id.slice(0, id.lastIndexOf("/"));
      sums.set(service, (sums.get(service) ?? 0) + (message.cpu[i] ?? 0));
    });
    for (const [service, cpu] of sums) {
      const key = `${message.node} ${service}`;
      let spark = this.#sparks.get(key);
      if (!spark) this.#sparks.set(key, (spark = []));
      push(spark, cpu);
    }
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

  /** The past, for lines that have not begun yet. */
  fillSparks(past: Record<string, Record<string, number[]>>): void {
    for (const [node, services] of Object.entries(past)) {
      for (const [service, values] of Object.entries(services)) {
        const key = `${node} ${service}`;
        const live = this.#sparks.get(key) ?? [];
        this.#sparks.set(key, [...values, ...live].slice(-SPARK));
      }
    }
  }

  /** A node's columns and where each process stands in them: for whoever reads thousands at once. */
  table(node: string): { at: ReadonlyMap<string, number>; cpu: readonly number[]; rss: readonly number[] } | null {
    const found = this.#nodes.get(node);
    return found?.last ? { at: found.at, cpu: found.last.cpu, rss: found.last.rss } : null;
  }

  service(node: string, service: string): { cpu: number; rss: number } {
    const found = this.#nodes.get(node);
    let cpu = 0;
    let rss = 0;
    found?.ids.forEach((id, i) => {
      if (id.slice(0, id.lastIndexOf("/")) === service) {
        cpu += found.last?.cpu[i] ?? 0;
        rss += found.last?.rss[i] ?? 0;
      }
    });
    return { cpu, rss };
  }

  idsOf(node: string, service: string): string[] {
    return (this.#nodes.get(node)?.ids ?? []).filter((id) => id.slice(0, id.lastIndexOf("/")) === service);
  }

  serviceSpark(node: string, service: string): readonly number[] {
    return this.#sparks.get(`${node} ${service}`) ?? [];
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

function push(ring: number[], value: number): void {
  ring.push(value);
  if (ring.length > SPARK) ring.shift();
}
