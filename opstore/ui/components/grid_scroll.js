/* Where the grid stands in the window: from places of the list to pixels and back. Every row is `high`, whether it is drawn or not. */

export class Scroll {
  /** @param {HTMLElement} list @param {Element} scroller */
  constructor(list, scroller) {
    this.list = list;
    this.scroller = scroller;
    this.columns = 1;
    this.high = 1;
  }

  /** How far the grid's top is above the window's, in pixels. */
  down() {
    return this.scroller.getBoundingClientRect().top - this.list.getBoundingClientRect().top;
  }
  /** @param {number} at */
  top(at) {
    return Math.floor(at / this.columns) * this.high;
  }
  get rows() {
    return Math.max(1, Math.floor(this.scroller.clientHeight / this.high));
  }
  lastShown() {
    return (Math.ceil((this.down() + this.scroller.clientHeight) / this.high) + 1) * this.columns - 1;
  }
  firstShown() {
    return Math.max(0, Math.ceil((this.down() - this.high / 2) / this.high)) * this.columns;
  }

  /** @param {number} pixels */
  by(pixels) {
    this.scroller.scrollTop += pixels;
  }
  /** @param {number} at @param {number} offset */
  to(at, offset) {
    this.by(this.top(at) + offset - this.down());
  }
  toTop() {
    if (this.down() > 0) this.by(-80 - this.down());
  }

  /** Bring a tile into the window; `below` is what our bar covers. @param {number} at @param {number} below */
  reveal(at, below) {
    const top = this.top(at),
      down = this.down(),
      room = this.scroller.clientHeight,
      above = 72; // the page's bar
    if (top < down + above) this.by(top - down - above);
    else if (top + this.high > down + room - below) this.by(top + this.high - down - room + below);
  }
}

/** The element that scrolls what an element stands in. @param {Element} item @returns {Element} */
export function scrollerOf(item) {
  for (let at = /** @type {Element | undefined} */ (item); at; at = at.parentElement ?? hostOf(at)) {
    if (/auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return document.scrollingElement ?? document.documentElement;
}

/** @param {Element} item */
function hostOf(item) {
  const root = item.getRootNode();
  return root instanceof ShadowRoot ? root.host : undefined;
}
