/** The lines that a log shows: the newest ones of all processes and servers, in the order of time. */

import { plain } from "./ansi";
import type { LogRow } from "./types";

export interface Line {
  id: number; // in the order in which they came
  time: number;
  row: LogRow;
  plain: string;
}

export interface Ring {
  lines: readonly Line[];
  count: number; // how many ever came
}

export const EMPTY: Ring = { lines: [], count: 0 };

/** With a page from before it; lines that are there already are left out. */
export function withOlder({ lines, count }: Ring, rows: readonly LogRow[]): Ring {
  const known = new Set(lines.map(({ row }) => row.join("\n")));
  const fresh = rows.filter((row) => !known.has(row.join("\n")));
  const first = lines.reduce((least, line) => Math.min(least, line.id), 0) - fresh.length;
  const before = fresh.map((row, i): Line => ({ id: first + i, time: row[0], row, plain: plain(row[5]) }));
  return { lines: [...before, ...lines].sort((a, b) => a.time - b.time || a.id - b.id), count };
}

/** With these rows too; `gap` lines were skipped before them. Servers send in turns: what is older goes where it belongs. */
export function withRows({ lines, count }: Ring, rows: readonly LogRow[], gap: number, most: number): Ring {
  const all = gap ? [[0, "", "", 0, "note", `${gap} lines skipped here: this page was too slow`] as LogRow, ...rows] : rows;
  let id = count;
  let time = lines[lines.length - 1]?.time ?? 0; // what has no time of its own stays where it came
  const fresh = all.map((row): Line => ({ id: ++id, time: (time = row[0] || time), row, plain: plain(row[5]) }));
  const next = [...lines, ...fresh];
  if (next.some((line, i) => line.time < (next[i - 1]?.time ?? 0))) next.sort((a, b) => a.time - b.time || a.id - b.id);
  return { lines: next.slice(-most), count: id };
}
