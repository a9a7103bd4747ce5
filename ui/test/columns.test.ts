import assert from "node:assert/strict";
import { test } from "node:test";
import { Numbers, type StatsNode } from "../src/model/columns";

const message = (v: number, cpu: number[]): StatsNode => ({ node: "a", v, time: 1, pid: cpu.map(() => 1), cpu, rss: cpu.map(() => 100) });

test("numbers are found by node and process", () => {
  const numbers = new Numbers();
  numbers.names({ node: "a", v: 1, ids: ["web/1", "web/2", "my/api/1"] });
  assert.equal(numbers.columns(message(1, [10, 20, 5])), true);
  assert.equal(numbers.process("a", "web/2")?.cpu, 20);
  assert.deepEqual(numbers.service("a", "web"), { cpu: 30, rss: 200 });
  assert.equal(numbers.service("a", "my/api").cpu, 5);
  assert.equal(numbers.process("b", "web/2"), null);
});

test("columns of names not known yet are refused, never shown on wrong rows", () => {
  const numbers = new Numbers();
  numbers.names({ node: "a", v: 2, ids: ["web/1"] });
  assert.equal(numbers.columns(message(1, [10])), false);
  assert.equal(numbers.columns(message(2, [10, 20])), false);
  assert.equal(numbers.process("a", "web/1"), null);
});

test("the spark keeps a minute", () => {
  const numbers = new Numbers();
  numbers.names({ node: "a", v: 1, ids: ["web/1"] });
  for (let i = 0; i < 100; i++) numbers.columns(message(1, [i]));
  const spark = numbers.serviceSpark("a", "web");
  assert.equal(spark.length, 60);
  assert.equal(spark[59], 99);
});

test("names that are told again leave the numbers where they are", () => {
  const numbers = new Numbers();
  const ids = ["web/1", "web/2"];
  numbers.names({ node: "a", v: 1, ids });
  numbers.columns(message(1, [10, 20]));
  numbers.names({ node: "a", v: 1, ids: [...ids] });
  assert.equal(numbers.service("a", "web").cpu, 30);
  numbers.names({ node: "a", v: 1, ids: ["web/1", "api/1"] }); // another hub's count
  assert.equal(numbers.service("a", "web").cpu, 0);
});

test("a process keeps a minute, over names that change and with the hub's past before it", () => {
  const numbers = new Numbers();
  numbers.names({ node: "a", v: 1, ids: ["web/1", "web/2"] });
  numbers.fillProcesses("a", { time: -1, ids: ["web/2"], cpu: [[7, null, 99]], rss: [[1, 1, 1]] });
  numbers.columns(message(1, [10, 20]));
  numbers.names({ node: "a", v: 2, ids: ["api/1", "web/2"] });
  numbers.columns(message(2, [5, 30]));
  assert.deepEqual(numbers.processSpark("a", "web/2", "cpu"), [7, 20, 30]); // not the second that both know
  assert.deepEqual(numbers.processSpark("a", "api/1", "cpu"), [5]);
  assert.deepEqual(numbers.processSpark("a", "web/2", "rss"), [1, 1, 100, 100]);
  for (let i = 0; i < 100; i++) numbers.columns(message(2, [1, i]));
  assert.equal(numbers.processSpark("a", "web/2", "cpu").length, 60);
});

test("a server begins with the minute that came with its first message", () => {
  const numbers = new Numbers();
  numbers.names({ node: "a", v: 1, ids: ["web/1"] });
  numbers.columns({ ...message(1, [10]), past: [1, 2, 3], host: { cpu: 3, mem_used: 1, mem_total: 2, load1: 0 } });
  assert.deepEqual(numbers.nodeSpark("a"), [1, 2, 3]);
  numbers.columns({ ...message(1, [10]), host: { cpu: 4, mem_used: 1, mem_total: 2, load1: 0 } });
  assert.deepEqual(numbers.nodeSpark("a"), [1, 2, 3, 4]);
});

test("a service's line begins with the hub's past, and only until its live seconds", () => {
  const numbers = new Numbers();
  numbers.fill("a", "web", 0, { time: 97, cpu: [1, null, 3, 9], rss: [] }); // it knows second 100, too
  assert.deepEqual(numbers.serviceSpark("a", "web"), [1, 3, 9]);
  numbers.names({ node: "a", v: 1, ids: ["web/1"] });
  numbers.columns({ ...message(1, [10]), time: 100.2 });
  assert.deepEqual(numbers.serviceSpark("a", "web"), [1, 3, 10]);
  numbers.names({ node: "a", v: 2, ids: ["web/1", "late/1"] });
  numbers.columns({ ...message(2, [11, 5]), time: 101.2 });
  assert.deepEqual(numbers.serviceSpark("a", "late"), [5]);
  for (let i = 0; i < 60; i++) numbers.columns({ ...message(2, [i, i]), time: 102.2 + i });
  assert.equal(numbers.serviceSpark("a", "web").length, 60);
});
