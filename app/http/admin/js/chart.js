// A small line chart on a canvas: the last ten minutes of one or two series, with what was under the pointer.
import { now, show, t } from "./page.js";

const SPAN_MS = 600000;
const GAP_MS = 12000; // what was before the page was opened is told every four seconds
const PAD = { left: 60, right: 8, top: 8, bottom: 18 };
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A round ceiling for the axis: 1, 2 or 5 times a power of ten. */
export function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value);
}

export class Chart {
  constructor(canvas, fields, title) {
    Object.assign(this, { canvas, fields, title, samples: [], pointer: null });
    canvas.addEventListener("pointermove", (event) => { this.pointer = event.offsetX; this.draw(); });
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.draw(); });
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  show(samples) {
    this.samples = samples;
    const last = samples.at(-1);
    if (last) this.canvas.setAttribute("aria-label", t("admin.room.chart.label", { what: this.title, now: this.inWords(last) }));
    this.draw();
  }

  inWords(sample) {
    return this.fields.map(({ key, label }) => (label ? `${label} ${show(sample[key])}` : show(sample[key]))).join(", ");
  }

  draw() {
    const { canvas, samples } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px system-ui, sans-serif";
    const end = samples.at(-1)?.at ?? now();
    const top = ceiling(Math.max(1, ...this.fields.flatMap(({ key }) => samples.map((sample) => sample[key] ?? 0))) * 1.05);
    const box = { x: PAD.left, y: PAD.top, w: width - PAD.left - PAD.right, h: height - PAD.top - PAD.bottom };
    const x = (at) => box.x + box.w * (1 - (end - at) / SPAN_MS);
    const y = (value) => box.y + box.h * (1 - value / top);
    this.axes(pen, box, top);
    this.fields.forEach(({ key }, i) => this.line(pen, samples, key, x, y, i));
    if (this.pointer !== null && samples.length) this.point(pen, box, x, y);
  }

  axes(pen, box, top) {
    pen.strokeStyle = style("--line");
    pen.fillStyle = style("--quiet");
    pen.textAlign = "right";
    for (const share of [0, 0.5, 1]) {
      const at = box.y + box.h * (1 - share);
      pen.beginPath();
      pen.moveTo(box.x, Math.round(at) + 0.5);
      pen.lineTo(box.x + box.w, Math.round(at) + 0.5);
      pen.stroke();
      if (Number.isInteger(top * share)) pen.fillText(show(top * share), box.x - 6, at + 4);
    }
    for (const minutes of [10, 5, 0]) {
      pen.textAlign = minutes === 10 ? "left" : minutes ? "center" : "right";
      pen.fillText(minutes ? t("admin.room.chart.ago", { n: minutes }) : t("admin.room.chart.now"), box.x + box.w * (1 - minutes / 10), box.y + box.h + 14);
    }
  }

  line(pen, samples, key, x, y, i) {
    pen.strokeStyle = style(`--s${i}`);
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.setLineDash(i ? [5, 3] : []);
    pen.beginPath();
    let before = 0;
    for (const sample of samples) {
      if (sample[key] === null) continue;
      const gap = sample.at - before > GAP_MS; // the feed was away: no line over what nobody saw
      pen[gap ? "moveTo" : "lineTo"](x(sample.at), y(sample[key] ?? 0));
      before = sample.at;
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  point(pen, box, x, y) {
    const nearest = this.samples.reduce((best, sample) => (Math.abs(x(sample.at) - this.pointer) < Math.abs(x(best.at) - this.pointer) ? sample : best));
    const at = x(nearest.at);
    pen.strokeStyle = style("--edge");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(at, box.y);
    pen.lineTo(at, box.y + box.h);
    pen.stroke();
    const text = this.inWords(nearest);
    pen.textAlign = at > box.x + box.w / 2 ? "right" : "left";
    const side = pen.textAlign === "right" ? -8 : 8;
    pen.fillStyle = style("--ink");
    pen.strokeStyle = style("--card");
    pen.lineWidth = 4;
    pen.strokeText(text, at + side, box.y + 12);
    pen.fillText(text, at + side, box.y + 12);
  }
}
