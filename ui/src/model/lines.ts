/** Actions as the command lines that people would type, and on which servers they would type them. */

import { ON_SERVERS } from "./commands";
import type { Target, Verb } from "./types";

export interface Line {
  nodes: string[];
  line: string;
}

/** One line per set of servers: what runs on the same ones shares it; single processes have their own. */
export function commandLines(verb: Verb, targets: readonly Target[], options: Record<string, unknown>): Line[] {
  const places = new Map<string, { service: string; process: number; nodes: Set<string> }>();
  for (const { node, service, process = 0 } of targets) {
    const key = `${service}\n${process}`;
    const place = places.get(key) ?? { service, process, nodes: new Set() };
    place.nodes.add(node);
    places.set(key, place);
  }
  const groups = new Map<string, { nodes: string[]; process: number; services: string[] }>();
  for (const { service, process, nodes: found } of places.values()) {
    const nodes = [...found].sort();
    const key = [...nodes, process ? `${service} ${process}` : ""].join("\n");
    const group = groups.get(key) ?? { nodes, process, services: [] };
    group.services.push(service);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ nodes, process, services }) => ({ nodes, line: written(verb, services, process ? { ...options, process } : options) }));
}

function written(verb: Verb, services: string[], options: Record<string, unknown>): string {
  const words = ["chapiteau", verb as string];
  if (ON_SERVERS.includes(verb)) return words.join(" ");
  if (verb === "signal") words.push(String(options["signal"]));
  const fewer = verb === "scale" && !("processes" in options) && Number(options["by"]) < 0;
  words.push(...services.map((service) => (verb === "scale" && !fewer ? `${service}=${amount(options)}` : service)));
  if (fewer) words.push("--by", String(options["by"]));
  if (verb !== "scale" && options["process"]) words.push("--process", String(options["process"]));
  return words.map(quoted).join(" ");
}

function amount(options: Record<string, unknown>): string {
  if ("processes" in options) return String(options["processes"]);
  return `+${Number(options["by"] ?? 0)}`;
}

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`;
}

/** ["a", "b", "c"] → "a, b and c"; many are counted. */
export function named(names: readonly string[], most = 6): string {
  if (names.length > most) return `${names.length} servers`;
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}
