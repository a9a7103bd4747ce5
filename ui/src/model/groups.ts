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

export function items<T>(groups: readonly Group<T>[], shut: ReadonlySet<string>): Item<T>[] {
  return groups.flatMap((group): Item<T>[] => [{ head: group }, ...(shut.has(group.name) ? [] : group.rows.map((row) => ({ row })))]);
}

/** Every label that something has, once, by name. */
export function labelNames(all: readonly (Record<string, string> | undefined)[]): string[] {
  return [...new Set(all.flatMap((labels) => Object.keys(labels ?? {})))].sort();
}
