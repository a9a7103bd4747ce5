import assert from "node:assert/strict";
import { test } from "node:test";
import { Numbers } from "../src/model/columns";
import { exitWords, processRows, serverState, worst } from "../src/model/rows";
import type { Node, Process } from "../src/model/types";

const process = (part: Partial<Process>): Process => ({ number: 1, pid: 7, state: "running", reason: "", ready: true, started_at: 0, restarts: 0, cpu_percent: 3, rss_bytes: 5, status_text: "", last_exit: {}, generation: 1, threads: 1, fds: 3, read_bytes: 0, written_bytes: 0, health: {}, extra: {}, ...part });

test("rows take what was measured, else what the status says", () => {
  const node = { name: "a", seen: 0, away: 0, why: "", problems: [], status: { services: [{ name: "web", processes: [process({}), process({ number: 2, pid: 8 })] }] } } as unknown as Node;
  const numbers = new Numbers();
  numbers.names({ node: "a", v: 1, ids: ["web/1"] });
  numbers.columns({ node: "a", v: 1, time: 1, pid: [7], cpu: [50], rss: [9] });
  assert.deepEqual(processRows([node], numbers).map((row) => row.cpu), [50, 3]);
});

test("the worst state stands for many", () => {
  assert.equal(worst(["running", "failed", "completed"]), "failed");
  assert.equal(worst(["running", "completed"]), "running");
  assert.equal(worst([]), "stopped");
});

test("an exit is told in words, and never invented", () => {
  assert.equal(exitWords(process({ last_exit: { code: 3 } })), "exit 3");
  assert.equal(exitWords(process({ last_exit: { signal: 9 } })), "killed by SIGKILL");
  assert.equal(exitWords(process({ last_exit: { signal: 47 } })), "killed by signal 47");
  assert.equal(exitWords(process({ last_exit: { signal: "SIGKILL", oom: true } })), "out of memory");
  assert.equal(exitWords(process({ last_exit: {} })), "");
});

test("a service that was stopped on purpose is not what its server does", () => {
  const server = (...states: string[]) => ({ name: "a", seen: 0, away: 0, why: "", problems: [], status: { services: states.map((state) => ({ state })) } }) as unknown as Node;
  assert.equal(serverState(server("running", "stopped")), "running");
  assert.equal(serverState(server("stopped", "restarting", "running")), "restarting");
  assert.equal(serverState(server("stopped", "stopped")), "stopped");
});
