/* The way of the current tile through the list: it is drawn, revealed and has the focus, wherever in the list it stands, and of two
   ways that wait for rows the later one counts. What is pressed on the way is for the tile that it leads to, and for no other. */

import { MOST } from "./grid_selection.js";

/** @typedef {import("./grid.js").Grid} Grid */

const BAR = 88,
  EDGE = 8;

export class Walk {
  /** @param {Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.turn = 0;
    /** @type {Promise<boolean> | null} the way one is on, and whether it will have led there */
    this.way = null;
  }

  /** Do what was pressed, once the tile is there that one is on the way to; where it does not come, it is for nothing. @param {() => unknown} act */
  onceThere(act) {
    if (this.way) this.way.then(isThere => isThere && act());
    else act();
  }

  /** The person is elsewhere: a way that waits leads nowhere any more. */
  halt() {
    this.turn += 1;
    this.way = null;
  }

  /** @param {Promise<boolean>} way */
  on(way) {
    this.way = way;
    const end = () => {
      if (this.way === way) this.way = null;
    };
    way.then(end, end);
    return way;
  }

  /** Go to a place, or to the nearest there is; choose all up to there. @param {number} wanted */
  go(wanted, extend = false) {
    return this.on(this.lead(wanted, extend));
  }

  /** @param {number} wanted @param {boolean} extend */
  async lead(wanted, extend) {
    const { grid } = this,
      { pages, selection } = grid,
      { size } = pages,
      turn = ++this.turn;
    if (!size) return false;
    const at = Math.min(Math.max(wanted, 0), size - 1),
      before = selection.at;
    selection.at = at;
    this.reveal(at);
    const row = pages.rowNow(at) ?? (await pages.row(at));
    if (turn !== this.turn) return false;
    if (!row) {
      selection.at = before;
      return false;
    }
    selection.stand(row.id, at);
    grid.drawing.stand(at);
    if (extend) await grid.range(at);
    else selection.beginRange();
    grid.redraw();
    if (turn !== this.turn) return false;
    if (!grid.shown && grid.mayFocus()) grid.focusCurrent(); // who has begun to write elsewhere goes on there
    return true;
  }

  /** Go so many steps from the current tile; if there is none, to where the window begins. @param {number} by */
  step(by, extend = false) {
    return this.go(this.grid.selection.onward(by) ?? this.grid.scroll.firstShown(), extend);
  }

  /** The last of what is found, not only of what is loaded. @param {boolean} extend */
  toEnd(extend) {
    return this.on(this.leadToEnd(extend));
  }

  /** @param {boolean} extend */
  async leadToEnd(extend) {
    const { grid } = this,
      { pages } = grid,
      turn = ++this.turn;
    await pages.reach(MOST, () => turn === this.turn && pages === grid.pages);
    if (turn !== this.turn || pages !== grid.pages) return false;
    grid.drawing.arrange();
    return this.lead(Infinity, extend);
  }

  /** @param {number} at */
  reveal(at) {
    this.grid.scroll.reveal(at, this.grid.bar.hidden ? EDGE : BAR);
  }

  /** A tile got the focus by itself: it is the current one. @param {HTMLElement | null} tile */
  met(tile) {
    const { grid } = this,
      { selection, pages } = grid,
      id = tile?.dataset.id;
    if (!id || grid.shown || id === selection.current) return; // a closing preview gives the focus to where it began
    this.halt();
    selection.stand(id, pages.placeOf(id));
    if (!grid.pointing) selection.beginRange();
    grid.redraw();
  }

  /** Back to what was open, or asked about. @param {string} id */
  returnTo(id) {
    const { grid } = this,
      at = grid.pages.placeOf(id);
    if (at < 0) return;
    grid.selection.stand(id, at);
    this.reveal(at);
    grid.drawing.stand(at);
    grid.redraw();
    if (grid.mayFocus()) grid.focusCurrent();
  }
}
