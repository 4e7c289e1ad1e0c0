/* The grid as the page's script mounts it, and as it stands before: both come with this one script, which runs once in a window, whoever
   asks for it first, and has an address under which a browser keeps it. */

import { Grid } from "./grid.js";
import { firstScreen } from "./grid_first.js";

/** @type {WeakMap<object, Grid>} */
const grids = new WeakMap();

/** @param {Component<import("./grid.js").Given>} component */
function mount({ data, parentElement, setTriggerValue }) {
  let grid = grids.get(parentElement);
  if (grid && grid.words.words.language !== data.words.language) {
    grid.end();
    grid = undefined;
  }
  if (!grid) {
    grid = window.opstoreFirst?.take(parentElement, data) ?? new Grid(parentElement, data);
    grids.set(parentElement, grid);
  }
  grid.update(data, setTriggerValue);
  const shown = grid;
  // Where two runs of the page follow each other closely, Streamlit ends the first one's part while the second one's stands.
  return () => {
    if (parentElement.isConnected) return;
    grids.delete(parentElement);
    if (window.opstoreFirst?.grid !== shown) shown.end();
  };
}

if (!window.opstoreGrid) {
  window.opstoreGrid = mount;
  if (window.opstoreGiven) firstScreen(window.opstoreGiven);
}
