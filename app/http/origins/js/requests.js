// For pages of a site behind a room: when a request of its scripts needs a turn, the page goes to wait and comes back.
// Embedded from /connect/requests.js of the waiting room, with data-hosts="shop.example api.shop.example".
// Wraps fetch and XMLHttpRequest for the named hosts, else for the page's own; leads nowhere but to where it came from.
(() => {
  "use strict";
  const own = document.currentScript;
  const room = new URL(own.src).host;
  const hosts = (own.dataset.hosts || location.host).split(/[\s,]+/).filter(Boolean);
  const ASKING = "x-queueit-ajaxpageurl";
  const TELLING = ["x-queueit-redirect", "x-tiketi-redirect"];

  const isNamed = (url) => {
    try {
      return hosts.includes(new URL(url, document.baseURI).host);
    } catch {
      return false; // the request will say what is wrong with it
    }
  };
  const here = () => encodeURIComponent(location.href);

  function follow(valueOf) {
    for (const name of TELLING) {
      const told = valueOf(name);
      if (!told) continue;
      let url;
      try {
        url = new URL(name === TELLING[0] ? decodeURIComponent(told) : told);
      } catch {
        continue;
      }
      if (url.host === room && /^https?:$/.test(url.protocol)) location.assign(url);
    }
  }

  const plainFetch = window.fetch;
  window.fetch = async function (input, init) {
    if (!isNamed(input instanceof Request ? input.url : input)) return plainFetch.call(this, input, init);
    const request = new Request(input, init);
    request.headers.set(ASKING, here());
    const response = await plainFetch.call(this, request);
    follow((name) => response.headers.get(name));
    return response;
  };

  const asking = new WeakSet();
  const { open, send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...more) {
    asking.delete(this);
    if (isNamed(url)) asking.add(this);
    return open.call(this, method, url, ...more);
  };
  XMLHttpRequest.prototype.send = function (body) {
    if (asking.has(this)) {
      this.setRequestHeader(ASKING, here());
      this.addEventListener("load", () => follow((name) => this.getResponseHeader(name)), { once: true });
    }
    return send.call(this, body);
  };
})();
