// The code that moves a place: copies its link, and says when the other browser has taken it.
import { $, data, t } from "./page.js";
import { call } from "./api.js";

const ASK_EVERY_MS = 5000;
const ASKS_MAX = 120; // as long as the code is good

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("link").value);
    $("copied").textContent = t("line.resume.copied");
  } catch {
    $("link").select(); // a browser inside of an app may not let us: it is copied by hand
    $("copied").textContent = t("line.resume.select");
  }
});

let asks = 0;
const asking = setInterval(async () => {
  asks += 1;
  if (asks >= ASKS_MAX) clearInterval(asking);
  if (document.hidden) return;
  const answer = await call("POST", `/api/queue/${data.eventId}/resume-code/state`, { code: data.code }).catch(() => null);
  if (answer?.state !== "used") return;
  clearInterval(asking);
  $("open").hidden = true;
  $("moved").hidden = false;
}, ASK_EVERY_MS);
