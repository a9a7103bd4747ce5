/** What a search finds among the lines that are there, and the way from one hit to the next. */

import type { Line } from "../model/ring";

/** null: not a regular expression. */
export function compiled(source: string): RegExp | null {
  try {
    return new RegExp(source, "i");
  } catch {
    return null;
  }
}

const isNote = (line: Line) => line.row[4] === "note";

export const hitsOf = (lines: readonly Line[], regex: RegExp): Line[] => lines.filter((line) => !isNote(line) && regex.test(line.plain));

/** The hits, and what tells of lines that are not there. */
export const withNotes = (lines: readonly Line[], regex: RegExp): Line[] => lines.filter((line) => isNote(line) || regex.test(line.plain));

/** The number of the line to go to, from line `at` (0: none yet) on or back, round the ends; 0 without a hit. */
export function nextHit(hits: readonly Line[], at: number, way: 1 | -1): number {
  if (!hits.length) return 0;
  const place = hits.findIndex((line) => line.id === at);
  const next = place < 0 ? (way > 0 ? 0 : hits.length - 1) : (place + way + hits.length) % hits.length;
  return hits[next]?.id ?? 0;
}

/** Where a moment is: the line that was meant, else the first of its time (many may share it), else the last one. */
export function placeOf(lines: readonly Line[], time: number, regex?: RegExp | null): number {
  const exact = regex ? lines.findIndex((line) => Math.abs(line.time - time) < 0.001 && regex.test(line.plain)) : -1;
  const first = exact >= 0 ? exact : lines.findIndex((line) => line.time >= time);
  return first >= 0 ? first : lines.length - 1;
}

/** A text in parts, every second one of them a hit. */
export function marked(text: string, regex: RegExp | null): string[] {
  if (!regex) return [text];
  const parts: string[] = [];
  let from = 0;
  for (const match of text.matchAll(new RegExp(regex.source, `${regex.flags}g`))) {
    if (!match[0]) continue;
    parts.push(text.slice(from, match.index), match[0]);
    from = match.index + match[0].length;
  }
  return [...parts, text.slice(from)];
}
