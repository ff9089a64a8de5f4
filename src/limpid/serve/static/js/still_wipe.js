import { Stage } from "../viewer/stage.js";
import { h } from "./dom.js";
import { playerParts } from "./player_parts.js";

const LABELS = ["Input", "Result"];

/** One picture before and after, with a wipe and zoom; other pictures take their place without a jump. */
export class StillWipe {
  constructor() {
    this.tiles = h("canvas");
    this.stage = null;
    this.element = h("div.still");
  }

  /** @param {string} before @param {string} after addresses of pictures of one shape */
  async show(before, after) {
    const [left, right] = await Promise.all([loaded(before), loaded(after)]),
      { naturalWidth: width, naturalHeight: height } = right;
    [this.tiles.width, this.tiles.height] = [2 * width, height];
    const pen = this.tiles.getContext("2d");
    pen.drawImage(left, 0, 0, width, height);
    pen.drawImage(right, width, 0, width, height);
    if (this.stage?.data.picture[0] === width && this.stage.data.picture[1] === height) this.stage.repaint();
    else this.build(width, height);
  }

  build(width, height) {
    const { element, parts } = playerParts(width / height, { film: false }),
      size = [width, height];
    this.stage = new Stage(
      parts,
      { labels: LABELS, frames: 1, first: 0, fps: [1, 1], columns: 2, tile: size, picture: size, scale: 1, crops: [] },
      this.tiles,
    );
    this.stage.start();
    this.element.replaceChildren(element);
  }
}

async function loaded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}
