// The seat map: one SVG inside a scrolling box, one listener for all seats, one tab stop for the whole map.
// Arrow keys move along a row and to the nearest seat of the next row; a seat's name says everything about it.
import { data, money, t } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";
const PITCH = 24; // drawing units between neighbours
const SEAT = 19;
const ZOOM_MAX = 4;
const STEP = 1.4;
const TAP_PX = 20; // seats closer together than this are too small for a finger: the first tap zooms in

const make = (name, attributes, parent) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
};

export class SeatMap {
  /** box: the scrolling element; seats: as the API gives them; onToggle(seat), onPoint(seat or null). */
  constructor(box, seats, layout, { onToggle, onPoint }) {
    Object.assign(this, { box, onToggle, onPoint });
    this.seats = seats;
    this.byId = new Map(seats.map((seat) => [seat.id, seat]));
    this.grades = new Map((data.grades ?? []).map((grade, i) => [grade, i % 8]));
    this.place(layout);
    this.draw(layout);
    this.listen();
    this.fit();
  }

  /** Rows in order, and the event's own coordinates scaled so that neighbours are one pitch apart. */
  place(layout) {
    this.rows = new Map();
    for (const seat of this.seats) {
      const key = `${seat.section}\n${seat.row}`;
      if (!this.rows.has(key)) this.rows.set(key, []);
      this.rows.get(key).push(seat);
    }
    const gaps = [];
    for (const row of this.rows.values()) {
      row.sort((a, b) => a.number - b.number);
      row.forEach((seat, i) => { seat.at = i; seat.mates = row; if (i) gaps.push(Math.hypot(seat.x - row[i - 1].x, seat.y - row[i - 1].y)); });
    }
    gaps.sort((a, b) => a - b);
    this.unit = PITCH / (gaps[gaps.length >> 1] || 1);
    const frame = layout?.width ? { x: 0, y: 0, width: layout.width, height: layout.height } : this.bounds();
    for (const seat of this.seats) { seat.px = (seat.x - frame.x) * this.unit; seat.py = (seat.y - frame.y) * this.unit; }
    this.width = frame.width * this.unit;
    this.height = frame.height * this.unit;
    this.type = Math.max(14, this.width / 110); // readable when the whole map is in view
  }

  /** Where the seats are, with room for names above them, for an event without a drawing. */
  bounds() {
    const edge = (axis, pick) => this.seats.reduce((far, seat) => pick(far, seat[axis]), this.seats[0]?.[axis] ?? 0);
    const gap = PITCH / this.unit;
    const [left, right, top, bottom] = [edge("x", Math.min), edge("x", Math.max), edge("y", Math.min), edge("y", Math.max)];
    return { x: left - gap * 2, y: top - gap * 2, width: right - left + gap * 4, height: bottom - top + gap * 4 };
  }

  draw(layout) {
    const svg = make("svg", { viewBox: `0 0 ${this.width} ${this.height}`, role: "grid", "aria-multiselectable": "true", "aria-label": t("shop.seats.map"), "aria-describedby": "map-help" });
    const art = make("g", { "aria-hidden": "true", transform: `scale(${this.unit})` }, svg);
    this.drawHall(art, layout);
    for (const row of this.rows.values()) {
      const { section, row: name } = row[0];
      const group = make("g", { role: "row", "aria-label": t("shop.seats.row.label", { section, row: name }) }, svg);
      for (const seat of row) this.drawSeat(seat, group);
    }
    this.svg = svg;
    this.box.replaceChildren(svg);
    this.current = this.seats.find((seat) => seat.status === "available") ?? this.seats[0];
    this.current?.element.setAttribute("tabindex", "0");
  }

  /** The stage and the sections with their names, behind the seats; for the eye only, each seat says its section. */
  drawHall(art, layout) {
    const size = this.type / this.unit;
    const name = (text, x, y) => { make("text", { x, y, "font-size": size, dy: ".35em" }, art).textContent = text; };
    for (const { path, label, x, y } of layout?.sections ?? []) {
      if (path) make("path", { class: "section", d: path }, art);
      name(label, x, y);
    }
    const stage = layout?.stage;
    if (!stage) return;
    make("path", { class: "stage", d: stage.path }, art);
    name(t("shop.seats.stage"), stage.labelX, stage.labelY);
  }

  drawSeat(seat, group) {
    seat.element = make("rect", { x: seat.px - SEAT / 2, y: seat.py - SEAT / 2, width: SEAT, height: SEAT, rx: 5, role: "gridcell", tabindex: "-1", "data-id": seat.id }, group);
    this.show(seat);
  }

  /** Bring one seat's look and name up to date. */
  show(seat) {
    const taken = seat.status !== "available" && !seat.mine;
    const look = `seat ${taken ? "taken" : `g${this.grades.get(seat.grade) ?? 7}`}${seat.mine ? " mine" : ""}${seat.marks?.length ? " marked" : ""}`;
    const element = seat.element;
    element.setAttribute("class", look);
    element.setAttribute("aria-selected", String(Boolean(seat.mine)));
    element.setAttribute("aria-disabled", String(taken));
    element.setAttribute("aria-label", this.label(seat));
  }

