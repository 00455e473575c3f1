// A worker that tries counters of a challenge (ALTCHA's open format, version 2) until one derives the key that is asked for.
const AT_ONCE = 32; // derivations under way together: the browser spreads them, and none waits for the page between two

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function derive(parameters, counter) {
  const nonce = bytes(parameters.nonce);
  const password = new Uint8Array(nonce.length + 4);
  password.set(nonce);
  new DataView(password.buffer).setUint32(nonce.length, counter);
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt: bytes(parameters.salt), iterations: parameters.cost };
  return { counter, derivedKey: hex(await crypto.subtle.deriveBits(how, key, parameters.keyLength * 8)) };
}

/** Tries `first`, `first` + `step`, …; tells how many were tried, and then the solution. */
self.addEventListener("message", async ({ data: { parameters, first, step } }) => {
  const most = parameters.data.most;
  for (let from = first; from < most; from += step * AT_ONCE) {
    const counters = Array.from({ length: AT_ONCE }, (_, at) => from + at * step).filter((counter) => counter < most);
    const derived = await Promise.all(counters.map((counter) => derive(parameters, counter)));
    const solution = derived.find(({ derivedKey }) => derivedKey.startsWith(parameters.keyPrefix));
    if (solution) return self.postMessage({ solution });
    self.postMessage({ tried: counters.length });
  }
});
