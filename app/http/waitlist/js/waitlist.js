// The waiting list's page: asks how it stands, and says so when seats are offered, also in the tab's title.
import { $, data, notice, onWake, show, t } from "./page.js";
import { call } from "./api.js";
import { renew } from "./changed.js";

const ASK_MS = 5000;
const LIVE = ["waiting", "offered"];
let { state, place } = data;
let timer = 0;
let asking = false;

async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  let after = ASK_MS;
  try {
    const { entry, pollAfterMs } = await call("GET", `/api/waitlist/${data.eventId}`);
    after = pollAfterMs;
    if (entry.state !== state) return told(entry.state);
    if (String(entry.place ?? 0) !== place && $("waitlist-place")) {
      place = String(entry.place ?? 0);
      $("waitlist-place").textContent = show(entry.place);
    }
  } catch (error) {
    if (error.status === 404 || error.status === 401) return void renew(`/events/${data.eventId}/waitlist`);
  } finally {
    asking = false;
  }
  timer = setTimeout(ask, after * (0.75 + Math.random() / 2));
}

function told(next) {
  state = next;
  const text = t(`waitlist.${next}.title`);
  notice($("waitlist-notice"), text);
  document.title = `● ${text}`;
  setTimeout(() => location.reload(), 1500); // the server draws what is to be done now
}

if (LIVE.includes(state)) timer = setTimeout(ask, ASK_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden && LIVE.includes(state)) ask(); });
onWake(() => { if (LIVE.includes(state)) ask(); });
