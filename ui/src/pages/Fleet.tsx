/** Home: is anything broken, where, why; then every server and everything on it. */

import { allProblems, heard, may, numbers, sortedNodes, tick } from "../live/store";
import { bytes, percent, plural } from "../model/format";
import { grouped } from "../model/groups";
import { href, narrow, param } from "../model/route";
import { byWeight, processRows, serverRows, serviceRows, type ServerRow } from "../model/rows";
import type { Node } from "../model/types";
import { Age } from "../parts/Age";
import { Attention } from "../parts/Attention";
import { Choice } from "../parts/Choice";
import { GroupBy, serverGroups } from "../tables/Grouping";
import { PickBar, usePicked } from "../tables/Picking";
import { Spark } from "../charts/Spark";
import { State } from "../parts/State";
import { COLUMNS_OF, ColumnsMenu, FilterBox, fitting, fittingProcesses, fittingServers, ProcessTable, ServerTable, ServiceTable } from "../tables/Tables";

type View = "servers" | "table" | "services" | "processes";

const VIEWS: [View, string][] = [["servers", "tiles"], ["table", "servers"], ["processes", "processes"], ["services", "services"]];

export function Fleet() {
  const nodes = sortedNodes.value;
  const many = nodes.length > 1;
  tick.value;
  const asked = param("view", many ? "servers" : "services") as View;
  const view = VIEWS.some(([name]) => name === asked) ? asked : "services";
  const servers = view === "servers" || view === "table";
  return (
    <>
      <h1 class="sr">Fleet</h1>
      <Band nodes={nodes} />
      <Attention problems={allProblems.value} showNode={many} />
      <div class="bar">
        <Choice label="View" value={view} onPick={(v) => narrow({ view: v, sort: "", pick: "", group: "", shut: "", hide: "" })} options={VIEWS} keys={["1", "2", "3", "4"]} />
        <GroupBy view={servers ? "servers" : view as "services" | "processes"} />
        <FilterBox placeholder={servers ? "name, state:drained, cpu>80" : "name, state:failed, cpu>80"} />
        {view !== "servers" && <ColumnsMenu columns={COLUMNS_OF[view]} />}
      </div>
      {view === "servers" && <Tiles nodes={nodes} />}
      {view === "table" && <Servers nodes={nodes} />}
      {view === "services" && <Services nodes={nodes} many={many} />}
      {view === "processes" && <Processes nodes={nodes} many={many} />}
    </>
  );
}

function Band({ nodes }: { nodes: Node[] }) {
  const services = nodes.flatMap((n) => n.status.services ?? []);
  const processes = services.flatMap((s) => s.processes);
  const count = (state: string) => processes.filter((p) => p.state === state).length;
  const away = nodes.filter((n) => n.away).length;
  const hosts = nodes.map((n) => numbers.node(n.name)?.host).filter((h) => h !== undefined);
  const cpu = hosts.reduce((sum, h) => sum + h.cpu, 0) / (hosts.length || 1);
  const used = hosts.reduce((sum, h) => sum + h.mem_used, 0);
  const total = hosts.reduce((sum, h) => sum + h.mem_total, 0);
  const failed = services.filter((s) => s.state === "failed").length;
  const sick = nodes.filter((n) => !n.away && n.problems.some((t) => !t.muted_until)).length;
  const changing = services.filter((s) => s.state === "reloading").length;
  const broken = count("failed");
  return (
    <dl class="band">
      <Fact label="servers" value={`${nodes.length - away}`} note={[away ? `${away} unreachable` : "", sick ? `${sick} degraded` : ""].filter(Boolean).join(" · ") || "up"} tone={away || sick ? "warn" : ""} />
      <Fact label="services" value={String(services.length)} note={failed ? `${failed} failed` : "declared"} tone={failed ? "bad" : ""} />
      <Fact label="processes" value={String(count("running"))} note={[count("backoff") ? `${count("backoff")} backing off` : "", broken ? `${broken} failed` : ""].filter(Boolean).join(" · ") || "running"} tone={broken ? "bad" : count("backoff") ? "warn" : ""} />
      <Fact label="Host CPU" value={heard.value ? percent(cpu) : "–"} note={hosts.length === 1 ? `load ${hosts[0]?.load1.toFixed(1)}` : "mean"} />
      <Fact label="memory" value={total ? percent((100 * used) / total) : "–"} note={total ? `${bytes(used)} of ${bytes(total)}` : ""} />
      {changing > 0 && <div><dt>deploying</dt><dd><a href="/deploys"><span class="big">{changing}</span> {changing === 1 ? "reload" : "reloads"} ▸</a></dd></div>}
    </dl>
  );
}

