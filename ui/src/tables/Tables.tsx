/** The tables of processes and services, the same on every page. */

import { useMemo } from "preact/hooks";
import { wantPast } from "../live/pasts";
import { nodes, numbers, tick } from "../live/store";
import { filtered } from "../model/filter";
import { bytes, clock, duration, percent } from "../model/format";
import { go, href, narrow, param } from "../model/route";
import { exitWords, rank, reason, type ProcessRow, type ServerRow, type ServiceRow } from "../model/rows";
import { now } from "../live/store";
import { Grid, sorted, type Column } from "./Grid";
import { processGroups, serverGroups, serviceGroups } from "./Grouping";
import { chosen, MenuButton } from "./ProcessMenu";
import { Spark } from "../charts/Spark";
import { State } from "../parts/State";
import { sentence } from "../parts/Timeline";
import type { Happening } from "../model/types";

/** What happened to a service lately. */
export interface Story {
  ends: number; // by itself, in the last hour
  last: Happening;
}

interface Selection {
  selected?: ReadonlySet<string>;
  onSelect?: (ids: string[], range?: boolean) => void;
}

/** The processes that a filter leaves. */
export function fittingProcesses(rows: ProcessRow[], query: string): ProcessRow[] {
  return filtered(rows, query, processField, (row) => `${row.node} ${row.service} ${row.process.number} ${row.process.state} ${row.process.pid} ${reason(row.process)}`);
}

/** `rows`: those that the filter leaves. */
export function ProcessTable({ rows, showNode, showService, label, selected, onSelect }: { rows: ProcessRow[]; showNode: boolean; showService: boolean; label: string } & Selection) {
  const sort = param("sort", "");
  const hidden = param("hide");
  const columns = useMemo(() => without(processColumns(showNode, showService, selected, onSelect), hidden), [showNode, showService, selected, hidden]);
  return (
    <Grid label={label} columns={columns} rows={sorted(rows, columns, sort)} id={(row) => row.id} sort={sort} onSort={(s) => narrow({ sort: s })} dim={(row) => row.away} tall={rows.length > 40} group={showService ? processGroups() : undefined} onMenu={(row) => (chosen.value = row)}
      onOpen={(row) => (showService ? go(href(["service", row.service], { node: row.node, process: String(row.process.number) })) : narrow({ process: String(row.process.number), from: showNode ? row.node : "", until: "", around: "" }))} {...(selected ? { selected } : {})} {...(onSelect ? { onSelect } : {})} />
  );
}

const without = <T,>(columns: Column<T>[], hidden: string) => (hidden ? columns.filter((column) => !hidden.split(",").includes(column.key)) : columns);

export const processKey = (row: ProcessRow) => `${row.node}/${row.service}/${row.process.number}`;

/** What a server that is away said last is no longer known: never "running", never "down" by guess. */
const Known = ({ away, state, title }: { away: boolean; state: string; title: string }) => (away ? <State state="unreachable" title={`was ${state} when last seen`} /> : <State state={state} title={title} />);

/** Of one that does not run, why not; in a table of one service there is room for it. */
function ProcessState({ row, why }: { row: ProcessRow; why: boolean }) {
  const { process } = row;
  const words = [...new Set([exitWords(process), reason(process)])].filter(Boolean);
  const told = words.length > 1 && words[1]?.startsWith(words[0] ?? "") ? words.slice(1) : words;
  return <><Known away={row.away} state={process.state} title={process.reason} />{why && <span class="muted" title={reason(process)}> {told.join("; ")}</span>}</>;
}

function processSpark(row: ProcessRow, what: "cpu" | "rss"): number[] {
  wantPast(row.node, row.service, row.process.number);
  return numbers.processSpark(row.node, `${row.service}/${row.process.number}`, what);
}

function serviceSpark(row: ServiceRow): readonly number[] {
  wantPast(row.node, row.service.name, 0);
  return numbers.serviceSpark(row.node, row.service.name);
}

