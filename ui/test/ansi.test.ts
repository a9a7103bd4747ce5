import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces, plain } from "../src/model/ansi";

const ESC = "\u001b";

test("colours become class names, and end", () => {
  assert.deepEqual(pieces(`a ${ESC}[1;31mred${ESC}[0m b`), [
    { text: "a ", style: "" },
    { text: "red", style: "bold c-red" },
    { text: " b", style: "" },
  ]);
});

test("256 and true colours are skipped whole", () => {
  assert.deepEqual(pieces(`${ESC}[38;5;196mx${ESC}[38;2;1;2;31my`), [
    { text: "x", style: "" },
    { text: "y", style: "" },
  ]);
});

test("anything else that steers a terminal is shown, not obeyed", () => {
  assert.equal(plain(`${ESC}]0;title\u0007${ESC}[2J${ESC}c!`), "␛␛␛!");
  assert.equal(plain("a\rb\u202ec\u0000"), "a\\u000db\\u202ec\\u0000");
});

test("markup stays text", () => {
  assert.deepEqual(pieces("<b>&amp;"), [{ text: "<b>&amp;", style: "" }]);
});

test("a line without end is cut and says so", () => {
  const shown = plain(pieces("x".repeat(1_000_000)).map((p) => p.text).join(""));
  assert.ok(shown.length < 17_000);
  assert.ok(shown.endsWith("…cut"));
});

test("an unfinished escape does no harm", () => {
  for (const tail of ["", "[", "[31", "]0;x", "]"]) assert.ok(pieces(`ok${ESC}${tail}`)[0]?.text === "ok");
});
