/* Where the frame that pictures lie in stands in its pane, as numbers; it knows no element of the page. */

import { clamp } from "./dom.js";

/** @typedef {[number, number]} Point pixels of a pane, or shares of a frame */
/** @typedef {[x: number, y: number, width: number, height: number]} Box shares of a frame */
/** @typedef {{ left: number, top: number, wide: number, high: number, width: number, height: number }} Frame in its pane of width by height */

/** How far one can zoom in, and by how much at a press. */
export const MOST = 32;
export const STEP = 1.25;

/**
 * In how many columns `count` panes stand, so that frames of this ratio are large; beside each other rather than below.
 *
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @param {number} ratio
 */
export function columnsOf(count, width, height, ratio) {
  let best = { size: 0, columns: 1 };
  for (let columns = 1; columns <= count; columns += 1) {
    const size = Math.min(width / columns, (height / Math.ceil(count / columns)) * ratio);
    if (size >= best.size * 0.9) best = { size, columns };
  }
  return best.columns;
}

/**
 * The frame in a pane, and the centre that can be seen: where the frame is smaller than the pane it stands in the middle.
 *
 * @param {number} width
 * @param {number} height
 * @param {number} ratio
 * @param {number} zoom
 * @param {Point} centre
 * @returns {{ frame: Frame, centre: Point }}
 */
export function framed(width, height, ratio, zoom, centre) {
  const wide = Math.min(width, height * ratio) * zoom,
    high = wide / ratio;
  const seen = (/** @type {number} */ at, /** @type {number} */ room) => (room >= 1 ? 0.5 : clamp(at, room / 2, 1 - room / 2));
  const [x, y] = [seen(centre[0], width / wide), seen(centre[1], height / high)];
  return { frame: { left: width / 2 - x * wide, top: height / 2 - y * high, wide, high, width, height }, centre: [x, y] };
}

/**
 * The centre after the frame has grown `by` so much: what lies under the point stays there.
 *
 * @param {Frame} frame
 * @param {Point} point
 * @param {number} by
 * @returns {Point}
 */
export function grown({ left, top, wide, high, width, height }, [x, y], by) {
  return [(x - left) / wide + (width / 2 - x) / (wide * by), (y - top) / high + (height / 2 - y) / (high * by)];
}

/**
 * From where to where the frame is seen: the divider crosses that, never the empty ground beside it.
 *
 * @param {Frame} frame
 */
export function span({ left, wide, width }) {
  return { from: Math.max(0, left), to: Math.min(width, left + wide) };
}

/**
 * Which share of a picture lies left of `x`.
 *
 * @param {Frame} frame
 * @param {Box} box
 * @param {number} x
 */
export function cut({ left, wide }, [start, , share], x) {
  return clamp((x - left - start * wide) / (share * wide), 0, 1);
}

/**
 * A picture of the shape `shape` as a box of a frame: as large as fits, in the middle.
 *
 * @param {number} shape
 * @param {number} ratio
 * @returns {Box}
 */
export function fitted(shape, ratio) {
  const wide = Math.min(1, shape / ratio),
    high = Math.min(1, ratio / shape);
  return [(1 - wide) / 2, (1 - high) / 2, wide, high];
}
