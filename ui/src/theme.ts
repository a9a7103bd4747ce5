/** Light, dark, or as the system says; remembered. */

import { signal } from "@preact/signals";

const ORDER = ["auto", "light", "dark"];

export const theme = signal(localStorage.getItem("theme") ?? "auto");

export function nextTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "auto";
  localStorage.setItem("theme", theme.value);
  applyTheme();
}

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = theme.value;
}
