import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, withOlder, withRows } from "../src/model/ring";
import type { LogRow } from "../src/model/types";

const row = (time: number, node: string, text: string): LogRow => [time, node, "web", 1, "stdout", text];
const texts = (ring: typeof EMPTY) => ring.lines.map((line) => line.row[5]);

test("lines of several servers stand in the order of time", () => {
  let ring = withRows(EMPTY, [row(1, "a", "a1"), row(3, "a", "a3")], 0, 100);
  ring = withRows(ring, [row(2, "b", "b2"), row(3, "b", "b3")], 0, 100);
  assert.deepEqual(texts(ring), ["a1", "b2", "a3", "b3"]);
  assert.equal(ring.count, 4);
});

test("the oldest leave, all are counted", () => {
  const ring = withRows(EMPTY, [row(1, "a", "x"), row(2, "a", "y"), row(3, "a", "z")], 0, 2);
  assert.deepEqual([texts(ring), ring.count], [["y", "z"], 3]);
});

test("a gap is a line where it was", () => {
  const ring = withRows(withRows(EMPTY, [row(5, "a", "before")], 0, 9), [row(6, "a", "after")], 7, 9);
  assert.deepEqual(texts(ring), ["before", "7 lines skipped here: this page was too slow", "after"]);
});

test("a page of older lines stands before, in its order, without what is there already", () => {
  const now = withRows(EMPTY, [row(5, "a", "c"), row(6, "a", "d")], 0, 9);
  const before = withOlder(withOlder(now, [row(5, "a", "b"), row(5, "a", "c")]), [row(1, "a", "x"), row(5, "a", "a")]);
  assert.deepEqual(texts(before), ["x", "a", "b", "c", "d"]);
  assert.equal(before.count, 2);
  assert.equal(new Set(before.lines.map((line) => line.id)).size, 5);
});
