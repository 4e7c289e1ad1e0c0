/* A gallery: the few tiles that a page gives (the grid of the Library, grid.js, asks for its own). Click or Enter opens one, arrows
   move. The tile of an item stays the same element, whatever it shows. */

import { around, el, part } from "./dom.js";
import { face, tileOf } from "./tiles.js";

/** @typedef {{ id: string, source: string | null, alt: string, title: string, badge: string, tone: string }} Item */
/** @typedef {{ place: HTMLElement, tile: import("./tiles.js").Tile, print: string }} Known */

/** @type {WeakMap<HTMLElement | ShadowRoot, Map<string, Known>>} */
const memory = new WeakMap();

/**
 * @param {string} id
 * @returns {Known}
 */
function build(id) {
  const tile = tileOf(id);
  return { tile, place: el("li", {}, tile), print: "" };
}

/**
 * @param {Known} known
 * @param {Item} item
 */
function dress(known, item) {
  const print = JSON.stringify(item);
  if (known.print === print) return;
  known.print = print;
  const badges = item.badge ? [{ text: item.badge, tone: item.tone }] : [];
  face(known.tile, { source: item.source, label: item.alt, title: item.title, badges, words: () => [item.alt] });
}

/**
 * Where an arrow leads from the tile at `at`, when the first tile of the second row is at `row`.
 *
 * @param {number} at
 * @param {string} key
 * @param {number} row
 */
export function onward(at, key, row) {
  const across = row > 0 ? row : 1;
  /** @type {Record<string, number>} */
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
  return key in steps ? at + steps[key] : null;
}

/**
 * @param {HTMLElement} grid
 * @param {KeyboardEvent} event
 */
function move(grid, event) {
  /** @type {HTMLElement[]} */
  const tiles = [...grid.querySelectorAll(/** @type {"button"} */ (".tile"))];
  const from = around(event, ".tile");
  const top = (/** @type {HTMLElement} */ tile) => tile.getBoundingClientRect().top;
  const row = tiles.findIndex(tile => top(tile) > top(tiles[0]) + 1);
  const to = onward(from ? tiles.indexOf(from) : -1, event.key, row);
  const next = to === null ? undefined : tiles[to];
  if (!next) return;
  next.focus();
  event.preventDefault();
}

/** @param {Component<{ tiles: Item[], open: string | null, size: number }>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  const grid = part(parentElement, ".grid");
  grid.style.setProperty("--tile", `${data.size}px`);
  const known = memory.get(parentElement) ?? new Map();
  memory.set(parentElement, known);
  const wanted = data.tiles.map(item => {
    const entry = known.get(item.id) ?? build(item.id);
    known.set(item.id, entry);
    dress(entry, item);
    entry.tile.setAttribute("aria-current", String(item.id === data.open));
    return entry.place;
  });
  const ids = new Set(data.tiles.map(item => item.id));
  for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
  const same = wanted.length === grid.children.length && wanted.every((place, at) => grid.children[at] === place);
  if (!same) grid.replaceChildren(...wanted);
  grid.onclick = event => {
    const tile = around(event, ".tile");
    if (tile) setTriggerValue("opened", tile.dataset.id);
  };
  grid.onkeydown = event => move(grid, event);
}
