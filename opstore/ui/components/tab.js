/* Tells which tab this is (own_tab.js), and with it what was written in the tab and not told (`draft.js`). */

import { stored } from "./grid_memory.js";
import { ownTab } from "./own_tab.js";

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
  const begun = new Promise(done => done(written(data.kept)));
  Promise.all([ownTab(), begun]).then(
    ([tab, left]) => setStateValue("tab", { ...tab, left, turn: Date.now() }),
    () => {}, // without storage there is no draft
  );
}
