import assert from "node:assert/strict";
import { test } from "node:test";
import { commandLines, named } from "../src/model/lines";

const on = (node: string, service: string) => ({ node, service });

test("a line says what the button does", () => {
  const line = (verb: Parameters<typeof commandLines>[0], options = {}) => commandLines(verb, [on("a", "web")], options)[0]?.line;
  assert.equal(line("restart"), "chapiteau restart web");
  assert.equal(line("scale", { by: 1 }), "chapiteau scale web=+1");
  assert.equal(line("scale", { by: -1 }), "chapiteau scale web --by -1");
  assert.equal(line("scale", { processes: 0 }), "chapiteau scale web=0");
  assert.equal(line("signal", { signal: "HUP", process: 2 }), "chapiteau signal HUP web --process 2");
});

test("each server gets the line with its own services", () => {
  const found = commandLines("reload", [on("b", "web"), on("a", "web"), on("a", "worker"), on("b", "worker"), on("a", "cron")], {});
  assert.deepEqual(found, [
    { nodes: ["a", "b"], line: "chapiteau reload web worker" },
    { nodes: ["a"], line: "chapiteau reload cron" },
  ]);
});

test("a strange name is quoted", () => {
  assert.equal(commandLines("stop", [on("a", "x; rm -rf /")], {})[0]?.line, "chapiteau stop 'x; rm -rf /'");
});

test("few servers are named, many are counted", () => {
  assert.equal(named(["a"]), "a");
  assert.equal(named(["a", "b", "c"]), "a, b and c");
  assert.equal(named(Array.from({ length: 9 }, (_, i) => `n${i}`)), "9 servers");
});

test("a process and a server have lines of their own", () => {
  const one = (node: string, process: number) => ({ node, service: "web", process });
  assert.deepEqual(commandLines("restart", [one("a", 1), one("b", 1), one("a", 2)], {}), [
    { nodes: ["a", "b"], line: "chapiteau restart web --process 1" },
    { nodes: ["a"], line: "chapiteau restart web --process 2" },
  ]);
  assert.deepEqual(commandLines("drain", [on("a", "all"), on("b", "all")], {}), [{ nodes: ["a", "b"], line: "chapiteau drain" }]);
});