function processColumns(showNode: boolean, showService: boolean, selected?: ReadonlySet<string>, onSelect?: (ids: string[]) => void): Column<ProcessRow>[] {
  const more = showService ? 60 : 0; // px that names and boxes take
  const columns: Column<ProcessRow>[] = [
    { key: "process", label: showService ? "process" : "#", width: showService ? "minmax(64px, 1fr)" : "30px", sort: (r) => (showService ? `${r.service} ${String(r.process.number).padStart(5, "0")}` : r.process.number), cell: (r) => (showService ? `${r.service} #${r.process.number}` : `#${r.process.number}`) },
    { key: "pid", label: "pid", width: "62px", right: true, from: 482 + more, sort: (r) => r.process.pid, cell: (r) => r.process.pid || "–" },
    { key: "state", label: "state", width: "98px", sort: (r) => rank(r.process.state), wide: (r) => !showService && !r.process.pid && Boolean(reason(r.process)), cell: (r) => <ProcessState row={r} why={!showService && !r.process.pid} /> },
    { key: "cpu", label: "CPU", width: "54px", right: true, sort: (r) => r.cpu, cell: (r) => percent(r.cpu) },
    { key: "spark", label: "CPU of the last minute", mute: true, width: "64px", from: 410 + more, cell: (r) => (r.process.pid ? <Spark values={processSpark(r, "cpu")} width={60} /> : "") },
    { key: "rss", label: "memory", width: "66px", right: true, from: 336 + more, sort: (r) => r.rss, cell: (r) => (r.rss ? bytes(r.rss) : "–") },
    { key: "rss-spark", label: "memory of the last minute", mute: true, width: "64px", from: 1000 + more, cell: (r) => (r.process.pid ? <Spark values={processSpark(r, "rss")} width={60} /> : "") },
    { key: "up", label: "up", width: "68px", right: true, from: 560 + more, sort: (r) => -r.process.started_at, cell: (r) => (r.process.pid && r.process.started_at ? duration(now.value - r.process.started_at) : "–") },
    { key: "restarts", label: "restarts", width: "64px", right: true, from: 634 + more, sort: (r) => r.process.restarts, cell: (r) => r.process.restarts },
    { key: "exit", label: "last exit", width: "minmax(80px, 1fr)", from: 760 + more, cell: (r) => <span title={r.process.last_exit.cause}>{exitWords(r.process)}</span> },
    { key: "reason", label: "reason", width: "minmax(100px, 2fr)", from: 860 + more, cell: (r) => <span class="muted" title={reason(r.process)}>{reason(r.process)}</span> },
    { key: "menu", label: "actions", mute: true, width: "22px", from: showService ? 360 : 0, cell: (r) => <MenuButton row={r} /> },
  ];
  if (onSelect) columns.splice(0, 0, { key: "pick", label: "selected", mute: true, width: "15px", from: 340, cell: (r) => <input type="checkbox" aria-label={`Select ${r.service} #${r.process.number} on ${r.node}`} checked={selected?.has(r.id) ?? false} onChange={() => onSelect([r.id])} /> });
  if (!showNode) return columns;
  // The server's name takes room: what else has to wait for a wider table does so for longer.
  const later = columns.map((column) => (column.from ? { ...column, from: column.from + 90 } : column));
  later.splice(onSelect ? 1 : 0, 0, { key: "node", label: "server", width: "minmax(44px, 1fr)", sort: (r) => r.node, cell: (r) => r.node });
  return later;
}

function processField(row: ProcessRow, name: string): string | number | undefined {
  const fields: Record<string, string | number> = {
    node: row.node, server: row.node, service: row.service, state: row.process.state, pid: row.process.pid,
    cpu: row.cpu, rss: row.rss / 1048576, mem: row.rss / 1048576, restarts: row.process.restarts, number: row.process.number,
  };
  return fields[name];
}

/** The services that a filter leaves. */
export function fitting(rows: ServiceRow[], query: string): ServiceRow[] {
  return filtered(rows, query, serviceField, (row) => `${row.node} ${row.service.name} ${row.state} ${row.service.reason}`);
}

export function ServiceTable({ rows, showNode, label, story, selected, onSelect }: { rows: ServiceRow[]; showNode: boolean; label: string; story?: Map<string, Story> } & Selection) {
  const sort = param("sort", "");
  const hidden = param("hide");
  const columns = useMemo(() => without(serviceColumns(showNode, story, selected, onSelect), hidden), [showNode, story, selected, hidden]);
  const kept = fitting(rows, param("q"));
  tick.value;
  return (
    <Grid label={label} columns={columns} rows={sorted(kept, columns, sort)} id={(row) => row.id} sort={sort} onSort={(s) => narrow({ sort: s })} dim={(row) => row.away} tall={rows.length > 40} group={selected || param("group") ? serviceGroups() : undefined}
      onOpen={(row) => go(href(["service", row.service.name], nodes.value.size > 1 ? { node: row.node } : {}))} {...(selected ? { selected } : {})} {...(onSelect ? { onSelect } : {})} />
  );
}

