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
