import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, duration, grouped, latency, percent, plural } from "../src/model/format";

test("durations have two units at most", () => {
  assert.equal(duration(0), "0s");
  assert.equal(duration(59.9), "59s");
  assert.equal(duration(61), "1m 1s");
  assert.equal(duration(93784), "1d 2h");
  assert.equal(duration(-5), "0s");
});

test("sizes have three digits", () => {
  assert.equal(bytes(0), "0 B");
  assert.equal(bytes(1536), "1.5 kB");
  assert.equal(bytes(52_428_800), "50 MB");
  assert.equal(bytes(5 * 1024 ** 4), "5 TB");
});

test("numbers read as people write them", () => {
  assert.equal(percent(12.34), "12.3 %");
  assert.equal(percent(250.4), "250 %");
  assert.equal(grouped(1234567), "1,234,567");
  assert.equal(latency(0.0123), "12.3 ms");
  assert.equal(latency(0.00005), "50 µs");
  assert.equal(latency(2.5), "2.5 s");
  assert.equal(plural(1, "process", "processes"), "1 process");
  assert.equal(plural(2, "process", "processes"), "2 processes");
});
