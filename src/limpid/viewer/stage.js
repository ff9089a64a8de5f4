import { Painter } from "./painter.js";
import { Pointing } from "./pointing.js";
import { boxAt } from "./view_box.js";

/** The picture with its wipe, zoom and names, and the controls that change them; time is somebody else's. */
export class Stage {
  /**
   * @param {import("./player.js").Parts} parts @param {import("./painter.js").Comparison} data
   * @param {HTMLVideoElement | HTMLCanvasElement} tiles where the pictures of all sources are
   */
  constructor(parts, data, tiles) {
    Object.assign(this, { parts, data });
    this.painter = new Painter(parts.screen, tiles, data);
    this.pointing = new Pointing(parts.stage, this.painter, () => this.repaint());
    this.bind();
    this.choose(0, Math.min(1, data.labels.length - 1));
  }

  bind() {
    const { wipe, mode, part, closer, wider } = this.parts;
    wipe.oninput = () => this.wipeTo(wipe.value / 1000);
    if (mode) mode.onchange = () => this.setMode(mode.value);
    if (part) part.onchange = () => this.show(part.value === "" ? null : Number(part.value));
    if (closer) closer.onclick = () => this.zoomBy(1.5);
    if (wider) wider.onclick = () => this.zoomBy(1 / 1.5);
  }

  /** When the first picture is there. */
  start() {
    this.parts.stage.className = this.painter.mode;
    this.painter.resize();
    this.repaint();
  }

  /** Chooses the sources left and right of the wipe. */
  choose(left, right) {
    const { labels } = this.data,
      { mode } = this.painter;
    Object.assign(this.painter, { left, right });
    this.parts.nameLeft.textContent = labels[left];
    this.parts.nameRight.textContent = mode === "difference" ? `minus ${labels[right]}` : labels[right];
    this.parts.stage.setAttribute("aria-label", `${labels[left]} and ${labels[right]}, ${mode}`);
    this.painter.paint();
  }

  setMode(mode) {
    this.painter.mode = mode;
    this.choose(this.painter.left, this.painter.right);
    this.start();
  }

  /** Shows a crop, or with null the whole picture. */
  show(crop) {
    if (this.parts.part) this.parts.part.value = crop === null ? "" : crop;
    this.painter.show(crop);
    this.start();
  }

  wipeTo(share) {
    this.pointing.wipeTo(share);
  }

  wipeBy(share) {
    this.wipeTo(this.painter.wipe + share);
  }

  zoomBy(times) {
    this.pointing.zoomTo(this.painter.zoom * times);
  }

  unzoom() {
    this.painter.box = boxAt(this.painter.whole, 1, [0, 0]);
    this.repaint();
  }

  repaint() {
    const { edge, wipe, zoom, stage } = this.parts;
    wipe.value = Math.round(1000 * this.painter.wipe);
    edge.style.left = `${wipe.value / 10}%`;
    stage.toggleAttribute("data-zoomed", this.painter.zoom > 1);
    if (zoom) zoom.value = `${Number(this.painter.zoom.toPrecision(2))}×`;
    this.painter.paint();
  }
}
