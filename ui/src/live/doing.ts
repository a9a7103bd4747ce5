/** Pressing a button: ask where it matters, do it once, show what comes of it. */

import { signal } from "@preact/signals";
import type { Target, Verb } from "../model/types";
import { act, Refusal } from "./api";
import { nodes } from "./store";

export interface Wish {
  verb: Verb;
  targets: Target[];
  options: Record<string, unknown>;
}

export interface Toast {
  id: number;
  action: number; // 0: not begun
  error: string;
  hint: string;
  note?: string; // said once, then gone
}

export const asked = signal<Wish | null>(null);
export const toasts = signal<readonly Toast[]>([]);
let count = 0;

/** Do it, or ask first: whatever stops something, touches more than one server, or one that is away. */
export function wish(verb: Verb, targets: Target[], options: Record<string, unknown> = {}): void {
  const order = { verb, targets, options };
  if (needsAsking(order)) asked.value = order;
  else void perform(order);
}

export function needsAsking({ verb, targets, options }: Wish): boolean {
  if (new Set(targets.map((t) => t.node)).size > 1) return true;
  if (anyAway(targets)) return true;
  if (verb === "stop" || verb === "restart" || verb === "drain" || options["processes"] === 0) return true;
  return verb === "signal" && ["KILL", "TERM", "QUIT", "INT"].includes(String(options["signal"]));
}

export const anyAway = (targets: readonly Target[]): boolean => targets.some((t) => nodes.value.get(t.node)?.away);

export async function perform(order: Wish, batch = 100, wait = 0): Promise<void> {
  const toast: Toast = { id: ++count, action: 0, error: "", hint: "" };
  toasts.value = [...toasts.value, toast];
  try {
    const action = await act(order.verb, order.targets, order.options, batch, wait, newKey());
    change(toast.id, { action: action.number });
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal(0, String(error), "");
    change(toast.id, { error: refusal.message, hint: refusal.hint });
  }
}

/** A word about what the page itself has done. */
export function note(text: string): void {
  const id = ++count;
  toasts.value = [...toasts.value, { id, action: 0, error: "", hint: "", note: text }];
  setTimeout(() => dismiss(id), 2000);
}

/** Not randomUUID: browsers have it only where the page came by TLS or loopback. */
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

function change(id: number, part: Partial<Toast>): void {
  toasts.value = toasts.value.map((toast) => (toast.id === id ? { ...toast, ...part } : toast));
}
