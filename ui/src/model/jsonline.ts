/** A line of JSON, folded to what people read first: level, message, then the other fields. */

export interface Folded {
  level: string;
  message: string;
  fields: [string, string][];
}

const MESSAGES = ["message", "msg", "event"];
const LEVELS = ["level", "severity", "levelname", "lvl"];
const TIMES = new Set(["time", "timestamp", "ts", "@timestamp", "asctime"]); // the line has its own
const NUMBERED: Record<number, string> = { 10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical" };

/** null for anything that is not an object with a message. */
export function folded(line: string): Folded | null {
  if (line[0] !== "{" || line[line.length - 1] !== "}") return null;
  let found: unknown;
  try {
    found = JSON.parse(line);
  } catch {
    return null;
  }
  const fields = new Map(Object.entries(found as Record<string, unknown>));
  const message = first(fields, MESSAGES);
  if (typeof message !== "string") return null;
  const level = first(fields, LEVELS);
  for (const key of TIMES) fields.delete(key);
  return {
    level: typeof level === "number" ? (NUMBERED[level] ?? String(level)) : String(level ?? "").toLowerCase(),
    message,
    fields: [...fields].map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  };
}

/** The first of these that there is, taken out. */
function first(fields: Map<string, unknown>, keys: string[]): unknown {
  const key = keys.find((one) => fields.has(one));
  if (key === undefined) return undefined;
  const value = fields.get(key);
  fields.delete(key);
  return value;
}
