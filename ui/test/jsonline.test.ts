import assert from "node:assert/strict";
import { test } from "node:test";
import { folded } from "../src/model/jsonline";

test("a line of JSON shows its message first", () => {
  assert.deepEqual(folded('{"time": 1, "level": "INFO", "msg": "paid", "amount": 7, "who": {"name": "ana"}}'), {
    level: "info",
    message: "paid",
    fields: [["amount", "7"], ["who", '{"name":"ana"}']],
  });
  assert.equal(folded('{"severity": 40, "event": "lost"}')?.level, "error");
});

test("everything else stays as it is", () => {
  for (const line of ["", "plain", "{not json}", '["a"]', '{"amount": 7}', '{"msg": 7}', "{}"]) assert.equal(folded(line), null);
});
