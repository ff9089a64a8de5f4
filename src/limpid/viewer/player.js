import { FrameClock } from "./frame_clock.js";
import { Stage } from "./stage.js";

/**
 * The elements of a page that the player works with; those in brackets may be missing.
 * @typedef {object} Parts
 * @property {HTMLVideoElement} film @property {HTMLCanvasElement} screen @property {HTMLElement} stage
 * @property {HTMLElement} edge @property {HTMLElement} nameLeft @property {HTMLElement} nameRight
 * @property {HTMLInputElement} wipe @property {HTMLInputElement} seek @property {HTMLOutputElement} now
 * @property {HTMLButtonElement} play @property {HTMLButtonElement} back @property {HTMLButtonElement} next
 * @property {HTMLElement} trouble @property {HTMLSelectElement} [mode]
 * @property {HTMLSelectElement} [part] @property {HTMLSelectElement} [speed] @property {HTMLInputElement} [loop]
 * @property {HTMLButtonElement} [closer] @property {HTMLButtonElement} [wider] @property {HTMLOutputElement} [zoom]
 */

/** The player of a comparison: time, the stage, and keys. */
export class Player {
  /** @param {Parts} parts @param {import("./painter.js").Comparison} data @param {(frame: number) => void} [onFrame] */
  constructor(parts, data, onFrame = () => {}) {
    Object.assign(this, { parts, data, onFrame, last: data.frames - 1 });
    this.stage = new Stage(parts, data, parts.film);
    this.clock = new FrameClock(parts.film, data.fps[0] / data.fps[1], this.last, (frame) => this.shown(frame));
    parts.film.loop = true;
    parts.film.onplay = parts.film.onpause = () => this.tellPlaying();
    this.bind();
  }

  bind() {
    const p = this.parts,
      { clock } = this;
    p.seek.max = this.last;
    p.seek.oninput = () => clock.pauseAt(Number(p.seek.value));
    p.play.onclick = () => this.toggle();
    p.back.onclick = () => clock.step(-1);
    p.next.onclick = () => clock.step(1);
    if (p.speed)
      p.speed.onchange = () => {
        p.film.playbackRate = Number(p.speed.value);
      };
    if (p.loop)
      p.loop.onchange = () => {
        p.film.loop = p.loop.checked;
      };
  }

  /** When the first frame is there. */
  start() {
    this.stage.start();
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
    this.stage.painter.paint();
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

  /** Shows one of the crops at the frame where it matters. */
  showCrop(n) {
    this.stage.show(n);
    this.clock.pauseAt(this.data.crops[n][4]);
    this.parts.stage.scrollIntoView({ block: "center" });
    this.parts.stage.focus({ preventScroll: true });
  }

  /** What a key does; null: nothing. @returns {(() => void) | null} */
  keyed(key) {
    const { clock, stage } = this;
    const keys = {
      " ": () => this.toggle(),
      ",": () => clock.step(-1),
      ".": () => clock.step(1),
      ArrowLeft: () => clock.step(-1),
      ArrowRight: () => clock.step(1),
      Home: () => clock.seek(0),
      End: () => clock.pauseAt(this.last),
      "[": () => stage.wipeBy(-0.025),
      "]": () => stage.wipeBy(0.025),
      "+": () => stage.zoomBy(1.5),
      "=": () => stage.zoomBy(1.5),
      "-": () => stage.zoomBy(1 / 1.5),
      0: () => stage.unzoom(),
    };
    return keys[key] ?? null;
  }

  /** Handles a key press, unless the control that has the focus needs the key itself. @returns whether it did */
  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select, textarea, [type=text]"))
      return false;
    const control = event.target.closest("input, button"),
      range = control?.type === "range";
    if (control && (event.key === " " || (range && /^(Arrow|Home|End)/.test(event.key)))) return false;
    const action = this.keyed(event.key);
    action?.();
    if (action) event.preventDefault();
    return Boolean(action);
  }
}
