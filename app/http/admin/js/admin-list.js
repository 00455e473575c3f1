// An admin's list of rooms: fresh numbers every two seconds while the page is in view.
import { show, t } from "./page.js";
import { call } from "./api.js";

const EVERY_MS = 2000;
const rows = [...document.querySelectorAll("tr[data-event]")];

function render(row, numbers) {
  for (const cell of row.querySelectorAll("[data-field]")) {
    const value = numbers[cell.dataset.field];
    if (cell.dataset.field !== "state") cell.textContent = show(typeof value === "number" ? Math.round(value * 10) / 10 : "–");
    else {
      cell.firstElementChild.className = `badge room-${value}`;
      cell.firstElementChild.textContent = t(`line.room.${value}`);
    }
  }
}

async function refresh() {
  for (const row of document.hidden ? [] : rows) {
    try {
      render(row, await call("GET", `/api/admin/events/${row.dataset.event}/admission`));
    } catch (error) {
      if (error.status === 401 || error.status === 403) return void location.assign("/admin/login");
    }
  }
  setTimeout(refresh, EVERY_MS);
}
refresh();
