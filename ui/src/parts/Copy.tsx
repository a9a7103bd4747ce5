/** A command line with a button that copies it. */

import { useState } from "preact/hooks";
import { toClipboard } from "../live/clipboard";
import { nodes } from "../live/store";
import { commandLines, named } from "../model/lines";
import type { Target, Verb } from "../model/types";

export function CommandLine({ line, label = "Same from a terminal" }: { line: string; label?: string }) {
  return (
    <div class="cmdline">
      <code tabIndex={0} role="textbox" aria-readonly="true" aria-label={label}>{line}</code>
      <CopyButton text={line} label={`Copy: ${line}`} />
    </div>
  );
}

/** What would do the same; with several servers, on which of them it is to be typed. */
export function CommandLines({ verb, targets, options = {} }: { verb: Verb; targets: readonly Target[]; options?: Record<string, unknown> }) {
  const many = nodes.value.size > 1;
  return (
    <div class="cmdlines">
      {commandLines(verb, targets, options).map(({ nodes: places, line }) => (
        <div key={line}>
          {many && <span class="muted">on {named(places)}</span>}
          <CommandLine line={line} label={many ? `Same from a terminal on ${named(places)}` : "Same from a terminal"} />
        </div>
      ))}
    </div>
  );
}

export function CopyButton({ text, label = "Copy", shortcut, word = "copy" }: { text: string; label?: string; shortcut?: string; word?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await toClipboard(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" class="quiet small" onClick={copy} data-key={shortcut} aria-keyshortcuts={shortcut} aria-label={copied ? "Copied" : label} title={shortcut ? `${label} (${shortcut})` : label}>
      {copied ? "✓ copied" : word}
    </button>
  );
}
