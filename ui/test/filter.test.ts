import assert from "node:assert/strict";
import { test } from "node:test";
import { compile } from "../src/model/filter";

const rows = [
  { name: "web", state: "running", cpu: 90 },
  { name: "mailer", state: "failed", cpu: 0 },
];
type Row = (typeof rows)[number];
const find = (query: string) => rows.filter(compile<Row>(query, (row, field) => row[field as keyof Row], (row) => row.name)).map((row) => row.name);

test("words, fields and comparisons all have to hold", () => {
  assert.deepEqual(find(""), ["web", "mailer"]);
  assert.deepEqual(find("MAIL"), ["mailer"]);
  assert.deepEqual(find("state:failed"), ["mailer"]);
  assert.deepEqual(find("cpu>80"), ["web"]);
  assert.deepEqual(find("cpu<80 state:running"), []);
});

test("a half-typed filter hides nothing by an error", () => {
  for (const query of ["cpu>", "state:", ":", '"', "((("]) assert.ok(Array.isArray(find(query)));
});

test("an unknown field matches nothing", () => {
  assert.deepEqual(find("colour:red"), []);
});
