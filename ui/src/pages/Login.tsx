/** Logging in: the one-time link logs in by itself; accounts type a name and a password. */

import { useEffect, useState } from "preact/hooks";
import { get, post, Refusal } from "../live/api";

export function Login({ why, onDone }: { why: string; onDone: () => void }) {
  const [error, setError] = useState(why.trim());
  const [busy, setBusy] = useState(false);
  const [oidc, setOidc] = useState("");
  useEffect(() => void get<{ oidc: string; said: string }>("/api/entry").then((ways) => {
    setOidc(ways.oidc);
    if (ways.said) setError(ways.said);
  }, () => {}), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      await post("/api/login", { name: form.get("name"), password: form.get("password") });
      onDone();
    } catch (problem) {
      setError(problem instanceof Refusal ? problem.message : String(problem));
    }
    setBusy(false);
  };
  return (
    <main class="login">
      <h1><img src="/favicon.svg" alt="" width="28" height="28" /> Chapiteau</h1>
      {error && <p role="alert" class="bad">{error}</p>}
      <p>On this machine, get a link that logs you in: <code>chapiteau dash url</code></p>
      {oidc && <p><a class="button primary" href={`/api/oidc/start?next=${encodeURIComponent(location.pathname + location.search)}`}>Log in with {oidc}</a></p>}
      <form onSubmit={submit}>
        <label>Name <input name="name" autocomplete="username" required /></label>
        <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
        <button type="submit" class="primary" disabled={busy}>Log in</button>
      </form>
    </main>
  );
}
