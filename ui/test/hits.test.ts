import assert from "node:assert/strict";
import { test } from "node:test";
import { compiled, hitsOf, marked, nextHit, placeOf, withNotes } from "../src/log/hits";
import { EMPTY, withRows } from "../src/model/ring";

const said = (...texts: string[]) => withRows(EMPTY, texts.map((text, i) => [100 + i, "srv", "web", 1, "stdout", text, 0]), 0, 100).lines;

test("the way goes from hit to hit, and round the ends", () => {
  const hits = hitsOf(said("Error 1", "fine", "error 2", "ERROR 3"), compiled("error") as RegExp);
  const ids = hits.map((line) => line.id);
  assert.equal(ids.length, 3);
  assert.equal(nextHit(hits, 0, -1), ids[2]); // from the bottom, where reading begins
  assert.equal(nextHit(hits, 0, 1), ids[0]);
  assert.equal(nextHit(hits, ids[1] as number, 1), ids[2]);
  assert.equal(nextHit(hits, ids[2] as number, 1), ids[0]);
  assert.equal(nextHit(hits, ids[0] as number, -1), ids[2]);
  assert.equal(nextHit([], 7, 1), 0);
});

test("what is no expression finds nothing and breaks nothing", () => {
  assert.equal(compiled("("), null);
  assert.deepEqual(marked("a (b", null), ["a (b"]);
});

test("every second part is a hit; hits of no width are none", () => {
  assert.deepEqual(marked("one Two one", compiled("one")), ["", "one", " Two ", "one", ""]);
  assert.deepEqual(marked("abc", compiled("x*")), ["abc"]);
  assert.equal(marked("a.b.c", compiled("\\.")).join(""), "a.b.c");
});

test("a moment is the line that was meant, the first of its time, or the last of all", () => {
  const lines = said("a", "b", "c");
  assert.equal(placeOf(lines, 101), 1);
  assert.equal(placeOf(lines, 100.5), 1);
  assert.equal(placeOf(lines, 101, /c/), 1); // the expression fits another moment's line
  assert.equal(placeOf(lines, 999), 2);
  assert.equal(placeOf([], 999), -1);
});

test("what tells of missing lines stays in sight, and is no hit", () => {
  const lines = withRows(EMPTY, [[100, "srv", "web", 1, "stdout", "an error", 0], [101, "", "", 0, "stdout", "fine", 0]], 7, 100).lines;
  assert.deepEqual(withNotes(lines, /skipped|error/).map((line) => line.row[4]), ["note", "stdout"]);
  assert.deepEqual(hitsOf(lines, /skipped|error/).map((line) => line.plain), ["an error"]);
});
