/** Requests to the hub. Every refusal is an Error with words for people. */

import type { Action, Session, Target, Verb } from "../model/types";

export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

export async function get<T>(path: string, query: Record<string, string> = {}): Promise<T> {
  const search = new URLSearchParams(query).toString();
  return answer<T>(await fetch(search ? `${path}?${search}` : path, { headers: { Accept: "application/json" } }));
}

export async function post<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  return answer<T>(
    await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Chapiteau": "1", ...headers },
      body: JSON.stringify(body),
    }),
  );
}

async function answer<T>(response: Response): Promise<T> {
  if (response.ok) return (await response.json()) as T;
  let detail = `${response.status} ${response.statusText}`;
  let hint = "";
  try {
    const problem = (await response.json()) as { detail?: string; hint?: string };
    detail = problem.detail || detail;
    hint = problem.hint || "";
  } catch {
    // not our problem document: the status line has to do
  }
  throw new Refusal(response.status, detail, hint);
}

export const session = (): Promise<Session> => get<Session>("/api/session");

/** `batch`: percent of the servers at a time; `wait`: seconds for those that are away. */
export function act(verb: Verb, targets: Target[], options: Record<string, unknown>, batch: number, wait: number, key: string): Promise<Action> {
  return post<Action>("/api/act", { verb, targets, options, batch, wait }, { "Idempotency-Key": key });
}
