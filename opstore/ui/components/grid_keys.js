/* What keys, clicks and fingers mean in the grid. A key that somebody writes with is none of the grid's, and a key that the grid takes
   goes no further. */

import { around, origin } from "./dom.js";
import { preview, help, tags } from "./grid_over.js";
import { DIALOG, textBox } from "../streamlit_private/page.js";

/** @typedef {import("./grid.js").Grid} Grid */

export const SEARCH = textBox(".st-key-search-row");
const PRESS = 450,
  RELEASED = 400,
  STILL = 10;

/** Whether an event comes from a box that is written in. @param {Event} event */
export const typing = event => {
  const at = /** @type {HTMLInputElement} */ (origin(event));
  return /^(input|textarea|select)$/i.test(at?.localName ?? "") && at.type !== "range";
};

/** How far a key goes through a list of so many columns, and so many rows to a window; undefined for a key that goes nowhere.
 *  @param {string} key @param {{ columns: number, rows: number }} list @returns {number | undefined} */
export function stepOf(key, list) {
  switch (key) {
    case "ArrowLeft":
      return -1;
    case "ArrowRight":
      return 1;
    case "ArrowUp":
      return -list.columns;
    case "ArrowDown":
      return list.columns;
    case "PageUp":
      return -list.rows * list.columns;
    case "PageDown":
      return list.rows * list.columns;
    case "Home":
      return -Infinity;
    case "End":
      return Infinity;
  }
}

/** @type {Record<string, (grid: Grid) => unknown>} what is for no tile */
const AT_ONCE = {
  Escape: grid => grid.clear(),
  "?": grid => help(grid),
  "/": () => {
    /** @type {HTMLElement | null} */ (document.querySelector(SEARCH + " input"))?.focus();
  },
};
/** @type {Record<string, (grid: Grid) => unknown>} */
const ALONE = {
  Enter: grid => grid.open(),
  " ": grid => preview(grid),
  f: grid => grid.favorite(),
  t: grid => tags(grid),
  c: grid => grid.away("compare"),
  s: grid => grid.away("share"),
  u: grid => grid.away("use"),
  r: grid => grid.away("remix"),
  x: grid => {
    if (grid.selection.current) grid.toggle(grid.selection.current);
  },
  Delete: grid => grid.act("trash"),
};
/** @type {Record<string, (grid: Grid) => unknown>} */
const WITH_CONTROL = { a: grid => grid.all(), z: grid => grid.undo() };

/** Do what a key means in the grid. @param {Grid} grid @param {KeyboardEvent} event */
export function press(grid, event) {
  if (event.altKey || typing(event)) return;
  const held = event.ctrlKey || event.metaKey,
    acts = held ? WITH_CONTROL : ALONE,
    { key } = event;
  const act = acts[key] ?? acts[key.toLowerCase()],
    step = held ? undefined : stepOf(key, grid.scroll);
  if (step === Infinity) grid.walk.toEnd(event.shiftKey);
  else if (step !== undefined) grid.walk.step(step, event.shiftKey);
  else if (/^[0-5]$/.test(key) && !held) grid.walk.onceThere(() => grid.rate(Number(key)));
  else if (!held && AT_ONCE[key]) AT_ONCE[key](grid);
  else if (act) grid.walk.onceThere(() => act(grid));
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** A key that is pressed in the grid; where it still has the focus beneath an open drawer, the drawer has heard it. @param {Grid} grid @param {KeyboardEvent} event */
export function pressHere(grid, event) {
  if (!event.defaultPrevented && !document.querySelector(DIALOG)) press(grid, event);
}

/** A key that is pressed where nothing has the focus is for the grid, unless something is open over it. @param {Grid} grid @param {KeyboardEvent} event */
export function pressAnywhere(grid, event) {
  const open = document.querySelector(`${DIALOG}, dialog[open]`) ?? grid.root.querySelector("dialog[open]");
  if (event.defaultPrevented || open) return;
  const idle = document.activeElement === document.body || document.activeElement === null;
  if (idle && event.key !== " " && event.key !== "Enter") press(grid, event);
  else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !typing(event)) grid.undo();
}

/** @param {Grid} grid @param {MouseEvent} event */
export function click(grid, event) {
  const id = around(event, ".tile")?.dataset.id,
    { selection } = grid;
  grid.pointing = false;
  if (!id || grid.pressed) {
    grid.pressed = false;
    return;
  }
  const at = grid.pages.placeOf(id),
    touch = event instanceof PointerEvent && event.pointerType === "touch" && selection.size > 0;
  grid.walk.halt();
  selection.stand(id, at);
  if (around(event, ".stack")) grid.trigger?.("unstacked", id);
  else if (event.shiftKey) grid.range(at).then(() => grid.redraw());
  else if (event.ctrlKey || event.metaKey || touch || around(event, ".pick") || grid.trash) grid.toggle(id);
  else {
    selection.beginRange();
    grid.redraw();
    grid.open();
  }
  grid.focusCurrent();
}

/** A long press selects; the click that follows it is none, neither here nor on the bar, which may come up under the finger. @param {Grid} grid */
export function touches(grid) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {[number, number] | null} */
  let from = null;
  const { list, bar } = grid,
    stop = () => {
      clearTimeout(timer);
      setTimeout(() => bar.classList.remove("held"), RELEASED);
    };
  list.onpointerdown = event => {
    const id = around(event, ".tile")?.dataset.id;
    grid.pressed = false;
    grid.pointing = true;
    clearTimeout(timer);
    if (event.pointerType !== "touch" || !event.isPrimary || !id) return; // two fingers choose nothing: they zoom
    from = [event.clientX, event.clientY];
    timer = setTimeout(() => {
      grid.pressed = true;
      bar.classList.add("held");
      navigator.vibrate?.(15);
      grid.toggle(id);
    }, PRESS);
  };
  list.onpointermove = event => {
    if (from && Math.hypot(event.clientX - from[0], event.clientY - from[1]) > STILL) stop();
  };
  list.onpointerup = list.onpointercancel = list.onpointerleave = stop;
  list.oncontextmenu = event => {
    if (event instanceof PointerEvent && event.pointerType === "touch") event.preventDefault();
  };
}
