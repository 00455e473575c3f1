// The list of reservations: drawn anew when one was paid, ended or made elsewhere.
import { call } from "./api.js";
import { watch } from "./changed.js";

const drawn = [...document.querySelectorAll("[data-id]")].map(({ dataset }) => `${dataset.id} ${dataset.status}`);

watch("/reservations", async () => {
  const { reservations, next } = await call("GET", "/api/reservations/my");
  const told = reservations.map(({ id, status }) => `${id} ${status}`);
  return told.join() !== (next ? drawn.slice(0, told.length) : drawn).join();
});
