// An admin's page of one room: live numbers and charts, and controls that say next to themselves what came of them.
import { $, data, now, show, stamp, t } from "./page.js";
import { call } from "./api.js";
import { duration } from "./duration.js";
import { Chart } from "./chart.js";
import { Feed } from "./feed.js";

const SPAN_MS = 600000;
const ADDRESSES_EVERY_MS = 3000;
const HEADERS = { "X-Requested-With": "tiketi" }; // a cookie alone must not change anything
const url = `/api/admin/events/${data.eventId}/admission`;
let numbers = data.numbers;
let samples = data.past; // what happened before this page was opened

const charts = [
  new Chart($("chart-people"), [{ key: "waiting" }], t("admin.room.chart.people")),
  new Chart($("chart-flow"), [{ key: "inflowPerSecond", label: t("admin.room.number.inflow") }, { key: "outflowPerSecond", label: t("admin.room.number.outflow") }], t("admin.room.chart.flow")),
  new Chart($("chart-inside"), [{ key: "admitted", label: t("admin.room.number.admitted") }, { key: "active", label: t("admin.room.number.active") }], t("admin.room.chart.inside")),
];

function timeToEmpty({ waiting, etaSeconds }) {
  if (!waiting) return t("admin.room.empty.now");
  const seconds = etaSeconds?.high ?? etaSeconds;
  return typeof seconds === "number" ? duration(seconds) : t("admin.room.empty.never");
}

/** How far the opening is; the countdown goes on between two samples. */
function opening() {
  const { draw, state, waiting, drawn, opensAt } = numbers;
  const left = (Date.parse(opensAt) - now()) / 1000;
  let text = drawn ? t("admin.room.stage.drawn", { n: drawn }) : "";
  if (draw === "closed") text = t("admin.room.stage.closed");
  else if (opensAt && ["scheduled", "lobby"].includes(state)) {
    const key = left <= 0 ? "now" : state === "lobby" ? "lobby" : "ahead";
    text = t(`admin.room.stage.${key}`, { n: waiting, time: duration(left) });
  }
  $("opening").hidden = !text;
  if ($("opening").textContent !== text) $("opening").textContent = text;
}

function render(sample) {
  numbers = { ...numbers, ...sample };
  const perSecond = (value) => show(Math.round((value ?? 0) * 10) / 10);
  const cells = {
    waiting: show(numbers.waiting), inflow: perSecond(numbers.inflowPerSecond), outflow: perSecond(numbers.outflowPerSecond),
    admitted: show(numbers.admitted), active: show(numbers.active),
    oldest: numbers.waiting ? duration(numbers.oldestWaitSeconds ?? 0) : "–", empty: timeToEmpty(numbers), last: show(numbers.lastNumber),
  };
  for (const [name, text] of Object.entries(cells)) if ($(`n-${name}`)) $(`n-${name}`).textContent = text;
  const badge = $("state").firstElementChild;
  badge.className = `badge room-${numbers.state}`;
  badge.textContent = t(`line.room.${numbers.state}`);
  $("full").hidden = !(numbers.waiting && numbers.admitted + numbers.active >= numbers.maxActive);
  buttons();
  opening();
  for (const form of document.querySelectorAll("form[data-field]")) {
    const input = form.querySelector("input");
    const server = String(numbers[form.dataset.field] ?? "");
    if (input.value === (input.dataset.server ?? input.value) && document.activeElement !== input) input.value = server;
    input.dataset.server = server;
  }
  showMessage();
}

/** What those read who read a language: its own text, or the one that is in none. */
const messageIn = ({ message, messages }, lang) => messages[lang] ?? (Object.keys(messages).length ? "" : message);

const textareas = () => $("message").querySelectorAll("textarea");

function showMessage() {
  for (const area of textareas()) {
    const server = messageIn(numbers, area.dataset.lang);
    if (area.value === (area.dataset.server ?? area.value) && document.activeElement !== area) area.value = server;
    area.dataset.server = server;
  }
}

function buttons() {
  for (const button of document.querySelectorAll("[data-door]")) {
    button.setAttribute("aria-pressed", button.dataset.door === numbers.door);
  }
  for (const button of document.querySelectorAll("[data-opening]")) {
    button.setAttribute("aria-pressed", button.dataset.opening === numbers.opening);
  }
  for (const button of document.querySelectorAll("[data-state]:is(button)")) {
    button.disabled = button.dataset.state === numbers.state;
    if (button.dataset.labelResume) button.textContent = ["paused", "draining"].includes(numbers.state) ? button.dataset.labelResume : button.dataset.labelOpen;
  }
}

function record(sample) {
  const { waiting, inflowPerSecond, outflowPerSecond, admitted, active } = sample;
  samples.push({ at: now(), waiting, inflowPerSecond, outflowPerSecond, admitted, active });
  samples = samples.filter(({ at }) => at > now() - SPAN_MS);
  for (const chart of charts) chart.show(samples);
}

