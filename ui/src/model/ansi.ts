/**
 * Output of strange programs made safe to show: colours become class names, everything else that
 * could steer a terminal becomes visible. Nothing here ever makes HTML.
 */

export interface Piece {
  text: string;
  style: string; // space-separated class names
}

// CSI … final byte; OSC … BEL or ST; any other escape with its next byte.
const ESCAPE = /\u001b(?:\[([0-9;:]*)([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.?)/g;
// Control characters, bidi overrides and isolates, zero-width: shown as code, never obeyed.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const LONGEST = 16384;
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

export function pieces(line: string): Piece[] {
  const text = line.length > LONGEST ? `${line.slice(0, LONGEST)} …cut` : line;
  const found: Piece[] = [];
  let style = new Set<string>();
  let from = 0;
  const push = (part: string) => {
    if (part) found.push({ text: visible(part), style: [...style].join(" ") });
  };
  for (const match of text.matchAll(ESCAPE)) {
    push(text.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === "m") style = restyled(style, match[1] ?? "");
    else found.push({ text: "␛", style: "esc" });
  }
  push(text.slice(from));
  return found;
}

export function visible(text: string): string {
  return text.replace(HIDDEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The text alone, for searching and copying. */
export function plain(line: string): string {
  return visible(line.replace(ESCAPE, (_all, _args, end: string | undefined) => (end === "m" ? "" : "␛")));
}

function restyled(before: Set<string>, args: string): Set<string> {
  let style = new Set(before);
  const codes = args.split(/[;:]/).map((part) => Number(part || "0"));
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 0) style = new Set();
    else if (code === 1) style.add("bold");
    else if (code === 2) style.add("faint");
    else if (code === 3) style.add("italic");
    else if (code === 4) style.add("underline");
    else if (code === 22) ["bold", "faint"].forEach((s) => style.delete(s));
    else if (code === 23) style.delete("italic");
    else if (code === 24) style.delete("underline");
    else if (code >= 30 && code <= 37) colour(style, COLOURS[code - 30]);
    else if (code >= 90 && code <= 97) colour(style, COLOURS[code - 90]);
    else if (code === 39) colour(style, undefined);
    else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : 4; // 256 and true colour: not shown
  }
  return style;
}

function colour(style: Set<string>, name: string | undefined): void {
  for (const old of COLOURS) style.delete(`c-${old}`);
  if (name) style.add(`c-${name}`);
}