function serviceColumns(showNode: boolean, story?: Map<string, Story>, selected?: ReadonlySet<string>, onSelect?: (ids: string[], range?: boolean) => void): Column<ServiceRow>[] {
  const columns: Column<ServiceRow>[] = [
    { key: "name", label: "service", width: "minmax(64px, 1.4fr)", sort: (r) => r.service.name, cell: (r) => <a href={href(["service", r.service.name], showNode ? { node: r.node } : {})} title={showNode ? "" : "Wherever it runs; the row leads to it on this server"}><strong>{r.service.name}</strong></a> },
    { key: "state", label: "state", width: "98px", sort: (r) => rank(r.state), cell: (r) => <Known away={r.away} state={r.state} title={r.service.reason} /> },
    { key: "procs", label: "ready", width: "38px", right: true, sort: (r) => r.service.ready - r.service.wanted, cell: (r) => (r.service.one_shot ? "once" : `${r.service.ready}/${r.service.wanted}`) },
    { key: "cpu", label: "CPU", width: "64px", right: true, from: 430, sort: (r) => r.cpu, cell: (r) => percent(r.cpu) },
    { key: "spark", label: "CPU of the last minute", mute: true, width: "84px", from: 620, cell: (r) => <Spark values={serviceSpark(r)} /> },
    { key: "rss", label: "memory", width: "78px", right: true, from: 500, sort: (r) => r.rss, cell: (r) => (r.rss ? bytes(r.rss) : "–") },
    { key: "restarts", label: "restarts", width: "72px", right: true, from: 700, sort: (r) => r.service.restarts, cell: (r) => r.service.restarts },
    { key: "reason", label: "reason or command", mute: true, width: "minmax(120px, 2fr)", from: 780, cell: (r) => <span class="muted" title={r.service.reason || r.service.command}>{r.service.reason || r.service.command}</span> },
  ];
  if (story) {
    const of = (r: ServiceRow) => story.get(r.service.name);
    const at = columns.findIndex((column) => column.key === "restarts");
    columns.splice(at + 1, 0, { key: "ends", label: "exits (1 h)", width: "72px", right: true, from: 660, sort: (r) => of(r)?.ends ?? 0, cell: (r) => <span class={of(r)?.ends ? "warn" : "muted"}>{of(r)?.ends ?? 0}</span> });
    columns.push({ key: "version", label: "version", width: "minmax(50px, 90px)", from: 1040, sort: (r) => r.service.labels?.["version"] ?? "", cell: (r) => r.service.labels?.["version"] ?? "" });
    columns.push({ key: "last", label: "last event", width: "minmax(120px, 1.4fr)", from: 940, sort: (r) => -(of(r)?.last.time ?? 0), cell: (r) => { const last = of(r)?.last; return last ? <span class="muted" title={sentence(last)}>{clock(last.time)} {sentence(last)}</span> : ""; } });
  }
  if (showNode) columns.splice(1, 0, { key: "node", label: "server", width: "minmax(44px, 1fr)", sort: (r) => r.node, cell: (r) => <a href={href(["server", r.node])}>{r.node}</a> });
  if (onSelect) columns.splice(0, 0, { key: "pick", label: "selected", mute: true, width: "15px", cell: (r) => <input type="checkbox" aria-label={`Select ${r.service.name} on ${r.node}`} checked={selected?.has(r.id) ?? false} onChange={() => onSelect([r.id])} /> });
  return columns;
}

function serviceField(row: ServiceRow, name: string): string | number | undefined {
  const fields: Record<string, string | number> = {
    node: row.node, server: row.node, service: row.service.name, name: row.service.name, state: row.state,
    cpu: row.cpu, rss: row.rss / 1048576, mem: row.rss / 1048576, restarts: row.service.restarts, ready: row.service.ready, wanted: row.service.wanted,
  };
  return fields[name];
}

/** The servers that a filter leaves. */
export function fittingServers(rows: ServerRow[], query: string): ServerRow[] {
  return filtered(rows, query, serverField, (row) => `${row.id} ${row.state} ${row.node.status.version ?? ""} ${Object.entries(row.node.status.labels ?? {}).map((pair) => pair.join("=")).join(" ")}`);
}

function serverField(row: ServerRow, name: string): string | number | undefined {
  const fields: Record<string, string | number> = {
    node: row.id, server: row.id, name: row.id, state: row.state, version: row.node.status.version ?? "", cpu: row.cpu ?? 0, mem: row.memory ?? 0, memory: row.memory ?? 0, load: row.load ?? 0, ready: row.ready, wanted: row.wanted, running: row.running, problems: row.node.problems.length,
  };
  return name in fields ? fields[name] : row.node.status.labels?.[name];
}

const number = (value: number | null, write: (value: number) => string) => (value === null ? "–" : write(value));

