/** CPU and memory of processes, and requests of a service, on one axis of seconds: history first, then live points. */

type Line = (number | null)[];

/** Figures of each process, and of each service: a row of statistics and of history has one per name. */
const OF_PROCESSES = ["cpu", "rss"] as const;
const OF_SERVICES = ["rate", "p99", "errors"] as const;
type OfProcesses = (typeof OF_PROCESSES)[number];
type OfServices = (typeof OF_SERVICES)[number];
export type Kind = OfProcesses | OfServices;
export type Point = Partial<Record<Kind, number | null>>;

export type Past = Record<OfProcesses, Line[]> & { time: number; ids: string[]; requests?: Record<OfServices, Line> };

export class Curves {
  times: number[] = [];
  readonly lines = Object.fromEntries([...OF_PROCESSES, ...OF_SERVICES].map((kind) => [kind, new Map()])) as Record<Kind, Map<string, Line>>;
  #all = Object.values(this.lines);

  constructor(readonly span: number) {}

  /** History may come after the first live points: it fills in before and between them. */
  load(prefix: string, past: Past): void {
    if (!past.time) return;
    // Without a process the axis still begins where the past does: things happened there.
    this.#reach(past.time, past.time + Math.max(1, past.cpu[0]?.length ?? 0) - 1);
    const shift = past.time - (this.times[0] ?? past.time);
    past.ids.forEach((id, row) => {
      for (const kind of OF_PROCESSES) fill(this.#line(kind, prefix + id), past[kind][row] ?? [], shift);
    });
    for (const [kind, values] of Object.entries(past.requests ?? {})) fill(this.#line(kind as Kind, prefix.trim()), values, shift);
    this.#trim();
  }

  add(time: number, points: ReadonlyMap<string, Point>): void {
    const second = Math.floor(time);
    if (this.times.length && second <= (this.times[this.times.length - 1] ?? 0)) return;
    this.#reach(second, second);
    const at = this.times.length - 1;
    for (const [id, point] of points) {
      for (const [kind, value] of Object.entries(point)) this.#line(kind as Kind, id)[at] = value;
    }
    this.#trim();
  }

  /** Make the axis long enough for these seconds. */
  #reach(first: number, last: number): void {
    const from = Math.min(first, this.times[0] ?? first);
    const to = Math.max(last, this.times[this.times.length - 1] ?? last);
    const before = (this.times[0] ?? from) - from;
    // A gap longer than the chart (a laptop that slept) makes all before it worthless.
    const start = Math.max(from, to - this.span + 1);
    const length = to - start + 1;
    for (const lines of this.#all) {
      for (const [id, line] of lines) lines.set(id, Array.from({ length }, (_, i) => line[i + (start - from) - before] ?? null));
    }
    this.times = Array.from({ length }, (_, i) => start + i);
  }

  #line(kind: Kind, id: string): Line {
    let line = this.lines[kind].get(id);
    if (!line) this.lines[kind].set(id, (line = Array<number | null>(this.times.length).fill(null)));
    return line;
  }

  /** Processes that left the chart leave its legend. */
  #trim(): void {
    for (const lines of this.#all) {
      for (const [id, line] of lines) if (line.every((value) => value === null)) lines.delete(id);
    }
  }
}

function fill(line: Line, values: Line, shift: number): void {
  values.forEach((value, i) => {
    if (value !== null && i + shift >= 0 && i + shift < line.length && line[i + shift] == null) line[i + shift] = value;
  });
}

/** A second or two without numbers is late news, not a gap: the value before goes on. Longer ones stay open. */
export function bridged(line: readonly (number | null)[], most = 3): (number | null)[] {
  const found = [...line];
  let last = -1;
  found.forEach((value, i) => {
    if (value === null) return;
    if (last >= 0 && i - last <= most + 1) found.fill(found[last] as number, last + 1, i);
    last = i;
  });
  return found;
}

/** Points at some seconds as a line of `length` seconds: of a long test there is one for several, which go on until the next. */
export function everySecond<P extends { t: number }>(points: readonly P[], length: number, value: (point: P) => number | null | undefined): (number | null)[] {
  const line = Array<number | null>(length).fill(null);
  for (const point of points) line[point.t] = value(point) ?? null;
  return bridged(line, Math.max(0, (points[1]?.t ?? 1) - (points[0]?.t ?? 0) - 1));
}

/** All lines as one. Where a line has ended or not begun, the others count alone. */
export const summed = (lines: readonly (readonly (number | null)[])[]): Line => together(lines, (known) => known.reduce((a, b) => a + b, 0));

/** Of all lines the highest value: what can't be added up, as times. */
export const highest = (lines: readonly (readonly (number | null)[])[]): Line => together(lines, (known) => Math.max(...known));

function together(lines: readonly (readonly (number | null)[])[], fold: (known: number[]) => number): Line {
  return Array.from({ length: lines[0]?.length ?? 0 }, (_, i) => {
    const known = lines.map((line) => line[i]).filter((value): value is number => value != null);
    return known.length ? fold(known) : null;
  });
}
