/** Numbers as people read them. */

const STEPS: readonly [number, string][] = [
  [86400, "d"],
  [3600, "h"],
  [60, "m"],
  [1, "s"],
];

/** 93784 → "1d 2h"; 0.25 → "0 s". */
export function duration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [size, unit] of STEPS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0s";
}

/** 52428800 → "50 MB" (binary steps, as every process viewer does). */
export function bytes(count: number): string {
  let value = count;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (Math.abs(value) < 1024) return `${round(value)} ${unit}`;
    value /= 1024;
  }
  return `${round(value)} TB`;
}

/** 12.34 → "12.3 %". */
export function percent(value: number): string {
  return `${value >= 100 ? Math.round(value) : value.toFixed(1)} %`;
}

/** Seconds since 1970 → "10:41:07" in the reader's own time zone. */
export function clock(time: number): string {
  return time ? new Date(time * 1000).toLocaleTimeString("en-GB") : "";
}

/** "10:41:07.120": for log lines. */
export function clockFine(time: number): string {
  if (!time) return "";
  const at = new Date(time * 1000);
  return `${at.toLocaleTimeString("en-GB")}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** "2026-11-24 10:41:07". */
export function moment(time: number): string {
  return time ? new Date(time * 1000).toLocaleString("sv-SE") : "";
}

/** 1234567 → "1,234,567". */
export function grouped(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** 0.0123 seconds → "12.3 ms". */
export function latency(seconds: number): string {
  if (seconds < 0.001) return `${round(seconds * 1e6)} µs`;
  return seconds < 1 ? `${round(seconds * 1e3)} ms` : `${round(seconds)} s`;
}

/** 0.25 → "0.25", 41.5 → "41.5", 1234 → "1,234". */
export function amount(value: number): string {
  return value >= 100 ? grouped(value) : String(Math.round(value * 100) / 100);
}

function round(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Math.round(value * 10) / 10);
}

// Linux on every machine that runs these services; others are shown by number.
const SIGNALS: Record<number, string> = { 1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 24: "XCPU", 25: "XFSZ", 31: "SYS" };

/** 9 → "SIGKILL"; a name stays as it is. */
export function signalName(signal: number | string): string {
  const name = SIGNALS[Number(signal)];
  return name ? `SIG${name}` : /^\d+$/.test(String(signal)) ? `signal ${signal}` : String(signal);
}

/** "3 processes", "1 process". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
