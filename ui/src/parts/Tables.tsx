/** The tables of processes and services, the same on every page. */

import { useMemo } from "preact/hooks";
import { tick, numbers } from "../live/store";
import { filtered } from "../model/filter";
import { bytes, duration, percent } from "../model/format";
import { go, href, narrow, param } from "../model/route";
import { exitWords, rank, reason, type ProcessRow, type ServiceRow } from "../model/rows";
import { now } from "../live/store";
import { Grid, sorted, type Column } from "./Grid";
import { Spark } from "../charts/Spark";
import { State } from "./State";

export function ProcessTable({ rows, showNode, showService, label }: { rows: ProcessRow[]; showNode: boolean; showService: boolean; label: string }) {
  const sort = param("sort", "");
  const query = param("q");
  const columns = useMemo(() => processColumns(showNode, showService), [showNode, showService]);
  const kept = filtered(rows, query, processField, (row) => `${row.node} ${row.service} ${row.process.number} ${row.process.state} ${row.process.pid} ${reason(row.process)}`);
  return (
    <Grid label={label} columns={columns} rows={sorted(kept, columns, sort)} id={(row) => row.id} sort={sort} onSort={(s) => narrow({ sort: s })} dim={(row) => row.away} tall={rows.length > 40}
      onOpen={(row) => (showService ? go(href(["service", row.service], { node: row.node, process: String(row.process.number) })) : narrow({ process: String(row.process.number) }))} />
  );
}

/** What a server that is away said last is no longer known: never "running", never "down" by guess. */
const Known = ({ away, state, title }: { away: boolean; state: string; title: string }) => (away ? <State state="unreachable" title={`was ${state} when last seen`} /> : <State state={state} title={title} />);

function processColumns(showNode: boolean, showService: boolean): Column<ProcessRow>[] {
  const columns: Column<ProcessRow>[] = [
    { key: "process", label: showService ? "process" : "#", width: showService ? "minmax(64px, 1fr)" : "30px", sort: (r) => (showService ? `${r.service} ${String(r.process.number).padStart(5, "0")}` : r.process.number), cell: (r) => (showService ? `${r.service} #${r.process.number}` : `#${r.process.number}`) },
    { key: "pid", label: "pid", width: "62px", right: true, from: 400, sort: (r) => r.process.pid, cell: (r) => r.process.pid || "–" },
    { key: "state", label: "state", width: "98px", sort: (r) => rank(r.process.state), cell: (r) => <Known away={r.away} state={r.process.state} title={r.process.reason} /> },
    { key: "cpu", label: "CPU", width: "54px", right: true, sort: (r) => r.cpu, cell: (r) => percent(r.cpu) },
    { key: "rss", label: "memory", width: "66px", right: true, from: 310, sort: (r) => r.rss, cell: (r) => (r.rss ? bytes(r.rss) : "–") },
    { key: "up", label: "up", width: "68px", right: true, from: 455, sort: (r) => -r.process.started_at, cell: (r) => (r.process.pid && r.process.started_at ? duration(now.value - r.process.started_at) : "–") },
    { key: "restarts", label: "restarts", width: "64px", right: true, from: 530, sort: (r) => r.process.restarts, cell: (r) => r.process.restarts },
    { key: "exit", label: "last exit", width: "minmax(80px, 1fr)", from: 760, cell: (r) => <span title={r.process.last_exit.cause}>{exitWords(r.process)}</span> },
    { key: "reason", label: "reason", width: "minmax(100px, 2fr)", from: 860, cell: (r) => <span class="muted" title={reason(r.process)}>{reason(r.process)}</span> },
  ];
  if (!showNode) return columns;
  // The server's name takes room: what else has to wait for a wider table does so for longer.
  const later = columns.map((column) => (column.from ? { ...column, from: column.from + 90 } : column));
  return [{ key: "node", label: "server", width: "minmax(44px, 1fr)", sort: (r) => r.node, cell: (r) => r.node }, ...later];
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

export function ServiceTable({ rows, showNode, label, selected, onSelect }: { rows: ServiceRow[]; showNode: boolean; label: string; selected?: ReadonlySet<string>; onSelect?: (ids: string[], range?: boolean) => void }) {
  const sort = param("sort", "");
  const columns = useMemo(() => serviceColumns(showNode, selected, onSelect), [showNode, selected]);
  const kept = fitting(rows, param("q"));
  tick.value;
  return (
    <Grid label={label} columns={columns} rows={sorted(kept, columns, sort)} id={(row) => row.id} sort={sort} onSort={(s) => narrow({ sort: s })} dim={(row) => row.away} tall={rows.length > 40}
      onOpen={(row) => go(href(["service", row.service.name], showNode ? { node: row.node } : {}))} {...(selected ? { selected } : {})} {...(onSelect ? { onSelect } : {})} />
  );
}

function serviceColumns(showNode: boolean, selected?: ReadonlySet<string>, onSelect?: (ids: string[], range?: boolean) => void): Column<ServiceRow>[] {
  const columns: Column<ServiceRow>[] = [
    { key: "name", label: "service", width: "minmax(64px, 1.4fr)", sort: (r) => r.service.name, cell: (r) => <a href={href(["service", r.service.name], showNode ? { node: r.node } : {})}><strong>{r.service.name}</strong></a> },
    { key: "state", label: "state", width: "98px", sort: (r) => rank(r.state), cell: (r) => <Known away={r.away} state={r.state} title={r.service.reason} /> },
    { key: "procs", label: "ready", width: "38px", right: true, sort: (r) => r.service.ready - r.service.wanted, cell: (r) => (r.service.one_shot ? "once" : `${r.service.ready}/${r.service.wanted}`) },
    { key: "cpu", label: "CPU", width: "64px", right: true, from: 430, sort: (r) => r.cpu, cell: (r) => percent(r.cpu) },
    { key: "spark", label: "CPU of the last minute", mute: true, width: "84px", from: 620, cell: (r) => <Spark values={numbers.serviceSpark(r.node, r.service.name)} /> },
    { key: "rss", label: "memory", width: "78px", right: true, from: 500, sort: (r) => r.rss, cell: (r) => (r.rss ? bytes(r.rss) : "–") },
    { key: "restarts", label: "restarts", width: "72px", right: true, from: 700, sort: (r) => r.service.restarts, cell: (r) => r.service.restarts },
    { key: "reason", label: "reason or command", mute: true, width: "minmax(120px, 2fr)", from: 780, cell: (r) => <span class="muted" title={r.service.reason || r.service.command}>{r.service.reason || r.service.command}</span> },
  ];
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

export function FilterBox({ placeholder }: { placeholder: string }) {
  return (
    <input type="search" id="filter" class="filter" aria-label="Filter" aria-keyshortcuts="/" placeholder={placeholder} value={param("q")}
      onInput={(event) => narrow({ q: (event.currentTarget as HTMLInputElement).value })} />
  );
}
