// For the page on which a visit to a site behind a room is over, such as "thank you": gives the visitor's place to the next.
// Embedded from /connect/thanks.js of the waiting room. Asks this page's own address, so the pass goes along that opened it
// and ends this visit and no other; what stands before the site answers, and the site sees nothing of it.
(() => {
  "use strict";
  const end = () => fetch(location.pathname + location.search, {
    method: "HEAD", headers: { "Tiketi-Visit": "end" }, credentials: "same-origin", redirect: "manual", cache: "no-store", keepalive: true,
  }).catch(console.warn);
  if (document.prerendering) document.addEventListener("prerenderingchange", end, { once: true });
  else end();
})();
