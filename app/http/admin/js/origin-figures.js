// What happens at a site: the figures the server drew, written anew as the feed tells them.
import { $, data, show, stamp, t } from "./page.js";
import { call } from "./api.js";
import { duration } from "./duration.js";
import { Feed } from "./feed.js";

const url = `/api/admin/origins/${data.origin}/figures`;
const WRITE = { count: show, rate: (value) => show(Math.round(value * 10) / 10), time: duration };

function write(root, figures) {
  for (const cell of root.querySelectorAll("[data-kind]")) {
    const value = figures[cell.dataset.field];
    cell.textContent = value === null ? "–" : WRITE[cell.dataset.kind](value);
  }
}

/** What the page has rows for, as app/http/admin/pages/origin_figures.py says it. */
function drawn({ rooms, connectorRefused, warnings, errors }) {
  const rows = [...rooms.map((each) => each.room), ...Object.keys(connectorRefused).sort()];
  const told = [...warnings.map((each) => [each.warning, each.room]), ...errors.map((each) => [each.error, each.room])];
  return [...rows, ...told.map(([what, room]) => `${what} ${room ?? "None"}`)].join("\n");
}

function render(figures) {
  if (drawn(figures) !== data.drawn) return void location.reload(); // something happened for the first time: the server draws its row
  write($("totals"), figures.totals);
  $("figures-at").textContent = stamp(figures.updatedAt, data.zone);
  for (const row of $("rooms").querySelectorAll("tr[data-key]")) write(row, figures.rooms.find((each) => each.room === row.dataset.key));
  for (const cell of document.querySelectorAll("[data-refused]")) cell.textContent = show(figures.refused[cell.dataset.refused]);
  for (const cell of document.querySelectorAll("[data-connector]")) cell.textContent = show(figures.connectorRefused[cell.dataset.connector]);
  const ahead = figures.connectorAheadSeconds;
  $("ahead").textContent = ahead === null ? "–" : t("admin.figures.ahead", { s: Math.round(ahead) });
  for (const each of figures.errors) {
    const row = document.querySelector(`#errors tr[data-key="${each.error} ${each.room ?? ""}"]`);
    row.querySelector('[data-field="at"]').textContent = stamp(each.at, data.zone);
    row.querySelector('[data-field="inLastHour"]').textContent = show(each.inLastHour);
  }
}

new Feed({
  streamUrl: `${url}/stream`,
  names: ["figures"],
  read: async () => ({ pollAfterMs: 5000, ...(await call("GET", url)).figures }),
  onNews: (_, figures) => render(figures),
  onLive: (how) => {
    $("connection").dataset.live = how;
    $("connection-text").textContent = t(how === "lost" ? "admin.live.lost" : "admin.live.on");
  },
  onRefused: () => location.assign("/admin/login"),
}).start();