export function Fact({ label, value, note = "", tone = "" }: { label: string; value: string; note?: string; tone?: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd><span class="big">{value}</span> <span class={tone || "muted"}>{note}</span></dd>
    </div>
  );
}

function Tiles({ nodes }: { nodes: Node[] }) {
  const shown = byWeight(fittingServers(serverRows(nodes, numbers), param("q")));
  const groups = serverGroups();
  const tiles = (rows: ServerRow[], label: string) => <ul class="tiles" aria-label={label}>{rows.map((row) => <Tile key={row.id} row={row} />)}</ul>;
  if (!shown.length) return <p class="empty">No servers match.</p>;
  if (!groups) return tiles(shown, "Servers");
  return (
    <>
      {grouped(shown, groups.by).map((group) => (
        <section key={group.name} class="tile-group" aria-label={group.name || "(none)"}>
          <h2>{group.name || "(none)"} <span class="muted">{groups.summary(group.rows)}</span></h2>
          {tiles(group.rows, `Servers: ${group.name || "(none)"}`)}
        </section>
      ))}
    </>
  );
}

function Tile({ row }: { row: ServerRow }) {
  const { node } = row;
  return (
    <li class={`tile${node.away ? " away" : ""}`}>
      <a href={href(["server", row.id])}>
        <strong>{row.id}</strong> <State state={row.state} />
        <span class="tile-row"><Spark values={numbers.nodeSpark(row.id)} width={110} /> <span>{row.cpu === null ? "–" : percent(row.cpu)}</span></span>
        <span class="tile-row muted">
          <span>{row.ready}/{row.wanted} ready</span>
          <span>{node.away ? <>seen <Age since={node.seen} /></> : row.memory === null ? "" : `memory ${percent(row.memory)}`}</span>
        </span>
        <Gauge share={row.memory === null ? 0 : row.memory / 100} />
      </a>
    </li>
  );
}

/** A bar; its value is told beside it. */
function Gauge({ share }: { share: number }) {
  const width = 100 * Math.min(1, Math.max(0, share));
  return <svg class={`gauge${share > 0.9 ? " full" : ""}`} viewBox="0 0 100 3" preserveAspectRatio="none" aria-hidden="true"><rect class="gauge-all" width="100" height="3" /><rect class="gauge-used" width={width.toFixed(1)} height="3" /></svg>;
}

function Servers({ nodes }: { nodes: Node[] }) {
  const rows = byWeight(fittingServers(serverRows(nodes, numbers), param("q")));
  const { picked, pick, every } = usePicked(rows.map((row) => row.id));
  const targets = rows.filter((row) => picked.has(row.id)).map((row) => ({ node: row.id, service: "all" }));
  return (
    <>
      <PickBar label="Selected servers" every={every} shown={rows.length} targets={targets} verbs={["drain", "undrain", "reload", "restart"]}>{plural(targets.length, "server")} selected</PickBar>
      <ServerTable rows={rows} {...(may("start") ? { selected: picked, onSelect: pick } : {})} />
    </>
  );
}

function Services({ nodes, many }: { nodes: Node[]; many: boolean }) {
  const rows = serviceRows(nodes, numbers);
  const shown = fitting(rows, param("q"));
  const { picked, pick, every } = usePicked(shown.map((row) => row.id));
  const targets = shown.filter((row) => picked.has(row.id)).map((row) => ({ node: row.node, service: row.service.name }));
  return (
    <>
      <PickBar label="Selected services" every={every} shown={shown.length} targets={targets} verbs={["start", "reload", "restart", "stop"]}>
        {plural(targets.length, "service")}{many && ` on ${plural(new Set(targets.map((t) => t.node)).size, "server")}`} selected
      </PickBar>
      <ServiceTable label="Services" rows={rows} showNode={many} {...(may("start") ? { selected: picked, onSelect: pick } : {})} />
    </>
  );
}

function Processes({ nodes, many }: { nodes: Node[]; many: boolean }) {
  const shown = fittingProcesses(processRows(nodes, numbers), param("q"));
  const kept = param("pick");
  const { picked, pick, every } = usePicked(kept ? shown.map((row) => row.id) : []);
  const targets = kept ? shown.filter((row) => picked.has(row.id)).map((row) => ({ node: row.node, service: row.service, process: row.process.number })) : [];
  return (
    <>
      <PickBar label="Selected processes" every={every} shown={shown.length} targets={targets} verbs={["reload", "restart", "stop", "signal"]}>
        {plural(targets.length, "process", "processes")}{many && ` on ${plural(new Set(targets.map((t) => t.node)).size, "server")}`} selected
      </PickBar>
      <ProcessTable label="Processes" rows={shown} showNode={many} showService {...(may("start") ? { selected: picked, onSelect: pick } : {})} />
    </>
  );
}