  label(seat) {
    const status = t(`shop.seats.status.${seat.mine ? "selected" : seat.status}`);
    const label = t("shop.seats.seat.label", { ...seat, price: money(seat.price), number: seat.name ?? String(seat.number), status });
    return [label, ...(seat.marks ?? []).map((mark) => t(`shop.seats.mark.${mark}`))].join(", ");
  }

  listen() {
    const seatOf = (event) => this.byId.get(event.target.dataset?.id);
    this.svg.addEventListener("click", (event) => {
      if (event.pointerType === "touch" && this.scale * PITCH < TAP_PX) return this.zoom(TAP_PX * 1.3 / (this.scale * PITCH), event.clientX, event.clientY);
      const seat = seatOf(event);
      if (seat) { this.focus(seat, false); this.onToggle(seat); }
    });
    this.svg.addEventListener("pointerover", (event) => this.onPoint(seatOf(event) ?? null));
    // Not on the drawing: Chromium makes one that listens for the focus a stop of its own, before the first seat.
    this.box.addEventListener("focusin", (event) => this.onPoint(seatOf(event) ?? null));
    this.svg.addEventListener("keydown", (event) => this.key(event, seatOf(event)));
    this.box.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // a plain wheel scrolls; pinching a touch pad arrives as ctrl + wheel
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 200), event.clientX, event.clientY);
    }, { passive: false });
    this.pinch();
    new ResizeObserver(() => { if (this.fitted) this.fit(); }).observe(this.box);
  }

  key(event, seat) {
    if (!seat || event.altKey || event.metaKey) return;
    const moves = {
      ArrowLeft: () => this.along(seat, -1), ArrowRight: () => this.along(seat, 1),
      ArrowUp: () => this.across(seat, -1), ArrowDown: () => this.across(seat, 1),
      Home: () => seat.mates[0], End: () => seat.mates[seat.mates.length - 1],
    };
    if (event.key in moves && !event.ctrlKey) {
      event.preventDefault();
      const next = moves[event.key]();
      if (next) this.focus(next);
    } else if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      this.onToggle(seat);
    } else if (event.key === "+" || event.key === "=") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
  }

  /** The next seat of the row; at its end, the nearest seat of another section at the same height. */
  along(seat, step) {
    const mate = seat.mates[seat.at + (seat.mates[seat.mates.length - 1].px >= seat.mates[0].px ? step : -step)];
    return mate ?? this.nearest(seat, (other) => (other.px - seat.px) * step > 1 && Math.abs(other.py - seat.py) < PITCH);
  }

  across(seat, step) {
    return this.nearest(seat, (other) => (other.py - seat.py) * step > PITCH / 3 && other.mates !== seat.mates, 4);
  }

  nearest(seat, wanted, sideways = 1) {
    let [best, least] = [null, Infinity];
    for (const other of this.seats) {
      if (!wanted(other)) continue;
      const far = Math.abs(other.px - seat.px) * sideways + Math.abs(other.py - seat.py);
      if (far < least) [best, least] = [other, far];
    }
    return best;
  }

  focus(seat, scroll = true) {
    this.current?.element.setAttribute("tabindex", "-1");
    this.current = seat;
    seat.element.setAttribute("tabindex", "0");
    seat.element.focus({ preventScroll: !scroll });
    if (scroll) seat.element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  fit() {
    const full = (this.box.clientWidth / this.width) * this.height; // no taller than the map needs
    this.box.style.height = `${Math.min(Math.max(full, 240), innerHeight * 0.65, 640)}px`;
    this.smallest = Math.min(this.box.clientWidth / this.width, this.box.clientHeight / this.height);
    this.resize(Math.min(this.smallest, 1.4));
    this.fitted = true;
  }

  resize(scale) {
    this.scale = scale;
    this.svg.setAttribute("width", Math.floor(this.width * scale));
    this.svg.setAttribute("height", Math.floor(this.height * scale));
  }

  /** Zoom by a factor, keeping the point under the fingers (or the middle) where it is. */
  zoom(factor, clientX, clientY) {
    const frame = this.box.getBoundingClientRect();
    const before = this.svg.getBoundingClientRect();
    const [x, y] = [clientX ?? frame.left + frame.width / 2, clientY ?? frame.top + frame.height / 2];
    const spot = [(x - before.left) / before.width, (y - before.top) / before.height];
    this.resize(Math.max(this.smallest, Math.min(ZOOM_MAX, this.scale * factor)));
    this.fitted = this.scale <= this.smallest;
    const after = this.svg.getBoundingClientRect();
    this.box.scrollBy(after.left + spot[0] * after.width - x, after.top + spot[1] * after.height - y);
  }

  pinch() {
    const fingers = new Map();
    let gap = 0;
    const distance = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY); };
    this.box.addEventListener("pointerdown", (event) => { if (event.pointerType === "touch") { fingers.set(event.pointerId, event); if (fingers.size === 2) gap = distance(); } });
    this.box.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, event);
      if (fingers.size !== 2) return;
      const [a, b] = [...fingers.values()];
      const now = distance();
      if (gap) this.zoom(now / gap, (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
      gap = now;
    });
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) this.box.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }

  zoomIn() { this.zoom(STEP); }
  zoomOut() { this.zoom(1 / STEP); }
}
