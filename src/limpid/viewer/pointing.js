import { clamp, MOST_ZOOM, panned, zoomed } from "./view_box.js";

const NEAR_PX = 28;
const WHEEL = 0.0025;

/** Mouse, finger and pen on the stage: the wipe is dragged, what is zoomed is panned, two fingers and the wheel zoom. */
export class Pointing {
  /** @param {HTMLElement} stage @param {import("./painter.js").Painter} painter @param {() => void} changed */
  constructor(stage, painter, changed) {
    Object.assign(this, { stage, painter, changed, down: new Map(), dragging: null });
    stage.onpointerdown = (event) => this.begin(event);
    stage.onpointermove = (event) => this.move(event);
    stage.onpointerup = stage.onpointercancel = (event) => this.end(event);
    stage.ondblclick = (event) => this.zoomTo(painter.zoom > 1 ? 1 : 4, this.place(event));
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** Where an event is, 0 to 1 over the canvas. @returns {[number, number]} */
  place(event) {
    const box = this.painter.screen.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  begin(event) {
    if (event.button !== 0) return;
    this.down.set(event.pointerId, this.place(event));
    if (this.down.size === 1) this.dragging = this.wantsWipe(event) ? "wipe" : "pan";
    if (this.stage.setPointerCapture) tryCapture(this.stage, event.pointerId);
    if (this.dragging === "wipe") this.wipeTo(this.place(event)[0]);
  }

  /** Not zoomed, every place moves the wipe; zoomed, only its edge does. */
  wantsWipe(event) {
    if (this.painter.mode !== "wipe") return false;
    const width = this.painter.screen.getBoundingClientRect().width;
    return this.painter.zoom === 1 || Math.abs(this.place(event)[0] - this.painter.wipe) * width < NEAR_PX;
  }

  move(event) {
    const before = this.down.get(event.pointerId),
      now = this.place(event);
    if (!before) return;
    const others = [...this.down].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.down.set(event.pointerId, now);
    if (others.length) this.pinch(before, now, others[0]);
    else if (this.dragging === "wipe") this.wipeTo(now[0]);
    else this.pan(now[0] - before[0], now[1] - before[1]);
  }

  end(event) {
    this.down.delete(event.pointerId);
    if (!this.down.size) this.dragging = null;
  }

  pinch(before, now, other) {
    const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    this.dragging = "pan";
    if (apart(before, other) > 0) this.zoomTo((this.painter.zoom * apart(now, other)) / apart(before, other), other);
  }

  wheel(event) {
    if (!event.ctrlKey && document.activeElement !== this.stage) return;
    event.preventDefault();
    this.zoomTo(this.painter.zoom * Math.exp(-event.deltaY * WHEEL), this.place(event));
  }

  zoomTo(times, under = [0.5, 0.5]) {
    const { painter } = this;
    painter.box = zoomed(painter.whole, painter.box, clamp(times, 1, MOST_ZOOM), under);
    this.changed();
  }

  pan(dx, dy) {
    this.painter.box = panned(this.painter.whole, this.painter.box, dx, dy);
    this.changed();
  }

  wipeTo(share) {
    this.painter.wipe = clamp(share, 0, 1);
    this.changed();
  }
}

/** Pointers that a test or a device makes up cannot be captured, which does not matter. */
function tryCapture(stage, id) {
  try {
    stage.setPointerCapture(id);
  } catch {
    return;
  }
}
