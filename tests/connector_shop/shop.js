// A shop that knows nothing of the waiting room but what its connector, as published, makes of a configuration.
// Argument: a JSON object {customerId, secret, apiKey, configUrl, config, aheadS, enqueueKey}; `config` instead of what
// is at the address. Prints its port once it listens.
"use strict";
const http = require("node:http");
const { createHmac } = require("node:crypto");
const { createRequire } = require("node:module");

const settings = JSON.parse(process.argv[2]);
const RealDate = Date;
const aheadMs = (settings.aheadS || 0) * 1000; // how far its clock is ahead
globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length ? given : [RealDate.now() + aheadMs]));
  }
  static now() {
    return RealDate.now() + aheadMs;
  }
};

const installed = createRequire(`${process.cwd()}/`);
const { KnownUser, DefaultEnqueueTokenProvider } = installed("@queue-it/connector-javascript");
const { Token, Payload } = installed("@queue-it/queue-token");

/** What the connector asks of whoever embeds it. */
function contextOf(request, url, response) {
  const cookies = new Map();
  for (const pair of (request.headers.cookie || "").split(/; */)) {
    const at = pair.indexOf("=");
    if (at > 0) cookies.set(pair.slice(0, at), decodeURIComponent(pair.slice(at + 1)));
  }
  const set = [];
  const context = {
    getCryptoProvider: () => ({
      getSha256Hash: (secret, text) => createHmac("sha256", secret).update(text).digest("hex"),
    }),
    getHttpRequest: () => ({
      getUserAgent: () => request.headers["user-agent"] || "",
      getHeader: (name) => request.headers[name.toLowerCase()] || "",
      getAbsoluteUri: () => url,
      getUserHostAddress: () => request.socket.remoteAddress,
      getCookieValue: (name) => cookies.get(name),
      getRequestBodyAsString: () => "",
    }),
    getHttpResponse: () => ({
      setCookie(name, value, domain, expires, httpOnly, secure) {
        const until = new RealDate(expires * 1000).toUTCString();
        const flags = (httpOnly ? "; HttpOnly" : "") + (secure ? "; Secure" : "") + (domain ? `; Domain=${domain}` : "");
        set.push(`${name}=${encodeURIComponent(value)}; Path=/; Expires=${until}${flags}`);
        response.setHeader("Set-Cookie", set);
      },
    }),
  };
  if (settings.enqueueKey) {
    class Provider extends DefaultEnqueueTokenProvider {
      getEnqueueTokenKey() {
        return settings.enqueueKey;
      }
    }
    const made = [settings.customerId, settings.secret, 60000, request.socket.remoteAddress, true, Token, Payload];
    context.getEnqueueTokenProvider = () => new Provider(...made);
  }
  return context;
}

/** The configuration, loaded anew each time, so that no test waits for it. */
async function loaded() {
  if (settings.config) return JSON.stringify(settings.config);
  const answered = await fetch(settings.configUrl, { headers: { "api-key": settings.apiKey } });
  if (!answered.ok) throw new Error(`the configuration is not to be had: ${answered.status}`);
  return answered.text();
}

async function answer(request, response) {
  const url = new URL(request.url, `http://${request.headers.host}`);
  const token = url.searchParams.get("queueittoken") || "";
  const bare = `${url.origin}${request.url}`.replace(/([?&])queueittoken=[^&]*/, "$1").replace(/[?&]$/, "");
  const context = contextOf(request, `${url.origin}${request.url}`, response);
  const result = await KnownUser.validateRequestByIntegrationConfig(
    bare, token, await loaded(), settings.customerId, settings.secret, context,
  );
  response.setHeader("Cache-Control", "no-store");
  if (result.doRedirect()) {
    if (result.isAjaxResult) {
      response.setHeader(result.getAjaxQueueRedirectHeaderKey(), result.getAjaxRedirectUrl());
      response.setHeader("Access-Control-Expose-Headers", result.getAjaxQueueRedirectHeaderKey());
      return response.end();
    }
    response.statusCode = 302;
    response.setHeader("Location", result.redirectUrl);
  } else if (token && result.actionType === "Queue") {
    response.statusCode = 302;
    response.setHeader("Location", bare);
  } else {
    response.setHeader("Content-Type", "application/json");
    return response.end(JSON.stringify({ shop: url.pathname, action: result.actionType, queueId: result.queueId }));
  }
  response.end();
}

const server = http.createServer((request, response) => {
  answer(request, response).catch((error) => {
    response.statusCode = 500;
    response.end(String(error.stack || error));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume(); // ends with whoever started it
