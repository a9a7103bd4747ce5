/** What the hub sends: docs/reference/dash-api.md and control-api.md. */

import type { Verb } from "./commands";
import type { Status } from "./status";

export type { Verb } from "./commands";
export type { Process, Service, Socket, Status } from "./status";

export interface LastExit {
  code?: number | null;
  signal?: number | string | null;
  oom?: boolean;
  cause?: string;
  lines?: string[];
  time?: number;
}

/** A process's last probe. */
export interface Health {
  what: string; // URL, host:port or command
  ok: boolean;
  why: string;
  ms: number;
}

/** A server that is emptied: what ran before, and what still ends. */
export interface Drained {
  since: number;
  who: string;
  services: string[];
  left: string[];
}

export interface Remedy {
  verb: Verb;
  service: string;
  line: string;
  options: Record<string, unknown>;
}

export interface Problem {
  key: string;
  kind: string;
  severity: number;
  node: string;
  what: string;
  service: string;
  process: number;
  since: number;
  cause: string;
  lines: string[];
  remedies: Remedy[];
  muted_until: number;
  muted_by: string;
}

export interface Node {
  name: string;
  seen: number;
  away: number;
  why: string;
  address?: string;
  status: Partial<Status>;
  problems: Problem[];
}

export interface Happening {
  node: string;
  seq: number;
  time: number;
  kind: string;
  service?: string;
  process?: number;
  pid?: number;
  who?: string;
  text?: string;
  data?: Record<string, unknown>;
}

export interface Target {
  node: string;
  service: string;
  process?: number; // without it all of them
}

export interface Result {
  ok: boolean;
  text?: string;
  error?: string;
  hint?: string;
}

export interface Action {
  key: string;
  number: number;
  verb: Verb;
  who: string;
  options: Record<string, unknown>;
  batch: number; // percent of the servers at a time
  began: number;
  ended: number;
  lines: string[];
  targets: (Target & { result: Result | null; waits?: number })[]; // until when a server that is away is waited for
}

export interface Session {
  name: string;
  role: string;
  verbs: string[];
  project: string;
  time: number;
}

/** [time, node, service, process, stream, text] */
export type LogRow = [number, string, string, number, string, string, number?]; // time, node, service, process, stream, text, at
export type Older = Record<string, Record<string, string>>; // node → stream → where the page before begins
