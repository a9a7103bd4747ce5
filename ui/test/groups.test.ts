import assert from "node:assert/strict";
import { test } from "node:test";
import { grouped, items, labelNames } from "../src/model/groups";

test("groups stand in the order of their names, the nameless last", () => {
  const found = grouped(["b1", "a10", "", "a2", "b2"], (row) => row.slice(0, 1));
  assert.deepEqual(found.map((g) => [g.name, g.rows.length]), [["a", 2], ["b", 2], ["", 1]]);
  assert.deepEqual(grouped(["v10", "v9"], (row) => row).map((g) => g.name), ["v9", "v10"]);
});

test("a shut group is its head alone", () => {
  const found = items(grouped([1, 2, 3], (row) => (row < 3 ? "small" : "large")), new Set(["small"]));
  assert.deepEqual(found.map((item) => ("head" in item ? item.head.name : item.row)), ["large", 3, "small"]);
});

test("labels are offered once", () => {
  assert.deepEqual(labelNames([{ site: "x", role: "web" }, undefined, { role: "db" }]), ["role", "site"]);
});
