/** Every listening socket: what serves it, how full its queue is. */

import { numbers, sortedNodes, tick } from "../live/store";
import { Holders } from "../parts/Holders";
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
  accepts: number | null; // a second; not known of datagrams
  processes: number;
}

export function Sockets() {
  return (
    <>
      <header class="title"><h1>Sockets</h1><span class="muted">Kept open by the supervisor across restarts.</span></header>
      <div class="bar"><FilterBox placeholder="name, address, queued>0, accepts>100" /></div>
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
  const kept = rows.filter(compile(param("q"), (r, name) => ({ queued: r.queued, accepts: r.accepts ?? 0, conns: r.connections, node: r.node.name, server: r.node.name, state: stateOf(r)[2], type: family(r.socket) })[name], (r) => `${r.socket.name} ${r.socket.address} ${r.node.name}`));
  const who = (r: Row) => narrow({ held: r.id });
  return (
    <>
      <Grid label="Sockets" columns={columns} rows={sorted(kept, columns, sort)} id={(r) => r.id} sort={sort} onSort={(s) => narrow({ sort: s })} dim={(r) => r.node.away > 0} onMenu={who} onOpen={(r) => (r.socket.services[0] ? go(href(["service", r.socket.services[0]], many ? { node: r.node.name } : {})) : who(r))} />
      {rows.filter((r) => r.id === param("held")).map((r) => <Holders key={r.id} node={r.node.name} socket={r.socket.name} />)}
    </>
  );
}

/** What a client meets. */
function stateOf({ node, socket, queued, accepts, processes }: Row): [string, string, string] {
  if (node.away) return ["?", "warn", "unknown"];
  if (node.status.drained?.since && !node.status.drained.left?.length) return ["⊘", "warn", "closed: drained"];
  if (socket.backlog && queued >= socket.backlog * 0.8) return ["▲", "bad", "queue full"];
  // Something waits, and in the last second nothing was taken.
  if (!processes || (queued && accepts === 0)) return ["▲", "warn", "no process accepts"];
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
    accepts: node.away ? null : (now?.accepts ?? null),
    processes: users.reduce((sum, s) => sum + s.processes.filter((p) => p.pid).length, 0),
  };
}

const COLUMNS: Column<Row>[] = [
  { key: "name", label: "socket", width: "minmax(50px, 1fr)", sort: (r) => r.socket.name, cell: (r) => <strong>{r.socket.name}</strong> },
  { key: "node", label: "server", width: "minmax(44px, 1fr)", sort: (r) => r.node.name, cell: (r) => <a href={href(["server", r.node.name])}>{r.node.name}</a> },
  { key: "address", label: "address", width: "minmax(112px, 2fr)", sort: (r) => r.socket.address, cell: (r) => <code title={r.socket.address}>{r.socket.address}</code> },
  { key: "family", label: "type", width: "minmax(40px, 110px)", from: 700, sort: (r) => family(r.socket), cell: (r) => <>{family(r.socket)} <span class="muted" title="who may connect, and whose it is">{r.socket.rights}</span></> },
  { key: "queued", label: "queue", width: "58px", right: true, sort: (r) => r.queued, cell: (r) => <span class={r.queued > r.socket.backlog * 0.5 ? "bad" : ""}>{r.queued}/{r.socket.backlog}</span> },
  { key: "accepts", label: "accepts/s", width: "70px", right: true, from: 400, sort: (r) => r.accepts ?? -1, cell: (r) => (r.accepts === null ? "–" : Math.round(r.accepts * 10) / 10) },
  { key: "conns", label: "conns", width: "64px", right: true, from: 480, sort: (r) => r.connections, cell: (r) => r.connections },
  { key: "serves", label: "served by", width: "minmax(120px, 2fr)", from: 420, cell: (r) => (r.processes ? <>{r.socket.services.map((s) => <a key={s} href={href(["service", s])}>{s} </a>)}({r.processes})</> : <span class="muted">{r.socket.services.join(", ") || "nobody"}</span>) },
  { key: "who", label: "who holds it", mute: true, width: "50px", from: 300, cell: (r) => <button type="button" class="quiet small" title="Every process that has it open (m)" aria-label={`Who holds ${r.socket.name} on ${r.node.name}`} onClick={() => narrow({ held: r.id })}>who</button> },
  { key: "state", label: "state", width: "minmax(24px, 150px)", sort: (r) => stateOf(r)[2], cell: (r) => { const [glyph, tone, word] = stateOf(r); return <span class={tone} title={word}>{glyph} {word}</span>; } },
];
