/**
 * The part of a picture that is shown: zooming and panning as arithmetic on boxes of [x, y, width, height].
 * @typedef {[number, number, number, number]} Box
 */

export const MOST_ZOOM = 32;

/** Keeps a value between two others. */
export const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

/**
 * The part of `whole` that is seen at a zoom, with its middle at `at`, moved so that nothing outside is seen.
 * @param {Box} whole @param {number} zoom 1: all of it @param {[number, number]} at pixels of the picture
 * @returns {Box}
 */
export function boxAt(whole, zoom, at) {
  const [x, y, width, height] = whole,
    size = [width / zoom, height / zoom];
  return [
    clamp(at[0] - size[0] / 2, x, x + width - size[0]),
    clamp(at[1] - size[1] / 2, y, y + height - size[1]),
    size[0],
    size[1],
  ];
}

/** The middle of a box. @param {Box} box @returns {[number, number]} */
export const middle = (box) => [box[0] + box[2] / 2, box[1] + box[3] / 2];

/**
 * Zooms so that the point under the pointer stays under it.
 * @param {Box} whole @param {Box} box what is seen now @param {number} zoom the new one
 * @param {[number, number]} under the pointer, 0 to 1 over the width and height of what is seen
 * @returns {Box}
 */
export function zoomed(whole, box, zoom, under) {
  const size = [whole[2] / zoom, whole[3] / zoom];
  const fixed = [box[0] + under[0] * box[2], box[1] + under[1] * box[3]];
  return boxAt(whole, zoom, [fixed[0] + (0.5 - under[0]) * size[0], fixed[1] + (0.5 - under[1]) * size[1]]);
}

/** Moves what is seen by shares of its width and height. @param {Box} whole @param {Box} box @returns {Box} */
export function panned(whole, box, dx, dy) {
  const [x, y] = middle(box);
  return boxAt(whole, whole[2] / box[2], [x - dx * box[2], y - dy * box[3]]);
}
