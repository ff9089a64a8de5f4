import { FrameClock } from "./frame_clock.js";
import { Painter } from "./painter.js";
import { Pointing } from "./pointing.js";
import { boxAt } from "./view_box.js";

/**
 * The elements of a page that the player works with; those of the second line may be missing.
 * @typedef {object} Parts
 * @property {HTMLVideoElement} film @property {HTMLCanvasElement} screen @property {HTMLElement} stage
 * @property {HTMLElement} edge @property {HTMLElement} nameLeft @property {HTMLElement} nameRight
 * @property {HTMLInputElement} wipe @property {HTMLInputElement} seek @property {HTMLOutputElement} now
 * @property {HTMLButtonElement} play @property {HTMLButtonElement} back @property {HTMLButtonElement} next
 * @property {HTMLSelectElement} mode @property {HTMLElement} trouble
 * @property {HTMLSelectElement} [part] @property {HTMLSelectElement} [speed] @property {HTMLInputElement} [loop]
 * @property {HTMLButtonElement} [closer] @property {HTMLButtonElement} [wider] @property {HTMLOutputElement} [zoom]
 */

/** The player of a comparison: time, wipe, zoom and keys. */
export class Player {
  /** @param {Parts} parts @param {import("./painter.js").Comparison} data @param {(frame: number) => void} [onFrame] */
  constructor(parts, data, onFrame = () => {}) {
    Object.assign(this, { parts, data, onFrame, last: data.frames - 1 });
    this.painter = new Painter(parts.screen, parts.film, data);
    this.pointing = new Pointing(parts.stage, this.painter, () => this.repaint());
    this.clock = new FrameClock(parts.film, data.fps[0] / data.fps[1], this.last, (frame) => this.shown(frame));
    parts.film.loop = true;
    parts.film.onplay = parts.film.onpause = () => this.tellPlaying();
    this.bind();
    this.choose(0, Math.min(1, data.labels.length - 1));
  }

  /** When the first frame is there. */
  start() {
    this.painter.resize();
    this.repaint();
    this.clock.show(0);
  }

  /** No more callbacks; for pages that put another player in this one's place. */
  end() {
    this.clock.ended = true;
    this.parts.film.pause();
  }

  shown(frame) {
    const { first } = this.data;
    this.parts.seek.value = frame;
    this.parts.now.value = `frame ${first + frame} (to ${first + this.last})`;
    this.onFrame(frame);
    this.painter.paint();
  }

  /** Chooses the sources left and right of the wipe. */
  choose(left, right) {
    const { labels } = this.data, { mode } = this.painter;
    Object.assign(this.painter, { left, right });
    this.parts.nameLeft.textContent = labels[left];
    this.parts.nameRight.textContent = mode === "difference" ? `minus ${labels[right]}` : labels[right];
    this.parts.stage.setAttribute("aria-label", `${labels[left]} and ${labels[right]}, ${mode}`);
    this.painter.paint();
  }

  setMode(mode) {
    this.painter.mode = mode;
    this.parts.stage.className = mode;
    this.choose(this.painter.left, this.painter.right);
    this.painter.resize();
  }

  /** Shows a crop, or with null the whole picture. */
  show(crop) {
    if (this.parts.part) this.parts.part.value = crop === null ? "" : crop;
    this.painter.show(crop);
    this.painter.resize();
    this.repaint();
  }

  wipeTo(share) {
    this.pointing.wipeTo(share);
  }

  zoomBy(times) {
    this.pointing.zoomTo(this.painter.zoom * times);
  }

  repaint() {
    const { edge, wipe, zoom, stage } = this.parts;
    wipe.value = Math.round(1000 * this.painter.wipe);
    edge.style.left = `${wipe.value / 10}%`;
    stage.toggleAttribute("data-zoomed", this.painter.zoom > 1);
    if (zoom) zoom.value = `${Number(this.painter.zoom.toPrecision(2))}×`;
    this.painter.paint();
  }

  tellPlaying() {
    const { film, play } = this.parts;
    play.textContent = film.paused ? "Play" : "Pause";
    play.setAttribute("aria-pressed", String(!film.paused));
  }

  toggle() {
    this.clock.toggle().catch((error) => this.complain(`The video does not start: ${error.message}`));
  }

  complain(sentence) {
    this.parts.trouble.textContent = sentence;
    this.parts.trouble.hidden = false;
  }

  bind() {
    const p = this.parts, { clock } = this;
    p.seek.max = this.last;
    p.wipe.oninput = () => this.wipeTo(p.wipe.value / 1000);
    p.seek.oninput = () => clock.pauseAt(Number(p.seek.value));
    p.play.onclick = () => this.toggle();
    p.back.onclick = () => clock.step(-1);
    p.next.onclick = () => clock.step(1);
    p.mode.onchange = () => this.setMode(p.mode.value);
    if (p.part) p.part.onchange = () => this.show(p.part.value === "" ? null : Number(p.part.value));
    if (p.speed) p.speed.onchange = () => { p.film.playbackRate = Number(p.speed.value); };
    if (p.loop) p.loop.onchange = () => { p.film.loop = p.loop.checked; };
    if (p.closer) p.closer.onclick = () => this.zoomBy(1.5);
    if (p.wider) p.wider.onclick = () => this.zoomBy(1 / 1.5);
  }

  /** What a key does; null: nothing. @returns {(() => void) | null} */
  keyed(key) {
    const { clock, painter } = this;
    const keys = {
      " ": () => this.toggle(), ",": () => clock.step(-1), ".": () => clock.step(1),
      ArrowLeft: () => clock.step(-1), ArrowRight: () => clock.step(1),
      Home: () => clock.seek(0), End: () => clock.pauseAt(this.last),
      "[": () => this.wipeTo(painter.wipe - 0.025), "]": () => this.wipeTo(painter.wipe + 0.025),
      "+": () => this.zoomBy(1.5), "=": () => this.zoomBy(1.5), "-": () => this.zoomBy(1 / 1.5), "0": () => this.unzoom(),
    };
    return keys[key] ?? null;
  }

  unzoom() {
    this.painter.box = boxAt(this.painter.whole, 1, [0, 0]);
    this.repaint();
  }

  /** Handles a key press, unless the control that has the focus needs the key itself. @returns whether it did */
  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select, textarea, [type=text]")) return false;
    const control = event.target.closest("input, button"), range = control?.type === "range";
    if (control && (event.key === " " || (range && /^(Arrow|Home|End)/.test(event.key)))) return false;
    const action = this.keyed(event.key);
    action?.();
    if (action) event.preventDefault();
    return Boolean(action);
  }
}
