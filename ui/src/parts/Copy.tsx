/** A command line with a button that copies it. */

import { useState } from "preact/hooks";

export function CommandLine({ line, label = "Same from a terminal" }: { line: string; label?: string }) {
  return (
    <div class="cmdline">
      <code tabIndex={0} role="textbox" aria-readonly="true" aria-label={label}>{line}</code>
      <CopyButton text={line} label={`Copy: ${line}`} />
    </div>
  );
}

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" class="quiet small" onClick={copy} aria-label={copied ? "Copied" : label} title={label}>
      {copied ? "✓ copied" : "copy"}
    </button>
  );
}
