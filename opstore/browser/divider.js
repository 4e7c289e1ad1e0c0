/* The line between two pictures that lie on each other, on the Compare page and on pages that are handed on: dragged, or moved by keys.
   Whoever does not see it is always told where it stands. */

/** @type {Record<string, number>} how far a key moves it, ten times as far with Shift */
const STEPS = {
  ArrowLeft: -0.01,
  ArrowDown: -0.01,
  ArrowRight: 0.01,
  ArrowUp: 0.01,
  PageDown: -0.1,
  PageUp: 0.1,
  Home: -1,
  End: 1,
};

export class Divider {
  /** How much of the left picture is shown, from 0 to 1. */
  at = 0.5;

  /**
   * @param {HTMLElement} handle what has the focus: a slider, as ARIA knows it
   * @param {() => void} moved is called when it stands elsewhere
   */
  constructor(handle, moved) {
    this.handle = handle;
    this.moved = moved;
    handle.onkeydown = event => this.press(event);
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const by = STEPS[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    this.moveTo(this.at + by * (event.shiftKey ? 10 : 1));
  }

  /**
   * Stand where a pointer is, between the ends of what is seen.
   *
   * @param {number} x
   * @param {number} from
   * @param {number} to
   */
  dragTo(x, from, to) {
    this.moveTo((x - from) / Math.max(1, to - from));
  }

  /** @param {number} at */
  moveTo(at) {
    this.at = Math.min(1, Math.max(0, at));
    this.handle.setAttribute("aria-valuenow", String(Math.round(this.at * 100)));
    this.moved();
  }
}
