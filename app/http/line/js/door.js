// Joining a line: what its door asks for is worked out by workers while a bar fills, and the join is sent again.
import { $, data } from "./page.js";
import { Refused, call, insist } from "./api.js";

const WORKERS_MAX = 4;
const ROUNDS_MAX = 6; // challenges solved for one place: a further one is asked for if the first was used or got old
const CAPTCHA_TRIES = 100; // tenths of a second until its script is ready
const ASK_AGAIN = ["captcha_refused", "solution_invalid", "solution_expired", "solution_foreign", "solution_spent"];

/** Whether this page can do the work: browsers have WebCrypto on https and on this machine only. */
export const canWork = Boolean(globalThis.crypto?.subtle && globalThis.Worker);

/** Solve a challenge; `onShare` is told how much of the most it may take is done. The value of X-Challenge-Solution. */
function solve(challenge, onShare) {
  const count = Math.max(1, Math.min(WORKERS_MAX, (navigator.hardwareConcurrency || 2) - 1));
  const workers = Array.from({ length: count }, () => new Worker(new URL("./solver.js", import.meta.url)));
  let tried = 0;
  const solved = new Promise((resolve, reject) => {
    workers.forEach((worker, first) => {
      worker.addEventListener("error", reject);
      worker.addEventListener("message", ({ data: said }) => {
        if (said.solution) return resolve(btoa(JSON.stringify({ challenge, solution: said.solution })));
        tried += said.tried;
        onShare(tried / challenge.parameters.data.most);
      });
      worker.postMessage({ parameters: challenge.parameters, first, step: count });
    });
  });
  return solved.finally(() => workers.forEach((worker) => worker.terminate()));
}

/** Have the person solve a CAPTCHA (Turnstile, hCaptcha and reCAPTCHA are drawn alike): its token. */
async function askPerson({ siteKey, scriptUrl }) {
  const found = () => [globalThis.turnstile, globalThis.hcaptcha, globalThis.grecaptcha].find((api) => api?.render);
  if (!found()) {
    await new Promise((resolve, reject) => {
      document.head.append(Object.assign(document.createElement("script"), { src: scriptUrl, onload: resolve, onerror: reject }));
    });
  }
  for (let tries = 0; !found() && tries < CAPTCHA_TRIES; tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
  const place = document.createElement("div"); // a widget is drawn once in a place
  $("join-captcha-widget").replaceChildren(place);
  $("join-captcha").hidden = false;
  try {
    return await new Promise((resolve, reject) => {
      found().render(place, { sitekey: siteKey, callback: resolve, "error-callback": () => reject(new Error("captcha")) });
    });
  } finally {
    $("join-captcha").hidden = true;
  }
}

function showWork(share) {
  $("join-work").hidden = share === undefined;
  if (share !== undefined) $("join-work-done").value = share;
}

/** Whether this browser keeps cookies for this site. Without them each press would take a number that nobody can show. */
export function keepsCookies() {
  const pair = "tiketi_check=1";
  const ways = window === window.top ? ["SameSite=Lax"] : ["SameSite=Lax", "SameSite=None; Secure; Partitioned"];
  for (const way of ways) document.cookie = `${pair}; Path=/; ${way}`;
  const kept = document.cookie.includes(pair);
  for (const way of ways) document.cookie = `${pair}; Path=/; ${way}; Max-Age=0`;
  return kept;
}

/** Take a place in the line, and work for it if that is asked. Throws Refused as `call` does. */
export async function join(wish, onTrouble) {
  if (!keepsCookies()) throw new Refused(403, { code: "cookies_needed" });
  let headers = {};
  try {
    for (let round = 0; ; round += 1) {
      try {
        return await insist(() => call("POST", `/api/queue/${data.eventId}/join`, wish ? { wish } : {}, { headers }), onTrouble);
      } catch (error) {
        const challenge = error.code === "challenge_required" && error.body.challenge;
        const captcha = error.code === "challenge_required" && error.body.captcha;
        if (round >= ROUNDS_MAX || !(captcha || (challenge && canWork) || ASK_AGAIN.includes(error.code))) throw error;
        headers = {};
        if (challenge) headers = { "X-Challenge-Solution": await solve(challenge, showWork) };
        if (captcha) headers = { "X-Captcha-Token": await askPerson(captcha).catch(() => { throw error; }) };
      }
    }
  } finally {
    showWork();
  }
}
