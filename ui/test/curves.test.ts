import assert from "node:assert/strict";
import { test } from "node:test";
import { bridged, Curves, highest, summed, everySecond } from "../src/model/curves";

const point = (cpu: number) => new Map([["web/1", { cpu, rss: cpu * 10 }]]);

test("live points follow history without a seam", () => {
  const curves = new Curves(10);
  curves.load("", { time: 100, ids: ["web/1"], cpu: [[1, 2, 3]], rss: [[10, 20, 30]] });
  curves.add(103.7, point(4));
  assert.deepEqual(curves.times, [100, 101, 102, 103]);
  assert.deepEqual(curves.lines.cpu.get("web/1"), [1, 2, 3, 4]);
});

test("history that comes late fills in before the live points", () => {
  const curves = new Curves(10);
  curves.add(103, point(4));
  curves.load("", { time: 100, ids: ["web/1"], cpu: [[1, null, 3, 9]], rss: [[1, null, 3, 9]] });
  assert.deepEqual(curves.lines.cpu.get("web/1"), [1, null, 3, 4]);
});

test("a gap stays a gap", () => {
  const curves = new Curves(10);
  curves.add(100, point(1));
  curves.add(103, point(4));
  assert.deepEqual(curves.lines.cpu.get("web/1"), [1, null, null, 4]);
});

test("the chart never grows beyond its span, and a long sleep empties it", () => {
  const curves = new Curves(5);
  for (let t = 0; t < 50; t++) curves.add(t, point(t));
  assert.deepEqual(curves.times, [45, 46, 47, 48, 49]);
  curves.add(9000, point(7));
  assert.deepEqual(curves.lines.cpu.get("web/1"), [null, null, null, null, 7]);
});

test("a process that is gone leaves", () => {
  const curves = new Curves(3);
  curves.add(1, point(1));
  for (let t = 2; t < 9; t++) curves.add(t, new Map([["web/2", { cpu: 5, rss: 1 }]]));
  assert.deepEqual([...curves.lines.cpu.keys()], ["web/2"]);
});

test("two nodes with different starts share one axis", () => {
  const curves = new Curves(10);
  curves.load("a ", { time: 102, ids: ["web/1"], cpu: [[1, 2]], rss: [[1, 2]] });
  curves.load("b ", { time: 100, ids: ["web/1"], cpu: [[7, 8, 9, 10]], rss: [[7, 8, 9, 10]] });
  assert.deepEqual(curves.lines.cpu.get("a web/1"), [null, null, 1, 2]);
  assert.deepEqual(curves.lines.cpu.get("b web/1"), [7, 8, 9, 10]);
});

test("a late second is no gap, a long one is", () => {
  assert.deepEqual(bridged([null, 1, null, 2, null, null, null, null, 3, null]), [null, 1, 1, 2, null, null, null, null, 3, null]);
});

test("a sum does not dip where one server's numbers are a second late", () => {
  const lines = [[1, 1, 1, 1], [2, null, 2, null]].map((line) => bridged(line));
  assert.deepEqual(summed(lines), [3, 3, 3, 1]);
});

test("requests of a server stand beside its processes, the past before the live points", () => {
  const curves = new Curves(10);
  curves.load("a ", { time: 100, ids: ["web/1"], cpu: [[1, 2]], rss: [[1, 2]], requests: { rate: [40, null], p99: [0.1, null], errors: [0, null] } });
  curves.add(102, new Map([["a web/1", { cpu: 3, rss: 3 }], ["a", { rate: 50, p99: null, errors: 1 }]]));
  assert.deepEqual([curves.lines.rate.get("a"), curves.lines.p99.get("a"), curves.lines.errors.get("a")], [[40, null, 50], [0.1, null, null], [0, null, 1]]);
  assert.deepEqual([...curves.lines.cpu.keys()], ["a web/1"]);
});

test("of times the highest counts, not their sum", () => {
  assert.deepEqual(highest([[0.1, null, 0.3], [0.2, null, null]]), [0.2, null, 0.3]);
});

test("a service without a process has an axis, for what happened on it", () => {
  const curves = new Curves(10);
  curves.load("", { time: 100, ids: [], cpu: [], rss: [] });
  curves.add(104.5, new Map());
  assert.deepEqual(curves.times, [100, 101, 102, 103, 104]);
  curves.add(105, point(1));
  assert.deepEqual(curves.lines.cpu.get("web/1"), [null, null, null, null, null, 1]);
});

test("points of a long test, one for several seconds, make an unbroken line; a second without one stays open", () => {
  const value = (point: { t: number; rate: number }) => point.rate;
  assert.deepEqual(everySecond([{ t: 0, rate: 5 }, { t: 3, rate: 7 }], 5, value), [5, 5, 5, 7, null]);
  assert.deepEqual(everySecond([{ t: 0, rate: 5 }, { t: 1, rate: 6 }, { t: 3, rate: 7 }], 4, value), [5, 6, null, 7]);
});