const inWord = (field, value) => (typeof value === "object" ? inWords(value) : field === "state" ? t(`line.room.${value}`) : ["door", "opening"].includes(field) ? t(`admin.room.${field}.${value}`) : show(value));
const fieldName = (field) => (data.texts[`admin.room.field.${field}`] ? t(`admin.room.field.${field}`) : field);
const inWords = (change) => Object.entries(change).map(([field, value]) => `${fieldName(field)}: ${inWord(field, value)}`).join(", ");

function showChanges(changes) {
  if (!changes?.length) return;
  $("changes").replaceChildren(...changes.map(({ at, who, change }) => {
    const row = document.createElement("tr");
    for (const text of [stamp(at, data.zone), who, inWords(change)]) row.insertCell().textContent = text;
    return row;
  }));
}

/** Send one change; what came of it is said next to the control. */
async function change(body, said) {
  said.textContent = "";
  said.classList.remove("bad");
  try {
    const answer = await call("PATCH", url, body, { headers: HEADERS });
    render(answer);
    said.textContent = t("admin.room.applied");
    showChanges(answer.changes ?? (await call("GET", url)).changes);
  } catch (error) {
    said.classList.add("bad");
    said.textContent = error.body?.detail ?? t("common.failed");
    if (error.status === 401 || error.status === 403) location.assign("/admin/login");
  }
}

/** Next to the control: what it may be, and what it still is. */
function refuse(input, said) {
  said.classList.add("bad");
  said.textContent = t("admin.room.refused", { low: Number(input.min), high: Number(input.max), now: numbers[input.form.dataset.field] });
}

for (const form of document.querySelectorAll("form[data-field]")) {
  const said = form.querySelector(".said");
  form.addEventListener("input", () => { said.textContent = ""; });
  form.addEventListener("invalid", (event) => { event.preventDefault(); event.target.focus(); refuse(event.target, said); }, true);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = form.querySelector("input");
    input.dataset.server = input.value;
    change({ [form.dataset.field]: Number(input.value) }, said);
  });
}
$("message").addEventListener("input", () => { $("message-said").textContent = ""; });
$("message").addEventListener("submit", (event) => {
  event.preventDefault();
  const messages = {};
  for (const area of textareas()) {
    messages[area.dataset.lang] = area.value.trim();
    area.dataset.server = area.value;
  }
  change({ messages }, $("message-said"));
});
for (const button of document.querySelectorAll("button[data-state]")) {
  button.addEventListener("click", () => {
    button.closest("details")?.removeAttribute("open");
    change({ state: button.dataset.state }, $("state-said"));
  });
}
for (const button of document.querySelectorAll("[data-door]")) {
  button.addEventListener("click", () => change({ door: button.dataset.door }, button.getAttribute("aria-describedby") === "raise-said" ? $("raise-said") : $("door-said")));
}

for (const button of document.querySelectorAll("[data-opening]")) {
  button.addEventListener("click", () => change({ opening: button.dataset.opening }, $("opening-said")));
}

/** Who takes the places now: a flood shows while it happens. */
async function showAddresses() {
  try {
    const { pressed, addresses } = await call("GET", `/api/admin/events/${data.eventId}/door`);
    $("pressed").hidden = !pressed;
    if (!addresses.length) return;
    $("addresses").replaceChildren(...addresses.map(({ network, took, asked }) => {
      const row = document.createElement("tr");
      row.insertCell().textContent = network;
      for (const count of [took, asked]) {
        const cell = row.insertCell();
        cell.className = "number";
        cell.textContent = show(count);
      }
      return row;
    }));
  } finally {
    setTimeout(() => showAddresses().catch(console.warn), ADDRESSES_EVERY_MS);
  }
}

/** What another admin changed is in the list as well. */
async function followChanges(before, after) {
  const changed = [...document.querySelectorAll("form[data-field]")].some(({ dataset: { field } }) => field in after && after[field] !== before[field])
    || after.message !== before.message || JSON.stringify(after.messages) !== JSON.stringify(before.messages);
  if (changed || after.state !== before.state) showChanges((await call("GET", url)).changes);
}

new Feed({
  streamUrl: `${url}/stream`,
  names: ["sample"],
  read: async () => ({ pollAfterMs: 2000, ...(await call("GET", url)) }),
  onNews: (_, sample) => {
    if (Date.parse(sample.updatedAt) < Date.parse(numbers.updatedAt)) return; // it was under way while the room was changed
    if (sample.changes) showChanges(sample.changes);
    else followChanges(numbers, sample).catch(console.warn); // the next change shows them all
    render(sample);
    record(sample);
  },
  onLive: (how) => {
    $("connection").dataset.live = how;
    $("connection-text").textContent = t(how === "lost" ? "admin.live.lost" : "admin.live.on");
  },
  onRefused: () => location.assign("/admin/login"),
}).start();
showAddresses().catch(console.warn);
render(numbers);
setInterval(opening, 1000);
for (const chart of charts) chart.show(samples);
