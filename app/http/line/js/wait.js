// The waiting page: shows each piece of news, and at the turn calls the buyer back and takes them in.
import { $, clock, countdown, data, kept, now, show, t } from "./page.js";
import { jitter, watch } from "./changed.js";
import { call, insist } from "./api.js";
import { Feed } from "./feed.js";
import { lineWord, waitInWords } from "./eta.js";
import { chime, soundButton } from "./chime.js";

const SPEAK_EVERY_MS = 30000;
const LOOK_AGAIN_MS = 20000;
const SUPPLY_EVERY_MS = 120000; // everybody in line asks
const OPENING_SPREAD_MS = 2000; // as many look again as have counted down
const AUTO_ENTER_MS = 1500; // long enough to be told what happens
const base = `/api/queue/${data.eventId}`;
const shell = $("room");
const plainTitle = document.title;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let state = shell.dataset.state;
let room = data.position && lineWord(data.position);
let turn = null; // while it is the buyer's turn: stop functions
let claiming = false;
let opening = ""; // when the lobby ends, as it is counted down to
let opens = null; // stops that countdown
let spokenAt = 0;

function panel(name) {
  for (const part of shell.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== name;
  $("room-says").hidden = !["waiting", "lobby"].includes(name); // it is about the line, and this place is no longer in it
  shell.dataset.state = name;
}

function showRoom(next) {
  if (!next || next === room) return;
  room = next;
  const badge = shell.querySelector(".badge");
  badge.className = `badge room-${next}`;
  badge.textContent = t(`line.room.${next}`);
  $("room-sentence").textContent = t(`line.room.says.${next}`);
}

function showMessage({ message, messages }) {
  const text = messages?.[data.lang] ?? message;
  const box = $("message");
  if ((box.querySelector("span")?.textContent ?? "") === (text ?? "")) return;
  box.replaceChildren();
  if (!text) return;
  const [line, heading, words] = ["p", "strong", "span"].map((name) => document.createElement(name));
  heading.textContent = t("line.message");
  words.textContent = text;
  line.append(heading, " ", words);
  box.append(line);
}

/** The countdown to the opening, and how many are here; then the order is drawn. */
function showLobby({ entries, opensAt }) {
  $("entries").textContent = show(entries);
  if (opensAt === opening) return;
  opening = opensAt;
  opens?.();
  opens = countdown(opensAt, (left) => {
    $("lobby-label").textContent = t(left ? "line.lobby.opens" : "line.lobby.drawing");
    $("lobby-left").textContent = left ? clock(left) : "";
  });
}

function showPlace({ number, ahead, etaSeconds, drawnOf }) {
  opens?.();
  $("drawn").hidden = !drawnOf;
  if (drawnOf) $("drawn").textContent = t("line.drawn", { n: show(drawnOf) });
  const eta = waitInWords(etaSeconds, room);
  $("ahead").textContent = show(ahead);
  $("ahead-label").textContent = t(ahead ? "line.ahead" : "line.next");
  $("number").textContent = show(number);
  $("eta").textContent = eta;
  const key = `start:${data.eventId}:${number}`;
  const from = Math.max(kept.get(key, 0), ahead);
  kept.set(key, from);
  const percent = from ? Math.floor(((from - ahead) / from) * 100) : 100;
  $("progress").value = percent;
  $("progress").setAttribute("aria-valuetext", t("line.progress.value", { percent }));
  document.title = `(${show(ahead)}) ${plainTitle}`;
  if (performance.now() - spokenAt > SPEAK_EVERY_MS || !ahead) {
    spokenAt = performance.now();
    $("ahead-spoken").textContent = ahead ? t("line.say", { ahead: show(ahead), eta }) : t("line.next");
  }
}

function flashTitle() {
  const flash = t("line.admitted.flash");
  document.title = flash;
  if (calm.matches) return () => {};
  let on = true;
  const timer = setInterval(() => { on = !on; document.title = on ? flash : plainTitle; }, 1000);
  return () => clearInterval(timer);
}

const turnKey = ({ reservation, wish }) => (reservation ? "line.admitted.held" : wish ? "line.admitted.none" : "line.admitted.lead");

function beginTurn(position) {
  $("admitted-lead").textContent = t(turnKey(position)); // the seats may be found a moment after the turn began
  if (turn) return;
  const stops = [flashTitle()];
  turn = () => { stops.forEach((stop) => stop()); turn = null; document.title = plainTitle; };
  if (position.claimBefore) {
    stops.push(countdown(position.claimBefore, (left) => { $("claim-left").textContent = t("line.admitted.before", { time: clock(left) }); }));
  }
  chime();
  $("enter").focus();
  const auto = () => { if ($("auto").checked && !document.hidden && state === "admitted") autoEnter(); };
  document.addEventListener("visibilitychange", auto);
  stops.push(() => document.removeEventListener("visibilitychange", auto));
  auto();
}

function autoEnter() {
  said(t("line.admitted.auto"));
  setTimeout(() => { if (state === "admitted" && !document.hidden) enter(); }, AUTO_ENTER_MS);
}

function said(text) {
  $("claim-notice").hidden = !text;
  $("claim-notice").textContent = text;
}

async function enter() {
  if (claiming || data.isPreview) return;
  claiming = true;
  $("enter").setAttribute("aria-disabled", "true");
  try {
    const answer = await insist(() => call("POST", `${base}/claim`, {}), () => said(t("common.busy")), 8);
    feed.stop();
    turn?.();
    location.assign(answer.reservation ? `/reservations/${answer.reservation.id}` : data.onward);
  } catch (error) {
    claiming = false;
    $("enter").removeAttribute("aria-disabled");
    said(data.texts[`kit.error.${error.code}`] ? t(`kit.error.${error.code}`) : t("common.failed"));
    feed.poll();
  }
}

function over(name, key = `line.${name}`) {
  turn?.();
  state = name;
  feed.stop();
  live("off");
  $(`${name}-title`).textContent = t(`${key}.title`);
  $(`${name}-lead`).textContent = t(`${key}.lead`);
  panel(name);
  document.title = `${t(`${key}.title`)} · ${plainTitle}`;
  $(`${name}-title`).focus();
}

/** The room has closed: seats held before can still be paid, and everyone is told why it closed. */
function close({ reservation, reason }) {
  const key = data.isSite ? "line.closed" : `line.closed.${reason}`; // a site may close without a sale that ends
  over("closed", data.texts[`${key}.title`] ? key : "line.closed");
  if (reservation?.status === "pending" && reason !== "event_cancelled") location.assign(`/reservations/${reservation.id}`);
}

/** The place ended in another tab, by leaving or by paying: the server knows which. */
function leave() {
  feed.stop();
  location.reload();
}

function news(name, position) {
  if (name === "message") return showMessage(position);
  if (position.reason === "left" || position.state === "left") return leave();
  if (name === "closed") return position.reason === "lapsed" ? over("lapsed") : close(position);
  showRoom(lineWord(position));
  showMessage(position);
  if (["lobby", "waiting", "admitted"].includes(position.state) && position.room === "closed") return close(position);
  const changed = position.state !== state;
  state = position.state;
  if (state === "lobby") showLobby(position);
  if (state === "waiting") { turn?.(); showPlace(position); }
  if (changed) panel(state);
  if (state === "admitted") beginTurn(position);
  if (state === "lapsed") over(state);
  if (state === "claimed" && changed) { turn?.(); feed.stop(); live("off"); }
}

function live(how) {
  $("connection").dataset.live = how;
  $("connection-text").textContent = how === "off" ? "" : t(`line.live.${how}`);
}

const feed = new Feed({
  streamUrl: `${base}/stream`,
  names: ["position", "admitted", "message", "closed"],
  read: () => call("GET", `${base}/position`),
  onNews: news,
  onLive: live,
  onRefused: (error) => over(error.code === "room_closed" ? "closed" : "none"),
  slot: `tiketi:stream:${data.eventId}`,
});

const auto = $("auto");
auto.checked = kept.get("auto", true);
auto.addEventListener("change", () => kept.set("auto", auto.checked));
soundButton();
$("claim").addEventListener("submit", (event) => { event.preventDefault(); enter(); });
if (["lobby", "waiting", "admitted"].includes(state)) {
  if (data.position) {
    if (state === "admitted") beginTurn(data.position);
    else if (state === "lobby") showLobby(data.position);
    else showPlace(data.position);
  }
  if (!data.isPreview) feed.start();
}
/** Say that nothing is left to be had, as long as that is so: people may choose to wait for what comes free. */
async function showSupply() {
  const { event, ticketTypes } = await call("GET", `/api/events/${data.eventId}`);
  const soldOut = event.status === "on_sale" && ticketTypes.some(({ total }) => total) && !ticketTypes.some(({ available }) => available);
  $("sold-out").hidden = !soldOut || !["waiting", "lobby"].includes(state);
  return false;
}
if (!data.isSite && ["lobby", "waiting"].includes(state)) watch(location.pathname, showSupply, SUPPLY_EVERY_MS);
if (data.isPreview) live("off");
else if (state === "none" && data.opensAt) {
  const [until, spread] = [Date.parse(data.opensAt), jitter(OPENING_SPREAD_MS)];
  if (until > now()) countdown(data.opensAt, (left) => { if (!left) setTimeout(() => location.reload(), spread); });
} else if (state === "none" && data.isSite && room !== "closed") {
  setTimeout(() => location.reload(), jitter(LOOK_AGAIN_MS)); // it may take people by then
}
if (!data.isPreview) window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
