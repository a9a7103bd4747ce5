/** Rows put together by what they have in common. */

export interface Group<T> {
  name: string; // "" for rows that have nothing there
  rows: T[];
}

/** In the order of their names, numbers by their size; rows without one come last. */
export function grouped<T>(rows: readonly T[], by: (row: T) => string): Group<T>[] {
  const found = new Map<string, T[]>();
  for (const row of rows) {
    const name = by(row);
    const group = found.get(name);
    if (group) group.push(row);
    else found.set(name, [row]);
  }
  return [...found]
    .map(([name, members]) => ({ name, rows: members }))
    .sort((a, b) => (a.name && b.name ? a.name.localeCompare(b.name, "en", { numeric: true }) : a.name ? -1 : 1));
}

/** What stands in a table: a group's head, then its rows unless it is shut. */
export type Item<T> = { head: Group<T> } | { row: T };

export interface Layout<T> {
  count: number;
  item: (i: number) => Item<T>;
  find: (fits: (item: Item<T>) => boolean) => number; // -1: none
}

/** Nothing is made for rows out of sight: ten thousand are laid out anew each second. */
export function layout<T>(groups: readonly Group<T>[], shut: ReadonlySet<string>): Layout<T> {
  let count = 0;
  const begins = groups.map((group) => {
    const begin = count;
    count += 1 + (shut.has(group.name) ? 0 : group.rows.length);
    return begin;
  });
  const item = (i: number): Item<T> => {
    let at = begins.length - 1;
    while (at > 0 && (begins[at] as number) > i) at--;
    const group = groups[at] as Group<T>;
    const inside = i - (begins[at] as number) - 1;
    return inside < 0 ? { head: group } : { row: group.rows[inside] as T };
  };
  const find = (fits: (one: Item<T>) => boolean): number => {
    for (let at = 0; at < groups.length; at++) {
      const group = groups[at] as Group<T>;
      const begin = begins[at] as number;
      if (fits({ head: group })) return begin;
      const inside = shut.has(group.name) ? -1 : group.rows.findIndex((row) => fits({ row }));
      if (inside >= 0) return begin + 1 + inside;
    }
    return -1;
  };
  return { count, item, find };
}

/** Every label that something has, once, by name. */
export function labelNames(all: readonly (Record<string, string> | undefined)[]): string[] {
  return [...new Set(all.flatMap((labels) => Object.keys(labels ?? {})))].sort();
}
