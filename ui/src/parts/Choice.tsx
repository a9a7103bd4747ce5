/** Small controls: one of a few, one of a list, on or off. */

import { useState } from "preact/hooks";

interface Options {
  label: string;
  value: string;
  options: [string, string][];
  onPick: (value: string) => void;
}

/** One of a few, all in sight; `keys` press them. */
export function Choice({ label, value, options, onPick, keys = [] }: Options & { keys?: string[] }) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([key, text], i) => (
        <button type="button" key={key} aria-pressed={value === key} data-key={keys[i]} aria-keyshortcuts={keys[i]} title={keys[i] && `${text} (${keys[i]})`} onClick={() => onPick(key)}>{text}</button>
      ))}
    </div>
  );
}

export function Pick({ label, value, options, onPick }: Options) {
  return (
    <select aria-label={label} value={value} onChange={(event) => onPick((event.currentTarget as HTMLSelectElement).value)}>
      {options.map(([key, text]) => <option key={key} value={key}>{text}</option>)}
    </select>
  );
}

/** A switch that the browser remembers: [on, its button]. */
export function useToggle(name: string, label: string, first = false) {
  const kept = localStorage.getItem(name);
  const [on, set] = useState(kept === null ? first : kept === "1");
  const flip = () => {
    set(!on);
    localStorage.setItem(name, on ? "0" : "1");
  };
  return [on, <button type="button" class="quiet small" aria-pressed={on} onClick={flip}>{label}</button>] as const;
}
