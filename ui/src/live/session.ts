/** Coming and going: a session that ends ends in every tab of this browser, and in pages that Back brings back. */

import { post, Refusal, session as ask } from "./api";
import { linkRefused, loggedOut, session } from "./store";

const NEWS = "chapiteau-session"; // what tabs tell each other
const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(NEWS);

function ended(why: string): void {
  session.value = null;
  loggedOut.value ||= why;
}

export async function logOut(): Promise<void> {
  try {
    await post("/api/logout", {});
  } catch (problem) {
    // It has ended already: so much the better.
    if (!(problem instanceof Refusal && problem.status === 401)) throw problem;
  }
  ended("You are logged out.");
  channel?.postMessage("ended");
}

/** Whether somebody is still logged in; when not, the door is shown at once. */
export async function checkSession(): Promise<void> {
  try {
    session.value = await ask();
    linkRefused.value++;
  } catch (problem) {
    if (problem instanceof Refusal && problem.status === 401) ended("The session has ended.");
  }
}

export function watchSession(): void {
  channel?.addEventListener("message", () => ended("You are logged out."));
  // A page out of the browser's memory shows what was there before: nothing of it until we know.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.documentElement.classList.add("asking");
    void checkSession().finally(() => document.documentElement.classList.remove("asking"));
  });
}
