// The event page: the countdown to the opening, and joining: by itself at the opening, and again while the door is busy.
import { $, clock, countdown, data, kept, now, notice, t } from "./page.js";
import { call, Refused } from "./api.js";
import { join as takePlace, keepsCookies } from "./door.js";
import { jitter, watch } from "./changed.js";

const AGAIN_MS = 500; // a door that is to be open by now opens within a few ticks; as many ask as have counted down
const STOPPED = ["ended", "cancelled"];
const form = $("join");
let joining = false;
let stopCounting = () => {};

function wish() {
  const fields = new FormData(form);
  const quantity = Number(fields.get("quantity"));
  if (!quantity) return undefined;
  const grades = [...new Set(fields.getAll("grade").filter(Boolean))];
  return { quantity, grades, adjacent: fields.get("adjacent") === "no" ? false : fields.get("adjacent") };
}

async function join() {
  if (joining) return;
  joining = true;
  const button = $("join-button");
  button.setAttribute("aria-disabled", "true");
  notice($("join-notice"), t("events.join.joining"), "info");
  const chosen = wish();
  try {
    await takePlace(chosen, () => notice($("join-notice"), t("common.busy"), "warn"));
    location.assign(`/events/${data.eventId}/wait`);
  } catch (error) {
    joining = false;
    button.removeAttribute("aria-disabled");
    refused(error);
  }
}

function refused(error) {
  const opensAt = error instanceof Refused && error.body.opensAt;
  if (error.code === "room_not_open" && opensAt) {
    notice($("join-notice"), t("events.join.waiting"), "info");
    return waitFor(Math.max(Date.parse(opensAt), now() + jitter(AGAIN_MS)));
  }
  if (error.code === "challenge_required") return void form.submit(); // the page that follows asks to wait
  if (["login_required", "invitation_required"].includes(error.code)) return void location.reload(); // since this page was made; it says what to do
  const known = `kit.error.${error.code}`;
  notice($("join-notice"), data.texts[known] ? t(known) : error.message || t("common.failed"), "warn");
}

function waitFor(opensAt) {
  const wanted = () => $("join-auto")?.checked ?? true; // without the choice, the button was pressed
  stopCounting();
  stopCounting = countdown(opensAt, (left) => {
    const shown = $("opening-left");
    if (shown) shown.textContent = clock(left);
    if (left === 0 && wanted()) join();
    if (left === 0) $("join-button").textContent = t("events.join.button");
  });
}

/** The invitation of a link stands behind its #, which no server sees: send it by the form, and leave it nowhere. */
function showInvitation() {
  const token = new URLSearchParams(location.hash.slice(1)).get("invitation");
  const shown = $("invitation");
  if (!token || !shown) return;
  history.replaceState(null, "", location.pathname);
  shown.elements.invitation.value = token;
  shown.submit();
}

showInvitation();
window.addEventListener("hashchange", showInvitation);

if (form) {
  if (!keepsCookies()) notice($("join-notice"), t("kit.error.cookies_needed"), "warn");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const auto = $("join-auto");
    if (auto) auto.checked = true;
    const opening = $("opening")?.dataset.until;
    if (opening && Date.parse(opening) > now()) {
      return notice($("join-notice"), t("events.join.waiting"), "info");
    }
    join();
  });
  const opening = $("opening");
  if (opening) {
    opening.hidden = false;
    const auto = $("join-auto");
    auto.checked = kept.get("join-auto", true);
    auto.addEventListener("change", () => kept.set("join-auto", auto.checked));
    waitFor(opening.dataset.until);
  }
}
/**
 * Whether the event or its line is no longer as drawn. The opening is no news to who counts down to it: they join. Drawn
 * anew, the page of an open line would wait for a button to be pressed.
 */
async function differs() {
  if (joining) return false;
  const { event, ticketTypes } = await call("GET", `/api/events/${data.eventId}`);
  const room = data.room === "direct" ? data.room : (await call("GET", `/api/queue/${data.eventId}/status`)).state;
  showLeft(ticketTypes);
  const opens = room === "open" || room === "lobby" || (room === "scheduled" && event.status === "on_sale");
  const opened = $("opening") && opens && !STOPPED.includes(event.status);
  if (opened && $("join-auto").checked) return void join();
  const redrawn = event.version !== data.version || (!opened && (event.status !== data.status || room !== data.room));
  return redrawn && !joining; // the countdown may have ended meanwhile
}

function showLeft(ticketTypes) {
  const left = new Map(ticketTypes.map(({ grade, available }) => [grade, available]));
  for (const cell of document.querySelectorAll("[data-left]")) {
    const n = left.get(cell.dataset.left);
    if (n !== undefined) cell.textContent = n ? t("common.seats", { n }) : t("events.soldout");
  }
}

watch(`/events/${data.eventId}`, differs);
// A page from the back button may show a line that is long over.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
