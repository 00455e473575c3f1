// Watches what a page was drawn from, and draws the page anew when that is no longer so.

import { onWake } from "./page.js";

const LOOK_MS = 60000; // as many look as have the page open
const GONE = [401, 403, 404];
export const jitter = (ms) => ms * (0.75 + Math.random() / 2);

/** One that answered a form is left for the address it is about: a reload would send the form again. */
export const renew = (url) => (location.pathname === url ? location.reload() : location.replace(url));

/** Ask `differs()` now and then while the page is in view, and at once when somebody comes back to it, until it is true. */
export function watch(url, differs, everyMs = LOOK_MS) {
  let timer = 0;
  let looking = false;
  const look = async () => {
    if (looking || document.hidden) return;
    looking = true;
    clearTimeout(timer);
    try {
      if (await differs()) return void renew(url);
    } catch (error) {
      if (GONE.includes(error.status)) return void renew(url); // logged out elsewhere, say: the server tells
      console.warn("whether this page still holds could not be asked", error); // the next look may
    }
    looking = false;
    timer = setTimeout(look, jitter(everyMs));
  };
  timer = setTimeout(look, jitter(everyMs));
  document.addEventListener("visibilitychange", look);
  onWake(look);
}
