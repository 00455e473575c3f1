// News about one thing over a stream, or by polling when streaming is impossible; back to the stream later.
// One tab per line holds a stream (browsers allow six connections per site); the other tabs poll.

import { now, onWake } from "./page.js";

const QUIET_MS = 45000; // a stream that said nothing for so long is checked with one poll
const STREAM_AGAIN_MS = 60000;
const OPENING_MS = 10000;
const POLL_MS = 3000;

export class Feed {
  /**
   * names: events that carry news; read(): one poll, may give pollAfterMs; onNews(name, json); onLive("stream" | "poll" | "lost");
   * onRefused(error): the poll was refused for good, the feed has stopped.
   */
  constructor({ streamUrl, names, read, onNews, onLive, onRefused, slot }) {
    Object.assign(this, { streamUrl, names, read, onNews, onLive, onRefused, slot });
    this.pollAfterMs = POLL_MS;
    this.failures = 0;
    this.stopped = false;
    this.heardAt = now();
    this.onOffline = () => this.onLive("lost");
    this.onOnline = () => this.poll();
    this.onVisible = () => { if (!document.hidden && now() - this.heardAt > 5000) this.poll(); };
  }

  start() {
    document.addEventListener("visibilitychange", this.onVisible);
    window.addEventListener("online", this.onOnline);
    window.addEventListener("offline", this.onOffline);
    this.watch = setInterval(() => this.check(), 5000);
    onWake(() => this.poll());
    this.tryStream();
  }

  stop() {
    this.stopped = true;
    document.removeEventListener("visibilitychange", this.onVisible);
    window.removeEventListener("online", this.onOnline);
    window.removeEventListener("offline", this.onOffline);
    clearInterval(this.watch);
    clearTimeout(this.pollTimer);
    clearTimeout(this.streamTimer);
    this.closeStream();
  }

  tryStream() {
    if (this.stopped || this.source) return;
    if (!("EventSource" in window) || !this.streamUrl) return void this.schedulePoll(0);
    if (!this.slot || !navigator.locks) return void this.openStream();
    navigator.locks.request(this.slot, { ifAvailable: true }, (lock) => {
      if (!lock || this.stopped) return void this.fallBack();
      this.openStream();
      return new Promise((release) => { this.release = release; });
    }).catch((error) => {
      if (error.name !== "SecurityError") throw error;
      if (!this.stopped) this.openStream(); // in a frame of another site there may be no locks: then each tab streams
    });
  }

  openStream() {
    const source = new EventSource(this.streamUrl);
    this.source = source;
    this.opening = setTimeout(() => { if (source.readyState !== 1) this.fallBack(); }, OPENING_MS);
    source.onopen = () => {
      clearTimeout(this.opening);
      clearTimeout(this.pollTimer);
      this.pollTimer = 0;
      this.failures = 0;
      this.heardAt = now();
      this.onLive("stream");
    };
    source.onerror = () => {
      if (source.readyState === 2) this.fallBack();
      else {
        this.onLive("lost"); // the browser reconnects by itself; if it does not in time, we poll
        clearTimeout(this.opening);
        this.opening = setTimeout(() => { if (source.readyState !== 1) this.fallBack(); }, OPENING_MS);
      }
    };
    for (const name of this.names) {
      source.addEventListener(name, (event) => { if (event.data) this.heard(name, JSON.parse(event.data)); });
    }
    source.addEventListener("reconnect", () => {
      this.closeStream();
      this.streamTimer = setTimeout(() => this.tryStream(), Math.random() * 2000);
    });
  }

  closeStream() {
    clearTimeout(this.opening);
    this.source?.close();
    this.source = null;
    this.release?.();
    this.release = null;
  }

  fallBack() {
    this.closeStream();
    if (this.stopped) return;
    clearTimeout(this.streamTimer);
    this.streamTimer = setTimeout(() => this.tryStream(), STREAM_AGAIN_MS * (0.75 + Math.random() / 2));
    if (!this.pollTimer) this.schedulePoll(Math.random() * 1000);
  }

  schedulePoll(after) {
    clearTimeout(this.pollTimer);
    this.pollTimer = setTimeout(() => this.poll(), after);
  }

  async poll() {
    if (this.stopped || this.polling) return;
    this.polling = true;
    try {
      const answer = await this.read();
      this.failures = 0;
      this.onLive(this.source?.readyState === 1 ? "stream" : "poll"); // a stream may outlive a short time off the network
      this.heard("position", answer);
    } catch (error) {
      if (error.status && error.status < 500 && error.status !== 429) {
        this.stop();
        return void this.onRefused(error);
      }
      this.failures += 1;
      if (!this.source || this.failures > 1) this.onLive("lost");
      this.retryAfterMs = (error.retryAfter || 0) * 1000;
    } finally {
      this.polling = false;
      this.pollTimer = 0;
    }
    if (!this.source && !this.stopped) this.schedulePoll(this.nextPoll());
  }

  nextPoll() {
    if (!this.failures) return this.pollAfterMs;
    return Math.max(this.retryAfterMs || 0, Math.min(this.pollAfterMs * 2 ** this.failures, 30000)) * (0.75 + Math.random() / 2);
  }

  heard(name, news) {
    if (this.stopped) return;
    this.heardAt = now();
    if (news.pollAfterMs) this.pollAfterMs = news.pollAfterMs;
    this.onNews(name, news);
  }

  check() {
    if (this.source && now() - this.heardAt > Math.max(QUIET_MS, this.pollAfterMs * 2)) this.poll();
  }
}
