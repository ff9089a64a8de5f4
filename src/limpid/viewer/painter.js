import { boxAt, middle } from "./view_box.js";

/**
 * A comparison: one video with all sources as tiles of one size, left to right and then down.
 * @typedef {object} Comparison
 * @property {string[]} labels
 * @property {number} frames how many the video has
 * @property {number} first number of its first frame in the files
 * @property {[number, number]} fps numerator and denominator
 * @property {number} columns tiles in a row
 * @property {[number, number]} tile width and height of a tile in the video
 * @property {[number, number]} picture width and height of a picture in its tile
 * @property {number} scale pixels of the picture for one of the results
 * @property {number[][]} crops [x, y, width, height, frame], pixels of the results, frames from the first of the video
 */

const CANVAS_PX = 960;

/** Paints sources of a comparison on a canvas: two with a wipe, their difference, or all of them. */
export class Painter {
  /** @param {HTMLCanvasElement} screen @param {HTMLVideoElement} film @param {Comparison} data */
  constructor(screen, film, data) {
    Object.assign(this, {
      screen,
      film,
      data,
      pen: screen.getContext("2d"),
      mode: "wipe",
      left: 0,
      right: 0,
      wipe: 0.5,
    });
    this.show(null);
  }

  /** Shows one crop, or with null the whole picture, at no zoom. */
  show(crop) {
    const { crops, picture, scale } = this.data;
    this.whole = crop === null ? [0, 0, ...picture] : crops[crop].slice(0, 4).map((side) => side * scale);
    this.box = this.whole;
  }

  get zoom() {
    return this.whole[2] / this.box[2];
  }

  set zoom(times) {
    this.box = boxAt(this.whole, times, middle(this.box));
  }

  /** Gives the canvas the size that the mode needs, and paints. */
  resize() {
    const [, , width, height] = this.whole,
      times = Math.max(1, Math.floor(CANVAS_PX / width));
    const count = this.mode === "all" ? this.data.labels.length : 1,
      columns = Math.ceil(Math.sqrt(count));
    this.size = [Math.round(width * times), Math.round(height * times)];
    this.columns = columns;
    [this.screen.width, this.screen.height] = [this.size[0] * columns, this.size[1] * Math.ceil(count / columns)];
    this.paint();
  }

  paint() {
    if (this.film.readyState < 2 || !this.size) return;
    this.pen.imageSmoothingEnabled = this.size[0] < 2 * this.box[2];
    if (this.mode === "all") this.paintAll();
    else if (this.mode === "difference") this.paintDifference();
    else this.paintWipe();
  }

  /** Puts what is seen of source `n` at a place of the canvas. */
  put(n, x = 0, y = 0) {
    const { columns, tile } = this.data,
      [left, top, width, height] = this.box;
    const from = [(n % columns) * tile[0] + left, Math.floor(n / columns) * tile[1] + top];
    this.pen.drawImage(this.film, ...from, width, height, x, y, ...this.size);
  }

  paintDifference() {
    this.put(this.left);
    this.pen.globalCompositeOperation = "difference";
    this.put(this.right);
    this.pen.globalCompositeOperation = "source-over";
  }

  paintWipe() {
    this.put(this.right);
    this.pen.save();
    this.pen.beginPath();
    this.pen.rect(0, 0, Math.round(this.screen.width * this.wipe), this.screen.height);
    this.pen.clip();
    this.put(this.left);
    this.pen.restore();
  }

  paintAll() {
    this.pen.clearRect(0, 0, this.screen.width, this.screen.height);
    this.data.labels.forEach((label, n) => {
      const x = (n % this.columns) * this.size[0],
        y = Math.floor(n / this.columns) * this.size[1];
      this.put(n, x, y);
      this.name(label, x + 6, y + 6);
    });
  }

  name(label, x, y) {
    const text = Math.max(12, Math.round(this.screen.width / 70)),
      pen = this.pen;
    pen.font = `${text}px system-ui, sans-serif`;
    pen.fillStyle = "#000a";
    pen.fillRect(x, y, pen.measureText(label).width + text, text * 1.6);
    pen.fillStyle = "#fff";
    pen.fillText(label, x + text / 2, y + text * 1.15);
  }
}
