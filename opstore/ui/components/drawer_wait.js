/* What waits for a drawer that is on its way, with the keys that are meant for it; there is one at a time, and it knows for how many
   looks in succession the page has rested: a browser that is starved looks seldom, and takes as long to build the drawer. */

import { scriptState } from "../streamlit_private/page.js";

const LOOK = 200;

/**
 * Wait from now on for the drawer of an operation, or for a neighbour of the one that is `left`.
 *
 * @param {{ id: string } | { left: string, turn: number }} what
 * @param {string[]} [keys] what is meant for it already
 */
export function waitFor(what, keys = []) {
  /** @type {Early} */
  const waiting = { ...what, keys, since: performance.now(), rested: 0 };
  window.opstoreEarly = waiting;
  const timer = setInterval(() => {
    waiting.rested = scriptState().rests ? waiting.rested + 1 : 0;
    if (window.opstoreEarly !== waiting) clearInterval(timer);
  }, LOOK);
}
