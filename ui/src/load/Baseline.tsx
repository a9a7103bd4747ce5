/** Hold the later results of a test against this one. */

import { useState } from "preact/hooks";
import { post, Refusal } from "../live/api";
import { may, type LoadResult } from "../live/store";
import { CommandLine } from "../parts/Copy";

export function Baseline({ result, shortcut }: { result: LoadResult; shortcut?: string }) {
  const [error, setError] = useState("");
  const is = result.baseline === result.id;
  const set = () => {
    setError("");
    post(`/api/load/${result.id}/baseline`, { on: !is }).catch((problem: unknown) => setError(problem instanceof Refusal ? `${problem.message} ${problem.hint}` : String(problem)));
  };
  if (!may("steer")) return is ? <span class="muted">is the baseline of its test</span> : null;
  return (
    <>
      <button type="button" class="small" aria-pressed={is} data-key={shortcut} aria-keyshortcuts={shortcut} title={`Later results of this test are held against it${shortcut ? ` (${shortcut})` : ""}`} onClick={set}>{is ? `✓ #${result.id} is the baseline` : `set #${result.id} as baseline`}</button>
      <CommandLine line={`chapiteau load baseline ${result.id}${is ? " --clear" : ""}`} />
      {error && <span role="alert" class="bad">✖ {error}</span>}
    </>
  );
}