const SERVER_COLUMNS: Column<ServerRow>[] = [
  { key: "name", label: "server", width: "minmax(64px, 1.4fr)", sort: (r) => r.id, cell: (r) => <a href={href(["server", r.id])}><strong>{r.id}</strong></a> },
  { key: "state", label: "state", width: "104px", sort: (r) => rank(r.state), cell: (r) => <State state={r.state} title={r.node.why} /> },
  { key: "ready", label: "ready", width: "58px", right: true, sort: (r) => r.ready - r.wanted, cell: (r) => `${r.ready}/${r.wanted}` },
  { key: "cpu", label: "CPU", width: "58px", right: true, from: 360, sort: (r) => r.cpu ?? -1, cell: (r) => number(r.cpu, percent) },
  { key: "spark", label: "CPU of the last minute", mute: true, width: "84px", from: 560, cell: (r) => <Spark values={numbers.nodeSpark(r.id)} /> },
  { key: "memory", label: "memory", width: "64px", right: true, from: 430, sort: (r) => r.memory ?? -1, cell: (r) => number(r.memory, percent) },
  { key: "load", label: "load", width: "52px", right: true, from: 640, sort: (r) => r.load ?? -1, cell: (r) => number(r.load, (v) => v.toFixed(1)) },
  { key: "problems", label: "problems", width: "70px", right: true, from: 500, sort: (r) => r.node.problems.length, cell: (r) => <span class={r.node.problems.length ? "bad" : "muted"}>{r.node.problems.length}</span> },
  { key: "version", label: "version", width: "minmax(60px, 100px)", from: 760, sort: (r) => r.node.status.version ?? "", cell: (r) => r.node.status.version },
  { key: "up", label: "up", width: "70px", right: true, from: 720, sort: (r) => -(r.node.status.started_at ?? 0), cell: (r) => (r.node.status.started_at && !r.node.away ? duration(now.value - r.node.status.started_at) : "–") },
  { key: "labels", label: "labels", width: "minmax(100px, 1fr)", from: 900, cell: (r) => <span class="muted">{Object.entries(r.node.status.labels ?? {}).map(([key, value]) => `${key} ${value}`).join(" · ")}</span> },
];

/** `rows`: those that the filter leaves. */
export function ServerTable({ rows, selected, onSelect }: { rows: ServerRow[] } & Selection) {
  const sort = param("sort", "");
  const hidden = param("hide");
  const columns = useMemo(() => {
    const found = without(SERVER_COLUMNS, hidden);
    return onSelect ? [{ key: "pick", label: "selected", mute: true, width: "15px", cell: (r: ServerRow) => <input type="checkbox" aria-label={`Select ${r.id}`} checked={selected?.has(r.id) ?? false} onChange={() => onSelect([r.id])} /> }, ...found] : found;
  }, [selected, hidden]);
  return (
    <Grid label="Servers" columns={columns} rows={sorted(rows, columns, sort)} id={(row) => row.id} sort={sort} onSort={(s) => narrow({ sort: s })} dim={(row) => row.node.away > 0} tall={rows.length > 40} group={serverGroups()}
      onOpen={(row) => go(href(["server", row.id]))} {...(selected ? { selected } : {})} {...(onSelect ? { onSelect } : {})} />
  );
}

/** Which columns a table shows, kept in the address. */
export function ColumnsMenu({ columns }: { columns: [string, string][] }) {
  const hidden = new Set(param("hide").split(",").filter(Boolean));
  const flip = (key: string) => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    narrow({ hide: [...next].join(",") });
  };
  return (
    <details class="columns-menu" onKeyDown={(event) => { if (event.key === "Escape") { event.stopPropagation(); event.currentTarget.open = false; event.currentTarget.querySelector("summary")?.focus(); } }}>
      <summary class="button small">Columns{hidden.size > 0 && ` (${columns.length - hidden.size})`}</summary>
      <div class="menu">{columns.map(([key, label]) => <label class="check" key={key}><input type="checkbox" checked={!hidden.has(key)} onChange={() => flip(key)} /> {label}</label>)}</div>
    </details>
  );
}

export const COLUMNS_OF: Record<"table" | "services" | "processes", [string, string][]> = {
  table: SERVER_COLUMNS.filter((c) => c.key !== "name").map((c) => [c.key, c.label]),
  services: [["state", "state"], ["procs", "ready"], ["cpu", "CPU"], ["spark", "CPU of the last minute"], ["rss", "memory"], ["restarts", "restarts"], ["reason", "reason or command"]],
  processes: [["pid", "pid"], ["state", "state"], ["cpu", "CPU"], ["spark", "CPU of the last minute"], ["rss", "memory"], ["rss-spark", "memory of the last minute"], ["up", "up"], ["restarts", "restarts"], ["exit", "last exit"], ["reason", "reason"]],
};

export function FilterBox({ placeholder }: { placeholder: string }) {
  return (
    <input type="search" id="filter" class="filter" aria-label="Filter" aria-keyshortcuts="/" placeholder={placeholder} value={param("q")}
      onInput={(event) => narrow({ q: (event.currentTarget as HTMLInputElement).value })} />
  );
}
