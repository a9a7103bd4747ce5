/** A running load test: end it, put more load on, or note what happens at this moment. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { post, Refusal } from "../live/api";
import { may, type LiveRun } from "../live/store";
import { grouped } from "../model/format";
import { quoted } from "../model/lines";
import { CommandLine } from "./Copy";

type Room = NonNullable<LiveRun["room"]>;
type What = "stop" | "mark" | "add";
const NAMES: Record<What, string> = { stop: "Stop", mark: "Mark", add: "Add load to" };
const open = signal<{ what: What; run: LiveRun; at: number } | null>(null); // `at`: when the key was pressed, ms

export function LoadButtons({ run, first }: { run: LiveRun; first: boolean }) {
  if (run.ended_by) return <span class="warn" role="status">ends, asked by {run.ended_by}…</span>;
  if (!may("steer")) return null;
  const key = (name: string) => (first ? { "data-key": name, "aria-keyshortcuts": name } : {});
  const room = run.room;
  return (
    <span class="joined-buttons" role="toolbar" aria-label={`Actions on ${run.name}`}>
      <button type="button" {...key("s")} title="End it; it judges and keeps what it has (s)" onClick={() => (open.value = { what: "stop", run, at: Date.now() })}>Stop</button>
      {room && <button type="button" {...key("+")} disabled={Boolean(room.fixed)} title={room.fixed || "Put more load on, to its end (+)"} onClick={() => (open.value = { what: "add", run, at: Date.now() })}>+{suggested(room)}{unit(room)}</button>}
      <button type="button" {...key("m")} title="Note what happens now (m)" onClick={() => (open.value = { what: "mark", run, at: Date.now() })}>Mark</button>
    </span>
  );
}

const unit = (room: Room) => (room.is_open ? "/s" : " users");
/** Fifty, or what there is room for. */
const suggested = (room: Room) => Math.max(1, Math.min(50, Math.floor(room.most - room.peak)));

export function LoadDialog() {
  const asked = open.value;
  const box = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [more, setMore] = useState(50);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  useEffect(() => {
    if (!asked || box.current?.open) return;
    setText("");
    setError("");
    setBusy(false);
    if (asked.run.room) setMore(suggested(asked.run.room));
    box.current?.showModal();
    box.current?.querySelector("input")?.select(); // what is typed takes the place of what stands there
  }, [asked]);
  if (!asked) return null;
  const { what, run, at } = asked;
  const room = run.room;
  const addition = room?.is_open ? { rate: more } : { users: more };
  const close = () => box.current?.close();
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await post(`/api/load/live/${encodeURIComponent(run.run)}/${what}`, what === "mark" ? { text, ago: Math.min(3600, (Date.now() - at) / 1000) } : what === "add" ? addition : {});
      close();
    } catch (problem) {
      setError(problem instanceof Refusal ? `${problem.message} ${problem.hint}` : String(problem));
    }
    setBusy(false);
  };
  return (
    <dialog ref={box} aria-labelledby="load-title" onClose={() => (open.value = null)}>
      <form method="dialog" onSubmit={send}>
        <h2 id="load-title">{`${NAMES[what]} ${run.name}`}</h2>
        {what === "add" && room && <p><label>{room.is_open ? "Sessions a second" : "Users"} on top, from now to its end <input type="number" min={1} max={room.most - room.peak} step={room.is_open ? "any" : 1} required autofocus value={more} onInput={(event) => setMore(Number((event.currentTarget as HTMLInputElement).value))} /></label> <span class="muted">{grouped(room.level)}{unit(room)} now; it was allowed {grouped(room.most)}{unit(room)} at most</span></p>}
        {what === "add" ? null : what === "stop"
          ? <p>No more sessions begin; those on their way may end. It judges and keeps what it has, and says that you ended it early.</p>
          : <p><label>What happens now <input type="text" class="whole" maxLength={200} required autofocus value={text} onInput={(event) => setText((event.currentTarget as HTMLInputElement).value)} placeholder="cache emptied" /></label></p>}
        <CommandLine line={what === "stop" ? `chapiteau load stop ${run.run}` : what === "add" ? `chapiteau load add ${run.run} ${room?.is_open ? `--rate ${more}/s` : `--users ${more}`}` : `chapiteau load mark ${quoted(text || "what happens")} ${run.run}`} />
        {error && <p role="alert" class="bad">✖ {error}</p>}
        <div class="buttons">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class={what === "stop" ? "danger" : "primary"} autofocus={what === "stop"} disabled={busy}>{what === "add" ? (busy ? "Adding…" : `Add ${more}${room ? unit(room) : ""}`) : NAMES[what]}</button>
        </div>
      </form>
    </dialog>
  );
}
