/* A grid of thumbnails: click or Enter opens one, arrows move. A tile whose item is the same stays the same element. */

import { around, el, part } from "./dom.js";

/** @typedef {{ id: string, source: string | null, alt: string, title: string, badge: string, tone: string }} Item */
/** @typedef {{ print: string, place: HTMLElement, tile: HTMLElement }} Known */

/** @type {WeakMap<HTMLElement | ShadowRoot, Map<string, Known>>} */
const memory = new WeakMap();

/**
 * @param {Item} item
 * @param {string} print
 * @returns {Known}
 */
function build(item, print) {
  const frame = el("span", { className: "frame" });
  const word = () => frame.replaceChildren(el("span", { textContent: item.alt }));
  if (item.source)
    frame.append(el("img", { loading: "lazy", decoding: "async", alt: item.alt, onerror: word, src: item.source }));
  else word();
  const title = el("span", { className: "title", textContent: item.title });
  const tile = el("button", { type: "button", className: "tile", "data-id": item.id, "aria-label": item.alt }, frame, title);
  if (item.badge) tile.append(el("span", { className: `badge ${item.tone}`, textContent: item.badge }));
  return { print, tile, place: el("li", {}, tile) };
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
    const print = JSON.stringify(item);
    let entry = known.get(item.id);
    if (!entry || entry.print !== print) {
      entry = build(item, print);
      known.set(item.id, entry);
    }
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
