import assert from "node:assert/strict";
import { test } from "node:test";
import { grouped, labelNames, layout } from "../src/model/groups";

test("groups stand in the order of their names, the nameless last", () => {
  const found = grouped(["b1", "a10", "", "a2", "b2"], (row) => row.slice(0, 1));
  assert.deepEqual(found.map((g) => [g.name, g.rows.length]), [["a", 2], ["b", 2], ["", 1]]);
  assert.deepEqual(grouped(["v10", "v9"], (row) => row).map((g) => g.name), ["v9", "v10"]);
});

test("a shut group is its head alone", () => {
  const by = (row: number) => (row < 3 ? "small" : "large");
  const told = (shut: string[]) => {
    const { count, item, find } = layout(grouped([1, 2, 3], by), new Set(shut));
    const found = Array.from({ length: count }, (_, i) => item(i)).map((one) => ("head" in one ? one.head.name : one.row));
    return [found, find((one) => "row" in one && one.row === 2)];
  };
  assert.deepEqual(told(["small"]), [["large", 3, "small"], -1]);
  assert.deepEqual(told([]), [["large", 3, "small", 1, 2], 4]);
  assert.deepEqual(told(["large"]), [["large", "small", 1, 2], 3]);
  assert.equal(layout([], new Set()).count, 0);
});

test("labels are offered once", () => {
  assert.deepEqual(labelNames([{ site: "x", role: "web" }, undefined, { role: "db" }]), ["role", "site"]);
});
