/** "Group by": what rows have in common; the same choice for tiles and tables, kept in the address. */

import { nodes } from "../live/store";
import { labelNames } from "../model/groups";
import { plural } from "../model/format";
import { narrow, param } from "../model/route";
import { serverState, worst, type ProcessRow, type ServerRow, type ServiceRow } from "../model/rows";
import type { Node, Service } from "../model/types";
import { Pick } from "../parts/Choice";
import type { Grouping } from "./Grid";
import { State } from "../parts/State";

type View = "servers" | "services" | "processes";

const OWN: Record<View, string[]> = { servers: ["state", "version"], services: ["service", "server", "state"], processes: ["service", "server", "state"] };
const ON = "on."; // a label of the server …
const TAG = "tag."; // … of the service

/** What can be chosen: properties of the rows, labels of their servers, labels of their services. */
export function GroupBy({ view }: { view: View }) {
  const all = [...nodes.value.values()];
  const labels = labelNames(all.map((node) => node.status.labels)).map((name): [string, string] => [ON + name, name]);
  const tags = view === "servers" ? [] : labelNames(all.flatMap((node) => (node.status.services ?? []).map((s) => s.labels))).map((name): [string, string] => [TAG + name, `${name} of the service`]);
  const options: [string, string][] = [["", "No grouping"], ...OWN[view].map((name): [string, string] => [name, `by ${name}`]), ...[...labels, ...tags].map(([key, name]): [string, string] => [key, `by ${name}`])];
  return <Pick label="Group by" value={param("group")} options={options} onPick={(group) => narrow({ group, shut: "" })} />;
}

function common(key: string, node: Node | undefined, service?: Service): string {
  if (key.startsWith(ON)) return node?.status.labels?.[key.slice(ON.length)] ?? "";
  if (key.startsWith(TAG)) return service?.labels?.[key.slice(TAG.length)] ?? "";
  return { server: node?.name, service: service?.name, version: node?.status.version }[key] ?? "";
}

export function serverGroups(): Grouping<ServerRow> | undefined {
  const key = param("group");
  if (!key) return undefined;
  return { by: (row) => (key === "state" ? serverState(row.node) : common(key, row.node)), summary: (rows) => <Summary count={plural(rows.length, "server")} states={rows.map((r) => r.state)} /> };
}

export function serviceGroups(): Grouping<ServiceRow> | undefined {
  const key = param("group");
  if (!key) return undefined;
  const known = nodes.value;
  return { by: (row) => (key === "state" ? (row.away ? "unreachable" : row.state) : common(key, known.get(row.node), row.service)), summary: (rows) => <Summary count={plural(rows.length, "service")} states={rows.map((r) => (r.away ? "unreachable" : r.state))} /> };
}

export function processGroups(): Grouping<ProcessRow> | undefined {
  const key = param("group");
  if (!key) return undefined;
  const known = nodes.value;
  const services = new Map<string, Service>(); // of thousands of processes few services each
  const service = (row: ProcessRow): Service | undefined => {
    const id = `${row.node} ${row.service}`;
    const found = services.get(id) ?? known.get(row.node)?.status.services?.find((s) => s.name === row.service);
    if (found) services.set(id, found);
    return found;
  };
  const by: (row: ProcessRow) => string =
    key === "service" ? (row) => row.service
    : key === "server" ? (row) => row.node
    : key === "state" ? (row) => (row.away ? "unreachable" : row.process.state)
    : (row) => common(key, known.get(row.node), key.startsWith(TAG) ? service(row) : undefined);
  return { by, summary: (rows) => <Summary count={plural(rows.length, "process", "processes")} states={rows.map((r) => (r.away ? "unreachable" : r.process.state))} /> };
}

function Summary({ count, states }: { count: string; states: string[] }) {
  const found = new Map<string, number>();
  for (const state of states) found.set(state, (found.get(state) ?? 0) + 1);
  const bad = worst(found.keys());
  return <>{count} {found.size > 0 && <State state={bad} />}{found.size > 1 && ` (${found.get(bad)})`}</>;
}
