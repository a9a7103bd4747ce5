/** Every listening socket: what serves it, how full its queue is. */

import { numbers, sortedNodes, tick } from "../live/store";
import { compile } from "../model/filter";
import { go, href, narrow, param } from "../model/route";
import type { Node, Socket } from "../model/types";
import { Grid, sorted, type Column } from "../tables/Grid";
import { FilterBox } from "../tables/Tables";

interface Row {
  id: string;
  node: Node;
  socket: Socket;
  queued: number;
  connections: number;
  processes: number;
}

export function Sockets() {
  return (
    <>
      <header class="title"><h1>Sockets</h1><span class="muted">Held by the keeper: they stay open while what serves them comes and goes.</span></header>
      <div class="bar"><FilterBox placeholder="name, address, queued>0" /></div>
      <SocketTable nodes={sortedNodes.value} />
    </>
  );
}

export function SocketTable({ nodes }: { nodes: Node[] }) {
  tick.value;
  const many = nodes.length > 1;
  const columns = COLUMNS.filter((c) => many || c.key !== "node");
  const sort = param("sort");
  const rows = nodes.flatMap((node) => (node.status.sockets ?? []).map((socket) => row(node, socket)));
  const kept = rows.filter(compile(param("q"), (r, name) => ({ queued: r.queued, conns: r.connections, node: r.node.name, server: r.node.name, state: stateOf(r)[2], type: family(r.socket) })[name], (r) => `${r.socket.name} ${r.socket.address} ${r.node.name}`));
  return <Grid label="Sockets" columns={columns} rows={sorted(kept, columns, sort)} id={(r) => r.id} sort={sort} onSort={(s) => narrow({ sort: s })} dim={(r) => r.node.away > 0} onOpen={(r) => r.socket.services[0] && go(href(["service", r.socket.services[0]], many ? { node: r.node.name } : {}))} />;
}

/** What a client meets. */
function stateOf({ node, socket, queued, processes }: Row): [string, string, string] {
  if (node.away) return ["?", "warn", "unknown"];
  if (node.status.drained?.since && !node.status.drained.left?.length) return ["⊘", "warn", "closed: drained"];
  if (socket.backlog && queued >= socket.backlog * 0.8) return ["▲", "bad", "queue full"];
  if (!processes) return ["▲", "warn", "no process accepts"];
  return ["●", "good", "listening"];
}

const family = (socket: Socket) => (socket.address.includes("/") ? "unix" : socket.type === "datagram" ? "udp" : "tcp");

function row(node: Node, socket: Socket): Row {
  const now = numbers.node(node.name)?.sockets?.[socket.name];
  const users = (node.status.services ?? []).filter((s) => socket.services.includes(s.name));
  return {
    id: `${node.name}/${socket.name}`,
    node,
    socket,
    queued: now?.queued ?? socket.queued,
    connections: now?.connections ?? socket.connections,
    processes: users.reduce((sum, s) => sum + s.processes.filter((p) => p.pid).length, 0),
  };
}

const COLUMNS: Column<Row>[] = [
  { key: "name", label: "socket", width: "minmax(50px, 1fr)", sort: (r) => r.socket.name, cell: (r) => <strong>{r.socket.name}</strong> },
  { key: "node", label: "server", width: "minmax(44px, 1fr)", sort: (r) => r.node.name, cell: (r) => <a href={href(["server", r.node.name])}>{r.node.name}</a> },
  { key: "address", label: "address", width: "minmax(112px, 1.5fr)", sort: (r) => r.socket.address, cell: (r) => <code>{r.socket.address}</code> },
  { key: "family", label: "type", width: "40px", from: 700, sort: (r) => family(r.socket), cell: (r) => family(r.socket) },
  { key: "queued", label: "queue", width: "58px", right: true, sort: (r) => r.queued, cell: (r) => <span class={r.queued > r.socket.backlog * 0.5 ? "bad" : ""}>{r.queued}/{r.socket.backlog}</span> },
  { key: "conns", label: "conns", width: "64px", right: true, from: 480, sort: (r) => r.connections, cell: (r) => r.connections },
  { key: "serves", label: "served by", width: "minmax(120px, 2fr)", from: 420, cell: (r) => (r.processes ? <>{r.socket.services.map((s) => <a key={s} href={href(["service", s])}>{s} </a>)}<span class="muted">({r.processes})</span></> : <span class="muted">{r.socket.services.join(", ") || "nobody"}</span>) },
  { key: "state", label: "state", width: "minmax(24px, 150px)", sort: (r) => stateOf(r)[2], cell: (r) => { const [glyph, tone, word] = stateOf(r); return <span class={tone} title={word}>{glyph} {word}</span>; } },
];
