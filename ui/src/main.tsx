/** Starts the page: the token of the link becomes a session, then everything is live. */

import { render } from "preact";
import { signal } from "@preact/signals";
import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/frame.css";
import "./style/parts.css";
import "./style/pages.css";
import { App } from "./app";
import { post, Refusal, session as askSession } from "./live/api";
import { checkSession, watchSession } from "./live/session";
import { connect, loggedOut, onRefused, session } from "./live/store";
import { catchLinks, read, route } from "./model/route";
import { Login } from "./pages/Login";
import { applyTheme } from "./theme";

const ready = signal(false);

async function enter(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  // The token must not stay in the address bar, nor in the history.
  if (token) history.replaceState(null, "", location.pathname + location.search);
  try {
    if (token) await post("/api/login", { token });
  } catch (problem) {
    loggedOut.value = problem instanceof Refusal ? `${problem.message}. ${problem.hint}` : String(problem);
  }
  try {
    session.value = await askSession();
    loggedOut.value = "";
    if (!ready.value) connect();
  } catch (problem) {
    if (problem instanceof Refusal && problem.status === 401) loggedOut.value ||= " "; // a first visit: nothing is wrong
    else loggedOut.value = `No contact: ${String(problem)}`;
  }
  ready.value = true;
}

function Root() {
  if (!ready.value) return <p class="empty" aria-busy="true">…</p>;
  if (loggedOut.value) return <Login why={loggedOut.value} onDone={() => location.reload()} />;
  return <App />;
}

applyTheme();
watchSession();
onRefused.ask = () => void checkSession();
addEventListener("popstate", () => (route.value = read()));
document.addEventListener("click", catchLinks);
const place = document.getElementById("page");
if (place) render(<Root />, place);
void enter();
