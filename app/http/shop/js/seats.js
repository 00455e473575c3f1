// Choosing seats: the live map, the list of chosen seats, holding them, and what to say when someone was quicker.
import { $, clock, countdown, data, money, notice, t } from "./page.js";
import { Refused, call, insist } from "./api.js";
import { watch } from "./changed.js";
import { LiveSeats } from "./live.js";
import { SeatMap } from "./seatmap.js";

const LOOK_MS = 1000;
const STATUSES = ["available", "held", "sold", "blocked"];
const FIXED = ["section", "row", "number", "name", "grade", "price", "x", "y", "marks"]; // what news of a seat never changes
const url = `/api/seats/events/${data.eventId}`;
const chosen = new Set();
let map = null;
let version = 0;
let holding = false;
let singleSaid = ""; // the choice of which was said that it leaves a seat alone
let pointed = null; // the seat the caption is about

const word = (status) => (typeof status === "number" ? STATUSES[status] : status);
const short = (seat) => t("shop.seats.seat.short", { ...seat, number: seat.name ?? String(seat.number) });
const names = (seats) => seats.map(short).join(", ");
const total = () => [...chosen].reduce((sum, seat) => sum + seat.price, 0);

function changesOf(answer) {
  return (answer.changes ?? answer.seats ?? []).map((change) => (Array.isArray(change)
    ? { seat: map.byId.get(change[0]) ?? map.seats[change[0]], status: word(change[1]) }
    : { seat: map.byId.get(change.id), status: word(change.status) }));
}

/** Whether these are the seats the map was drawn from. A replaced map gives the same ids to other seats. */
const isSameHall = (seats) => seats.length === map.seats.length
  && seats.every((told) => FIXED.every((name) => String(told[name]) === String(map.byId.get(told.id)?.[name])));

/** Take news in: from a message, or from an answer that may be the whole map. News from before what is shown is old. */
function apply(answer) {
  if (answer.version < version && !answer.layout) return;
  if (answer.layout && !isSameHall(answer.seats)) return void location.reload(); // seats or prices were replaced
  version = answer.version ?? version;
  const gone = [];
  for (const { seat, status } of changesOf(answer)) {
    if (!seat) return void location.reload(); // the hall itself was changed
    if (seat.status === status) continue;
    seat.status = status;
    if (seat.mine && status !== "available" && !holding) { gone.push(seat); drop(seat); }
    map.show(seat);
    if (seat === pointed) tip(seat);
  }
  if (gone.length) { // the notice is a polite live region: it is read out when nothing else is
    notice($("seats-notice"), t("shop.seats.went", { seats: names(gone) }), "warn");
    list();
  }
  count();
}

function count() {
  const left = new Map();
  for (const seat of map.seats) if (seat.status === "available") left.set(seat.grade, (left.get(seat.grade) ?? 0) + 1);
  for (const cell of document.querySelectorAll("[data-left]")) cell.textContent = `(${t("common.seats", { n: left.get(cell.dataset.left) ?? 0 })})`;
}

function drop(seat) {
  seat.mine = false;
  chosen.delete(seat);
  map.show(seat);
}

function toggle(seat) {
  if (seat.mine) drop(seat);
  else if (seat.status !== "available") return void (tip(seat), $("chosen-spoken").textContent = map.label(seat));
  else if (chosen.size >= data.seatsMax) return void notice($("seats-notice"), t("shop.seats.max", { n: data.seatsMax }), "warn");
  else { seat.mine = true; chosen.add(seat); map.show(seat); }
  notice($("seats-notice"), "");
  list();
  tip(seat);
  $("chosen-spoken").textContent = t(seat.mine ? "shop.seats.added" : "shop.seats.removed", { seat: short(seat), n: chosen.size, total: money(total()) });
}

function list() {
  $("chosen-none").hidden = chosen.size > 0;
  $("chosen-total").textContent = money(total());
  $("hold").disabled = !data.mayHold || chosen.size === 0;
  $("chosen-list").replaceChildren(...[...chosen].map((seat) => {
    const item = document.createElement("li");
    const [name, button] = [document.createElement("span"), document.createElement("button")];
    name.textContent = `${short(seat)} · ${seat.grade} · ${money(seat.price)}`;
    button.type = "button";
    button.className = "link";
    button.textContent = "×";
    button.setAttribute("aria-label", t("shop.seats.chosen.remove", { seat: short(seat) }));
    button.addEventListener("click", () => { toggle(seat); ($("chosen-list").querySelector("button") ?? $("chosen-title")).focus(); });
    item.append(name, button);
    return item;
  }));
}

function tip(seat) {
  pointed = seat ?? null;
  $("seat-tip").textContent = seat ? map.label(seat) : "\u00a0";
}

function live(how) {
  $("connection").dataset.live = how;
  $("connection-text").textContent = t(`shop.seats.live.${how}`);
}

