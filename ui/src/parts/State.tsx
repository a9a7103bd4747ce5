/** A state is a glyph and a word; colour only repeats them. */

const GLYPHS: Record<string, [string, string]> = {
  running: ["●", "good"],
  ready: ["●", "good"],
  completed: ["✓", "good"],
  starting: ["◐", "busy"],
  waiting: ["◌", "busy"],
  reloading: ["◑", "busy"],
  restarting: ["↻", "busy"],
  stopping: ["◒", "busy"],
  backoff: ["↻", "warn"],
  unhealthy: ["▲", "warn"],
  stopped: ["■", "idle"],
  failed: ["✖", "bad"],
  unreachable: ["?", "warn"],
  draining: ["◒", "busy"],
  drained: ["⊘", "warn"],
};

const WORDS: Record<string, string> = { backoff: "backing off" };

export function State({ state, title }: { state: string; title?: string }) {
  const [glyph, tone] = GLYPHS[state] ?? ["?", "idle"];
  return (
    <span class={`state ${tone}`} title={title}>
      <span aria-hidden="true">{glyph}</span> {WORDS[state] ?? state}
    </span>
  );
}

export function tone(state: string): string {
  return (GLYPHS[state] ?? ["?", "idle"])[1];
}
