// The reservation page: the countdown of the hold, news of the money, and no form sent twice or into nothing.
import { Refused, call } from "./api.js";
import { renew, watch } from "./changed.js";
import { $, clock, countdown, notice, t } from "./page.js";

const MONEY_MS = 2000; // between looks while money is on its way
const HELD_MS = 5000; // so few hold seats at a time
const { id, status, payment, returning } = $("reservation").dataset;
const url = `/reservations/${id}`;

const hold = $("hold");
if (hold) {
  $("hold-until").hidden = true;
  let warned = false;
  countdown(hold.dataset.until, (left) => {
    $("hold-left").textContent = clock(left);
    hold.classList.toggle("urgent", left < 60);
    if (left < 60 && left > 0 && !warned) {
      warned = true;
      $("hold-spoken").textContent = t("shop.reservation.soon");
    }
    if (left === 0) setTimeout(() => renew(url), 1500); // the server says how it ended
  });
}
const OPEN = ["pending", "confirmed"]; // what may still become something else
const moves = Boolean(document.querySelector("[data-moves]"));
if (moves || OPEN.includes(status)) {
  watch(url, async () => {
    const { reservation } = await call("GET", `/api${url}`);
    const differs = reservation.status !== status || (reservation.payment?.status ?? "") !== payment
      || (reservation.payment?.returning ?? 0) !== Number(returning);
    return differs && !document.querySelector("form[data-sent]");
  }, moves ? MONEY_MS : status === "pending" ? HELD_MS : undefined);
}
/** Whether the server answers at all: without it the browser would leave for an error page of its own. */
async function answers() {
  try {
    await call("GET", `/api${url}`);
    return true;
  } catch (error) {
    return error instanceof Refused;
  }
}
for (const form of document.querySelectorAll("form[data-once]")) {
  const [button, said] = [form.querySelector("button"), form.querySelector("[data-said]")];
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.sent) return;
    form.dataset.sent = "yes";
    button.setAttribute("aria-disabled", "true");
    notice(said, "");
    if (await answers()) return form.submit();
    delete form.dataset.sent;
    button.removeAttribute("aria-disabled");
    notice(said, t("shop.reservation.offline"));
  });
}
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
