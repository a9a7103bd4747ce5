import assert from "node:assert/strict";
import { test } from "node:test";
import { curl, filledPath, loadLine, operations, outline, resolve, sample, typeOf, type Doc } from "../src/model/openapi";

const doc: Doc = {
  paths: {
    "/cities/{id}": {
      parameters: [{ name: "id", in: "path", required: true, schema: { type: "integer" }, example: 7 }],
      get: { summary: "One city", parameters: [{ $ref: "#/components/parameters/Lang" }], responses: { "200": { description: "ok" } } },
      put: { requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Note" } } } }, responses: {} },
    },
  },
  components: {
    parameters: { Lang: { name: "lang", in: "query", schema: { type: "string", enum: ["en", "fr"] } } },
    schemas: {
      Note: { type: "object", title: "Note", required: ["text"], properties: { text: { type: "string", examples: ["it's fine"] }, next: { $ref: "#/components/schemas/Note" } } },
    },
  },
};
const [read, write] = operations(doc);
assert.ok(read && write);

test("operations know the parameters of their path and of references", () => {
  assert.deepEqual([read.method, read.path, read.summary], ["GET", "/cities/{id}", "One city"]);
  assert.deepEqual(read.parameters.map((p) => [p.where, p.name, p.required]), [["path", "id", true], ["query", "lang", false]]);
});

test("a circular schema ends", () => {
  assert.ok(JSON.stringify(sample(doc, { $ref: "#/components/schemas/Note" })).length < 2000);
  assert.ok(outline(doc, { $ref: "#/components/schemas/Note" }).length < 20);
  assert.deepEqual(resolve({ a: { $ref: "#/a" } }, { $ref: "#/a" }), { $ref: "#/a" });
});

test("curl is quoted for a shell", () => {
  const filled = { values: { "path id": "a b/c", "query lang": "fr" }, body: '{"text": "it\'s"}' };
  assert.equal(filledPath(read, filled), "/cities/a%20b%2Fc?lang=fr");
  assert.equal(curl("http://h", read, filled), "curl -i 'http://h/cities/a%20b%2Fc?lang=fr'");
  assert.equal(curl("http://h", write, filled), `curl -i -X PUT -H 'Content-Type: application/json' --data '{"text":"it'\\''s"}' http://h/cities/a%20b%2Fc`);
});

test("load-testing a read takes its URL, anything else the document", () => {
  const filled = { values: { "path id": "7" }, body: "" };
  assert.match(loadLine("http://h/openapi.json", "http://h", read, filled), /load run http:\/\/h\/cities\/7 /);
  assert.match(loadLine("http://h/openapi.json", "http://h", write, filled), /--openapi http:\/\/h\/openapi\.json/);
});

test("types are words", () => {
  assert.equal(typeOf(doc, { type: "array", items: { $ref: "#/components/schemas/Note" } }), "Note[]");
  assert.equal(typeOf(doc, { type: ["string", "null"], format: "date" }), "string | null (date)");
  assert.equal(typeOf(doc, { anyOf: [{ type: "integer" }, { type: "null" }] }), "integer | null");
});

test("a strange document gives no operations instead of an error", () => {
  for (const strange of [{}, { paths: null }, { paths: { "/x": null } }, { paths: { "/x": { get: { parameters: [null, 3] } } } }]) {
    assert.ok(Array.isArray(operations(strange as Doc)));
  }
});

test("load on another machine is allowed by name", () => {
  const filled = { values: { "path id": "7" }, body: "" };
  assert.ok(!loadLine("http://127.0.0.1:8/o.json", "http://127.0.0.1:8", read, filled).includes("--allow"));
  assert.ok(loadLine("http://10.0.0.2:8/o.json", "http://10.0.0.2:8", read, filled).endsWith("--allow 10.0.0.2"));
  assert.ok(loadLine("http://10.0.0.2:8/o.json", "http://10.0.0.2:8", write, filled).endsWith("--allow 10.0.0.2"));
});
