/* What waits for a drawer that is on its way, with the keys that are meant for it; there is one at a time, and it knows for how long
   the page has rested. */

import { scriptState } from "../streamlit_private/page.js";

const LOOK = 200;

/**
 * Wait from now on for the drawer of an operation, or for a neighbour of the one that is `left`.
 *
 * @param {{ id: string } | { left: string }} what
 * @param {string[]} [keys] what is meant for it already
 */
export function waitFor(what, keys = []) {
  /** @type {Early} */
  const waiting = { ...what, keys, since: performance.now() };
  window.opstoreEarly = waiting;
  const timer = setInterval(() => {
    waiting.rests = scriptState().rests ? (waiting.rests ?? performance.now()) : undefined;
    if (window.opstoreEarly !== waiting) clearInterval(timer);
  }, LOOK);
}
