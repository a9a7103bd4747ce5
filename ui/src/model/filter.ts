/** `state:failed cpu>80 web` — words, field:value, field>number, field<number; all must hold. */

export type Field = string | number;
export type Test<T> = (row: T) => boolean;

const TERM = /(?:([a-z]+)(:|>|<))?("[^"]*"|\S+)/gi;

export function compile<T>(query: string, field: (row: T, name: string) => Field | undefined, text: (row: T) => string): Test<T> {
  const tests: Test<T>[] = [];
  for (const [, name, sign, raw] of query.matchAll(TERM)) {
    const value = (raw ?? "").replace(/^"|"$/g, "").toLowerCase();
    if (!name || !sign) tests.push((row) => text(row).toLowerCase().includes(value));
    else if (sign === ":") tests.push((row) => String(field(row, name.toLowerCase()) ?? "").toLowerCase().includes(value));
    else tests.push(compared(field, name.toLowerCase(), sign, Number.parseFloat(value)));
  }
  return (row) => tests.every((test) => test(row));
}

/** The rows that fit; all of them, untouched, when nothing is asked. */
export function filtered<T>(rows: T[], query: string, field: (row: T, name: string) => Field | undefined, text: (row: T) => string): T[] {
  return query.trim() ? rows.filter(compile(query, field, text)) : rows;
}

function compared<T>(field: (row: T, name: string) => Field | undefined, name: string, sign: string, limit: number): Test<T> {
  return (row) => {
    const value = Number(field(row, name));
    return sign === ">" ? value > limit : value < limit;
  };
}
