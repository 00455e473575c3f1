// What every page's script needs: the page's data, its words, numbers, money, and the server's clock.
// Data arrives in one JSON block, because inline scripts are forbidden by the content security policy.

const block = document.getElementById("page-data");
export const data = block ? JSON.parse(block.textContent) : { texts: {}, lang: "ko" };

const plural = new Intl.PluralRules(data.lang);
const grouped = new Intl.NumberFormat(data.lang);
const share = new Intl.NumberFormat(data.lang, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** The sentence for a key; numbers get separators, `n` chooses the plural form. */
export function t(key, values = {}) {
  let entry = data.texts[key];
  if (entry === undefined) return key;
  if (typeof entry === "object") entry = entry[plural.select(values.n)] ?? entry.other;
  return entry.replace(/\{(\w+)\}/g, (_, name) => show(values[name]));
}

export const show = (value) => (typeof value === "number" ? grouped.format(value) : String(value ?? ""));
export const percent = (value) => share.format(value);
export const stamp = (iso, zone) => new Intl.DateTimeFormat("sv", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }).format(new Date(iso));
export const money = (amount) => t("common.money", { amount });
export const $ = (id) => document.getElementById(id);

/** Seconds as 4:05 or 1:02:09. */
export function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const pad = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (h >= 48) return t("common.days", { n: Math.floor(h / 24), time: `${pad(h % 24)}:${pad(m)}:${pad(s)}` });
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

// The server's clock: where the page's first byte arrived, plus the time the server wrote into it. Late by one way of
// the network, never early, so nothing is asked for before its time.
let offset = 0;
const arrived = performance.getEntriesByType("navigation")[0]?.responseStart || 0;
if (data.now) offset = Date.parse(data.now) - (performance.timeOrigin + arrived);
const steady = () => performance.timeOrigin + performance.now();
const JUMP_MS = 1000;
let ahead = Date.now() - steady(); // of the wall clock: it grows while the device sleeps, when browsers stop the steady one

/** The server's time in Unix ms, also right after the device slept. */
export function now() {
  const gap = Date.now() - steady();
  if (gap - ahead > JUMP_MS) offset += gap - ahead; // if the clock was only set, the next answer puts it right
  ahead = gap;
  return steady() + offset;
}

/** Set the clock from an answer's Date header, which says the second (and is up to another old), if it cannot be right. */
export function setClock(date, askedMs) {
  const told = Date.parse(date);
  if (!told) return;
  const [least, most] = [told, told + 2000 + (now() - askedMs)];
  offset += Math.max(least - now(), 0) + Math.min(most - now(), 0);
}

/** Call `listener` within a second of this page's going on after a sleep, of the device or of the tab. */
export function onWake(listener) {
  let beat = now();
  setInterval(() => {
    const slept = now() - beat > 3 * JUMP_MS;
    beat = now();
    if (slept && !document.hidden) listener();
  }, JUMP_MS);
}

/** Call `tick(secondsLeft)` every second until the moment has passed (the last call has 0); returns a stop function. */
export function countdown(until, tick) {
  const end = typeof until === "number" ? until : Date.parse(until);
  let timer;
  const step = () => {
    const left = (end - now()) / 1000;
    tick(Math.max(0, left));
    if (left > 0) timer = setTimeout(step, (left * 1000) % 1000 || 1000); // a sleep leaves at most a second of it
  };
  step();
  return () => clearTimeout(timer);
}

/** A choice kept in this browser. Storage may be forbidden; then it lasts as long as the page. */
export const kept = {
  get(key, fallback) {
    try { return JSON.parse(localStorage.getItem(`tiketi:${key}`)) ?? fallback; } catch { return fallback; }
  },
  set(key, value) {
    try { localStorage.setItem(`tiketi:${key}`, JSON.stringify(value)); } catch { /* the page works without */ }
  },
};

export function notice(element, text, kind) {
  if (!element) return;
  element.hidden = !text;
  element.textContent = text || "";
  if (kind) element.className = `notice ${kind}`;
}

for (const element of document.querySelectorAll("[data-script-only]")) element.removeAttribute("data-script-only");
