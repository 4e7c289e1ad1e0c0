/* The page's search box, as the grid finds it. What is written before it has come is written into one of ours in its place, which gives
   all of it to that one: no letter of it is taken for a key of the grid. */

import { textBox } from "../streamlit_private/page.js";
import { el } from "./dom.js";

export const SEARCH = textBox(".st-key-search-row");
const SOON = "opstore-soon",
  LOOK = 50,
  LONGEST = 20000,
  ABOVE = 56;

/** @returns {HTMLInputElement | null} */
const boxOf = () => document.querySelector(SEARCH + " input");
/** @returns {HTMLInputElement | null} */
const soonOf = () => document.querySelector("#" + SOON);

/** Write on in the search box, or in the one in its place. @param {{ root: HTMLElement, words: import("./grid_tiles.js").Words }} grid */
export function toSearch(grid) {
  (boxOf() ?? soonOf() ?? soon(grid)).focus();
}

/** Whether a key that was pressed before the grid's code had come belongs to what is searched for. @param {KeyboardEvent} event */
export function isWritten({ key }) {
  const box = soonOf();
  if (!box || key.length > 1) return false;
  box.value += key;
  return true;
}

/** @param {{ root: HTMLElement, words: import("./grid_tiles.js").Words }} grid */
function soon({ root, words }) {
  const { left, top, width } = root.getBoundingClientRect(),
    box = el("input", { id: SOON, type: "search", "aria-label": words.say("search") });
  box.style.cssText = `position: fixed; z-index: 2; left: ${left}px; top: ${Math.max(8, top - ABOVE)}px; width: ${Math.min(width, 400)}px;
    height: 40px; box-sizing: border-box; padding: 0 12px; border: 1px solid; border-radius: 8px; font: 16px Inter, sans-serif;
    color-scheme: light dark`;
  document.documentElement.append(box);
  let looks = 0;
  const look = setInterval(() => {
    const real = boxOf();
    looks += 1;
    if (!real && looks < LONGEST / LOOK) return;
    clearInterval(look);
    if (real) give(box, real);
    box.remove();
  }, LOOK);
  return box;
}

/** Let the page's own box have what was written, and the focus, as if it had been written there. @param {HTMLInputElement} from @param {HTMLInputElement} to */
function give(from, to) {
  const { value, selectionStart, selectionEnd } = from;
  if (document.activeElement === from) to.focus();
  if (!value) return;
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(to, value); // React keeps an own one over it
  to.dispatchEvent(new Event("input", { bubbles: true }));
  to.setSelectionRange(selectionStart, selectionEnd);
}
