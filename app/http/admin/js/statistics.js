// The statistics page: the figures the server drew, written anew as the feed tells them.
import { $, data, money, percent, show, stamp, t } from "./page.js";
import { call } from "./api.js";
import { Feed } from "./feed.js";

const url = "/api/admin/dashboard/stats";
const WRITE = { money, count: show, rate: percent };

function write(root, figures) {
  for (const cell of root.querySelectorAll("[data-field]")) {
    const value = figures[cell.dataset.field];
    cell.textContent = value === null || value === undefined ? "–" : WRITE[cell.dataset.kind](value);
  }
}

/** Rows by key; false if the server knows of one that is not on the page. */
function rows(table, figures, widest) {
  const drawn = [...table.querySelectorAll("tr[data-key]")];
  const most = widest ? Math.max(1, ...Object.values(figures).map((each) => each[widest])) : 1;
  for (const row of drawn) {
    const each = figures[row.dataset.key] ?? Object.fromEntries([...row.querySelectorAll("[data-field]")].map((cell) => [cell.dataset.field, 0]));
    write(row, each);
    row.querySelector("rect")?.setAttribute("width", String((100 * each[widest]) / most));
  }
  return Object.keys(figures).every((key) => drawn.some((row) => row.dataset.key === key));
}

function render({ totals, events, updatedAt }) {
  write($("totals"), totals);
  $("stats-at").textContent = stamp(updatedAt, data.zone);
  const whole = [
    rows($("grades"), Object.fromEntries(totals.grades.map((each) => [each.grade, each])), "sold"),
    rows($("statuses"), Object.fromEntries(Object.entries(totals.reservations).map(([status, count]) => [status, { count }])), "count"),
    rows($("events"), Object.fromEntries(events.map((each) => [each.eventId, each]))),
  ];
  if (whole.includes(false)) location.reload(); // something is sold for the first time: the server draws its row
}

new Feed({
  streamUrl: `${url}/stream`,
  names: ["stats"],
  read: async () => ({ pollAfterMs: 5000, ...(await call("GET", url)).stats }),
  onNews: (_, stats) => render(stats),
  onLive: (how) => {
    $("connection").dataset.live = how;
    $("connection-text").textContent = t(how === "lost" ? "admin.live.lost" : "admin.live.on");
  },
  onRefused: () => location.assign("/admin/login"),
}).start();
