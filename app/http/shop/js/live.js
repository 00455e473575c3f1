// An event's seats live: over a WebSocket that says what was missed, by polling while there is none, and back to it later.

import { now, onWake } from "./page.js";

const POLL_MS = 2000;
const AGAIN_MAX_MS = 60000;
const QUIET_MS = 45000; // a socket that said nothing for so long is checked with one poll
const PLANNED = [1001, 1012]; // the socket's life is over, or the server stops: come back soon

const STATUS = { "seat-locked": "held", "seat-released": "available", "ticket-updated": "sold" };
const jitter = (ms) => ms * (0.75 + Math.random() / 2);

export class LiveSeats {
  /**
   * version(): the version of the map the page shows; onNews({version, seats: [{id, status}]}): it changed;
   * read(): catch up by one poll; onLive("stream" | "poll" | "lost").
   */
  constructor({ eventId, version, onNews, read, onLive }) {
    Object.assign(this, { eventId, version, onNews, read, onLive });
    this.failures = 0;
    this.seats = [];
  }

  start() {
    this.heardAt = now();
    window.addEventListener("offline", () => { this.onLive("lost"); this.drop(); this.later(); });
    window.addEventListener("online", () => { if (!this.socket) this.open(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.check(POLL_MS); });
    window.addEventListener("pagehide", () => this.drop());
    setInterval(() => this.check(QUIET_MS), 5000);
    onWake(() => this.check(0));
    this.open();
  }

  open() {
    clearTimeout(this.opening);
    this.drop();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    let socket;
    try {
      socket = new WebSocket(`${scheme}//${location.host}/ws/seats/${encodeURIComponent(this.eventId)}?since=${this.version()}`);
    } catch {
      return void this.later(); // sockets are forbidden here
    }
    this.socket = socket;
    socket.onmessage = (event) => { if (socket === this.socket) this.heard(JSON.parse(event.data)); };
    socket.onclose = (event) => { if (socket === this.socket) this.closed(event.code); };
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    this.seats = [];
    socket?.close();
  }

  closed(code) {
    this.socket = null;
    this.seats = [];
    if (!PLANNED.includes(code)) return void this.later();
    clearTimeout(this.opening);
    this.opening = setTimeout(() => this.open(), Math.random() * (this.afterMs ?? 2000));
  }

  /** The socket failed: poll, and try again ever more seldom. */
  later() {
    clearTimeout(this.opening);
    this.opening = setTimeout(() => this.open(), jitter(Math.min(1000 * 2 ** this.failures, AGAIN_MAX_MS)));
    this.failures += 1;
    if (!this.polling) { this.polling = true; this.poll(); }
  }

  heard(message) {
    this.heardAt = now();
    if (message.type === "hello") {
      this.failures = 0;
      this.polling = false;
      this.onLive("stream");
    } else if (message.type === "reload") this.catchUp();
    else if (message.type === "reconnect") this.afterMs = message.afterMs;
    else if (message.type in STATUS) this.take(message);
  }

  take(message) {
    const known = this.version();
    if (message.since > known) return void this.open(); // we missed something: ask for it
    if (message.version <= known) return;
    const ids = message.seatIds ?? message.sold;
    this.seats.push(...ids.map((id) => ({ id, status: STATUS[message.type] })));
    this.seats.push(...(message.blocked ?? []).map((id) => ({ id, status: "blocked" })));
    if (message.type !== "ticket-updated") return; // it ends what is told of a version
    const seats = this.seats;
    this.seats = [];
    this.onNews({ version: message.version, seats });
  }

  async poll() {
    if (!this.polling) return;
    if (!document.hidden) await this.catchUp();
    if (this.polling) setTimeout(() => this.poll(), POLL_MS);
  }

  async catchUp() {
    try {
      await this.read();
      if (!this.socket || this.polling) this.onLive("poll");
    } catch {
      this.onLive("lost");
    }
  }

  /** A connection may die without a word: if a poll knows more than a quiet socket, another is opened. */
  async check(quietMs) {
    if (!this.socket || this.polling || document.hidden || now() - this.heardAt < quietMs) return;
    this.heardAt = now();
    const { socket } = this;
    const known = this.version();
    await this.catchUp();
    if (this.version() > known && this.socket === socket) this.open();
  }
}
