/** A finished test's requests by name: asked for once, when somebody looks. */

import { useEffect, useState } from "preact/hooks";
import { get, Refusal } from "../live/api";
import type { Failure, LiveRow } from "../live/store";
import { Endpoints } from "./Endpoints";

interface Told {
  rows: LiveRow[];
  failures: Failure[];
  seconds: number;
  load: string[];
}

export function Stored({ id }: { id: number }) {
  const [told, setTold] = useState<Told | null>(null);
  const [error, setError] = useState("");
  useEffect(() => void get<Told>(`/api/load/${id}/rows`).then(setTold, (problem: unknown) => setError(problem instanceof Refusal ? problem.message : String(problem))), [id]);
  if (error) return <p role="alert" class="bad">✖ {error}</p>;
  if (!told) return <p class="empty" aria-busy="true">Its requests by name…</p>;
  return (
    <>
      {told.load.length > 0 && <p class="muted">Load: {told.load.join(", then ")}</p>}
      {told.rows.length > 0 && <div class="panel"><Endpoints rows={told.rows} seconds={told.seconds} failures={told.failures} label="Requests by name" /></div>}
    </>
  );
}
