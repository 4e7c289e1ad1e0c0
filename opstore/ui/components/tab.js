/* Gives the tab a secret that outlives a reload; a duplicate of the tab, which the browser gives a copy of it, gets one of its own.
   With it goes what was written in the tab and not told (`draft.js`). */

import { stored } from "./grid_memory.js";

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
  }
  sessionStorage.setItem(KEY, id);
  return { id, from };
}

/** @type {WeakSet<HTMLElement | ShadowRoot>} */
const asked = new WeakSet();

/**
 * What was kept for the tab when the page was opened, unless it is being written; what another person has left here goes.
 *
 * @param {string} name
 */
function written(name) {
  const [room, person] = name.split("/");
  for (const other of Object.keys(sessionStorage))
    if (other.startsWith(`${room}/`) && !other.startsWith(`${room}/${person}/`)) sessionStorage.removeItem(other);
  const left = /** @type {import("./draft.js").Written | null} */ (stored.get(sessionStorage, name));
  const stands = [...document.querySelectorAll("textarea")].some(box => box.value === left?.text);
  return stands && left?.text ? null : left;
}

/** @param {Component<{ kept: string }>} component */
export default function ({ data, parentElement, setStateValue }) {
  if (asked.has(parentElement)) return;
  asked.add(parentElement);
  window.opstoreTab ??= named();
  const begun = new Promise(done => done(written(data.kept)));
  Promise.all([window.opstoreTab, begun]).then(
    ([tab, left]) => setStateValue("tab", { ...tab, left, turn: Date.now() }),
    () => {}, // without storage there is no draft
  );
}