/** Ask for seats. The answer is a reservation, or says which seats went. */
async function reserve(body, button) {
  if (holding) return;
  holding = true;
  button.disabled = true;
  notice($("seats-notice"), t("shop.seats.holding"), "info");
  try {
    const answer = await call("POST", "/api/seats/reserve", { eventId: data.eventId, ...body });
    location.assign(`/reservations/${answer.reservation.id}`);
  } catch (error) {
    holding = false;
    button.disabled = false;
    await refused(error, body);
  }
}

async function refused(error, { seatIds = [] }) {
  const held = error.body?.reservation?.id;
  if (held) return void location.assign(`/reservations/${held}?said=${error.code}`);
  let text = t(error instanceof Refused ? "common.failed" : "shop.seats.offline");
  if (error.code === "seats_unavailable" || error.code === "unavailable") {
    const before = seatIds.map((id) => map?.byId.get(id)).filter(Boolean);
    try { apply(await call("GET", `${url}?since=${version}`)); } catch { /* the next refresh will tell */ }
    const gone = before.filter((seat) => seat.status !== "available");
    gone.forEach(drop);
    list();
    text = gone.length ? t("shop.seats.gone", { seats: names(gone) }) : t("shop.seats.unavailable");
    const { left: all, leftTogether: together } = error.body ?? {};
    const left = Object.entries(together ?? all ?? {}).filter(([, n]) => n).map(([grade, n]) => t("shop.seats.left", { grade, n })).join(", ");
    if (left && !seatIds.length) text += ` ${t(together ? "shop.seats.unavailable.together" : "shop.seats.unavailable.left", { left })}`;
  } else if (error.code === "leaves_single_seat") {
    const alone = error.body.seatIds.map((id) => map.byId.get(id)).filter(Boolean);
    if (error.body.mayHold) singleSaid = seatIds.join(); // pressed again, they are held
    text = t(error.body.mayHold ? "shop.seats.single.asked" : "shop.seats.single.refused", { seats: names(alone) });
  } else if (data.texts[`kit.error.${error.code}`]) text = t(`kit.error.${error.code}`);
  else if (error.body?.detail) text = error.message;
  notice($("seats-notice"), text, "warn");
  $("seats-notice").scrollIntoView({ block: "nearest" });
}

function passCountdown() {
  const pass = $("pass");
  if (!pass) return;
  countdown(pass.dataset.until, (left) => {
    $("pass-left").textContent = clock(left);
    pass.classList.toggle("urgent", left < 60);
    if (left > 0) return;
    notice($("seats-notice"), t("shop.seats.pass.ended"), "warn");
    data.mayHold = false;
    list();
    $("best").querySelector("button").disabled = true;
    if ($("rejoin")) $("rejoin").hidden = false; // not where the event is over
  });
}

/** A wish is answered a moment after the turn began: if seats are held by now, or soon, paying comes next. */
async function lookForHeld(looks) {
  try {
    const { reservation, wish } = await call("GET", `/api/queue/${data.eventId}/position`);
    if (reservation?.status === "pending") return void location.replace(`/reservations/${reservation.id}`);
    if (wish) notice($("seats-notice"), t("line.admitted.none"), "info");
    else if (looks > 1) setTimeout(() => lookForHeld(looks - 1), LOOK_MS);
  } catch { /* no place in line: the map says what one may do */ }
}

async function start() {
  const answer = await insist(() => call("GET", url), () => notice($("seats-notice"), t("shop.seats.lost"), "warn"));
  notice($("seats-notice"), data.notice ?? "");
  for (const seat of answer.seats) seat.status = word(seat.status);
  version = answer.version ?? 0;
  $("seats-none").hidden = answer.seats.length > 0;
  $("map").hidden = !answer.seats.length;
  map = new SeatMap($("map"), answer.seats, answer.layout, { onToggle: toggle, onPoint: tip });
  $("zoom-in").addEventListener("click", () => map.zoomIn());
  $("zoom-out").addEventListener("click", () => map.zoomOut());
  $("zoom-fit").addEventListener("click", () => map.fit());
  list();
  count();
  const read = async () => apply(await call("GET", `${url}?since=${version}`, undefined, { timeout: 8000 }));
  new LiveSeats({ eventId: data.eventId, version: () => version, onNews: apply, read, onLive: live }).start();
}

$("hold").addEventListener("click", () => {
  const seatIds = [...chosen].map((seat) => seat.id).sort();
  reserve({ seatIds, leaveSingle: seatIds.join() === singleSaid }, $("hold"));
});
$("best").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(event.target);
  const grade = fields.get("grade");
  reserve({ quantity: Number(fields.get("quantity")), grades: grade ? [grade] : [], adjacent: fields.get("adjacent") === "no" ? false : fields.get("adjacent") }, event.submitter);
});
passCountdown();
start();
watch(`/events/${data.eventId}/seats`, async () => {
  const { status } = (await call("GET", `/api/events/${data.eventId}`)).event;
  const wasOpened = status === "on_sale" && data.status === "upcoming"; // then what was chosen already stays
  return status !== data.status && !holding && !(wasOpened && chosen.size);
});
if (data.mayHold && $("pass") && !data.notice && !data.has) lookForHeld(3); // who came back is shown what they hold
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
