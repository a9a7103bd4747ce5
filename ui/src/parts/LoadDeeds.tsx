/** A running load test: end it, or note what happens at this moment. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { post, Refusal } from "../live/api";
import { may, type LiveRun } from "../live/store";
import { quoted } from "../model/lines";
import { CommandLine } from "./Copy";

const open = signal<{ what: "stop" | "mark"; run: LiveRun; at: number } | null>(null); // `at`: when the key was pressed, ms

export function LoadButtons({ run, first }: { run: LiveRun; first: boolean }) {
  if (run.ended_by) return <span class="warn" role="status">ends, asked by {run.ended_by}…</span>;
  if (!may("steer")) return null;
  const key = (name: string) => (first ? { "data-key": name, "aria-keyshortcuts": name } : {});
  return (
    <span class="joined-buttons" role="toolbar" aria-label={`Actions on ${run.name}`}>
      <button type="button" {...key("s")} title="End it; it judges and keeps what it has (s)" onClick={() => (open.value = { what: "stop", run, at: Date.now() })}>Stop</button>
      <button type="button" {...key("m")} title="Note what happens now (m)" onClick={() => (open.value = { what: "mark", run, at: Date.now() })}>Mark</button>
    </span>
  );
}

export function LoadDialog() {
  const asked = open.value;
  const box = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  useEffect(() => {
    if (!asked || box.current?.open) return;
    setText("");
    setError("");
    box.current?.showModal();
  }, [asked]);
  if (!asked) return null;
  const { what, run, at } = asked;
  const close = () => box.current?.close();
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      await post(`/api/load/live/${encodeURIComponent(run.run)}/${what}`, what === "mark" ? { text, ago: Math.min(3600, (Date.now() - at) / 1000) } : {});
      close();
    } catch (problem) {
      setError(problem instanceof Refusal ? `${problem.message} ${problem.hint}` : String(problem));
    }
  };
  return (
    <dialog ref={box} aria-labelledby="load-title" onClose={() => (open.value = null)}>
      <form method="dialog" onSubmit={send}>
        <h2 id="load-title">{what === "stop" ? `Stop ${run.name}` : `Mark ${run.name}`}</h2>
        {what === "stop"
          ? <p>No more sessions begin; those on their way may end. It judges and keeps what it has, and says that you ended it early.</p>
          : <p><label>What happens now <input type="text" class="whole" maxLength={200} required autofocus value={text} onInput={(event) => setText((event.currentTarget as HTMLInputElement).value)} placeholder="cache emptied" /></label></p>}
        <CommandLine line={what === "stop" ? `chapiteau load stop ${run.run}` : `chapiteau load mark ${quoted(text || "what happens")} ${run.run}`} />
        {error && <p role="alert" class="bad">✖ {error}</p>}
        <div class="buttons">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class={what === "stop" ? "danger" : "primary"} autofocus={what === "stop"}>{what === "stop" ? "Stop" : "Mark"}</button>
        </div>
      </form>
    </dialog>
  );
}
