/* Where a person was in a list, kept for the way back. What is kept is always where they looked, never a step of coming back to it. */

import { stored } from "./grid_memory.js";

/** @typedef {import("./grid_pages.js").Kept} Kept */
/** @typedef {{ pages: Kept, first: number, offset: number, current: string | null, at: number }} Place */
/** @typedef {import("./grid.js").Grid} Grid */

const LISTS = 20,
  WIDTHS = 8,
  HOLDS = 1500,
  PAUSE = 200,
  SETTLED = 1500;
const NAME = "opstore-place:",
  ORDER = "opstore-places",
  STANDS = "opstore-stands";

export class Places {
  /** @param {Grid} grid */
  constructor(grid) {
    this.grid = grid;
    /** @type {{ at: number, offset: number, until: number } | null} where the list is held while what stands above it arrives */
    this.returning = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.saving = undefined;
    this.standing = setTimeout(() => this.saveStand(), SETTLED);
  }

  /** @param {string} source @returns {Place | null} */
  of(source) {
    return stored.get(sessionStorage, NAME + source);
  }

  scrolled() {
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.save(), PAUSE);
  }

  save() {
    const { source, root, scroll, pages, selection } = this.grid;
    if (!source || !root.isConnected || this.returning) return;
    const first = scroll.firstShown(),
      offset = scroll.down() - scroll.top(first);
    /** @type {Place} */
    const place = { pages: pages.saved(), first, offset, current: selection.current, at: selection.at };
    /** @type {string[]} */
    const before = stored.get(sessionStorage, ORDER) ?? [],
      kept = before.filter(other => other !== source);
    for (const old of kept.splice(0, kept.length - (LISTS - 1))) sessionStorage.removeItem(NAME + old);
    stored.set(sessionStorage, ORDER, [...kept, source]);
    stored.set(sessionStorage, NAME + source, place);
  }

  /** Where the list stands in a window of this width: the first screen of the next visit stands there before anything else does. */
  saveStand() {
    const { list, trash, scroll } = this.grid;
    if (location.search || trash) return;
    const { left, top, width } = list.getBoundingClientRect(),
      of = innerWidth;
    /** @type {{ of: number }[]} */
    const stands = stored.get(localStorage, STANDS) ?? [],
      others = stands.filter(stand => stand.of !== of).slice(1 - WIDTHS);
    if (width) stored.set(localStorage, STANDS, [...others, { of, left, top: top + scroll.scroller.scrollTop, width }]);
  }

  /** @param {Place | null} place */
  comeTo(place) {
    this.returning = place && { at: place.first, offset: place.offset, until: Date.now() + HOLDS };
  }

  /** What stands above the grid may still be on its way: hold the place until it stands, or the person scrolls. */
  hold() {
    const place = this.returning,
      { root, scroll } = this.grid;
    if (!place || Date.now() > place.until || !root.isConnected) {
      this.returning = null;
      return;
    }
    if (place.at || place.offset > 0) scroll.to(place.at, place.offset);
    requestAnimationFrame(() => this.hold());
  }

  end() {
    this.save();
    clearTimeout(this.saving);
    clearTimeout(this.standing);
  }
}
