/* A tab's secret, which outlives a reload. A duplicate, to which the browser gives a copy of all that the tab keeps, gets one of its own,
   and another name for its window: what one did is not taken back in the other. */

import { WINDOW } from "./grid_memory.js";

const KEY = "opstore-tab";
const SECRET = /^[0-9a-f]{32}$/;

const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
const pause = (/** @type {number} */ milliseconds) => new Promise(done => setTimeout(done, milliseconds));

/**
 * Hold the lock of a secret for as long as the page lives; false if another page holds it.
 *
 * @param {string} id
 * @returns {Promise<boolean>}
 */
const lock = id =>
  new Promise(done => {
    navigator.locks.request(`${KEY} ${id}`, { ifAvailable: true }, held => {
      done(held !== null);
      return held && new Promise(() => {});
    });
  });

/**
 * A page that is being reloaded gives its lock back a little later than the next one begins.
 *
 * @param {string} id
 */
async function held(id) {
  if (!navigator.locks) return true;
  for (let turn = 0; turn < 10; turn += 1) {
    if (await lock(id)) return true;
    await pause(50);
  }
  return false;
}

async function named() {
  const kept = sessionStorage.getItem(KEY);
  let id = kept && SECRET.test(kept) ? kept : fresh(),
    from = null;
  if (!(await held(id))) {
    from = id;
    id = fresh();
    await held(id);
    sessionStorage.removeItem(WINDOW);
  }
  sessionStorage.setItem(KEY, id);
  return { id, from };
}

/** Which tab this is, and of which it is a duplicate: found out once for as long as the page lives. */
export function ownTab() {
  window.opstoreTab ??= named();
  return window.opstoreTab;
}
