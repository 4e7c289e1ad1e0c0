import "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { windowName } from "../../opstore/ui/components/grid_memory.js";
import { ownTab } from "../../opstore/ui/components/own_tab.js";
import { boxOf } from "./grid_samples.js";

/** The locks of a browser, which the pages of one address share. */
function locksOf() {
  const held = new Set();
  return {
    request: async (name, _how, given) => {
      const lock = held.has(name) ? null : { name };
      held.add(name);
      given(lock);
    },
  };
}

/** Open a page of a window that keeps this. */
async function open(box, locks) {
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { locks } });
  globalThis.sessionStorage = box;
  globalThis.opstoreTab = undefined;
  return ownTab();
}
const copyOf = box => {
  const copy = boxOf();
  for (const name of ["opstore-tab", "opstore-window"]) copy.setItem(name, box.getItem(name));
  return copy;
};

test("a window has its name when it is loaded anew; its duplicate has another, and takes back nothing of its", async () => {
  const box = boxOf();
  const first = await open(box, locksOf()),
    name = windowName();
  const locks = locksOf(); // the page before has gone, and its locks with it
  assert.deepEqual(await open(box, locks), { id: first.id, from: null });
  assert.equal(windowName(), name);
  const copied = await open(copyOf(box), locks);
  assert.equal(copied.from, first.id);
  assert.notEqual(copied.id, first.id);
  assert.notEqual(windowName(), name);
});
