// Calls to our own API: JSON in, JSON out, a time limit on each, refusals as one kind of error with a stable code.

import { now, setClock } from "./page.js";

const TIMEOUT_MS = 12000;

export class Refused extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || `HTTP ${status}`);
    Object.assign(this, { status, body, code: body.code || "failed", retryAfter });
  }
}

/** Ask the API. Throws Refused for an answer that is not 2xx, TypeError or TimeoutError when none came. */
export async function call(method, url, body, { headers = {}, timeout = TIMEOUT_MS } = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, signal: AbortSignal.timeout(timeout), cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const asked = now();
  const response = await fetch(url, options);
  setClock(response.headers.get("Date"), asked);
  const type = response.headers.get("Content-Type") || "";
  const answer = type.includes("json") ? await response.json() : {};
  if (!response.ok) throw new Refused(response.status, answer, Number(response.headers.get("Retry-After")) || 0);
  return answer;
}

/** Whether trying the same call again may help: no answer, too many requests, or a server that is down for now. */
export const passing = (error) => !(error instanceof Refused) || error.status === 429 || error.status >= 500;

/** Repeat a call that is safe to repeat until it is answered: waits 1, 2, 4 … 15 s with jitter, or Retry-After. */
export async function insist(attempt, onTrouble, tries = 40) {
  for (let round = 0; ; round += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!passing(error) || round >= tries) throw error;
      onTrouble(error);
      const wait = error.retryAfter ? error.retryAfter * 1000 : Math.min(1000 * 2 ** round, 15000);
      await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
    }
  }
}
