// Keeps the forms of this page good when somebody logs in or out in another tab of the browser, without a reload: what
// was typed or chosen here stays. Each page knows for whom its forms were made; the newest page tells the others.

import { kept } from "./page.js";

const KEY = "forms-for";
const markOf = (page) => page.querySelector("footer").dataset.formsFor;
let mark = markOf(document);

/** Take what depends on who is logged in from this page as the server makes it now. */
async function renew() {
  if (kept.get(KEY, mark) === mark) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", redirect: "manual" });
  if (!answer.ok) return; // it answered a form, or is another's now: what is pressed next says so
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const token = fresh.querySelector("input[name=csrf]")?.value;
  document.querySelector("header.top").replaceWith(fresh.querySelector("header.top"));
  for (const input of token ? document.querySelectorAll("input[name=csrf]") : []) input.value = token;
  mark = document.querySelector("footer").dataset.formsFor = markOf(fresh);
  kept.set(KEY, mark);
}

kept.set(KEY, mark);
const renewOrSay = () => renew().catch((error) => console.warn("the forms of this page could not be renewed", error));
window.addEventListener("storage", ({ key }) => { if (key === `tiketi:${KEY}`) renewOrSay(); });
window.addEventListener("pageshow", ({ persisted }) => { if (persisted) renewOrSay(); });
