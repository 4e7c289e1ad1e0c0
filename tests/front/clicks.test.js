import { found } from "./page.js";
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { elsewhere, focus, rise, space, strike } from "../../opstore/ui/components/clicks.js";
import { el } from "../../opstore/ui/components/dom.js";

globalThis.ShadowRoot = class {};
globalThis.KeyboardEvent = class {};

/** What was clicked, or told to the page's script. */
const done = [];
const settled = () => new Promise(next => setTimeout(next, 5));

/** A button of the page under the key `look`, within what Streamlit puts around one. */
function button(name = "Look") {
  const one = el("button", { type: "button", textContent: name, onclick: () => done.push(name) });
  const place = { className: "st-key-look", classList: ["st-key-look"] };
  one.getRootNode = () => document;
  one.closest = selector => (selector.includes("st-key-") ? place : {});
  return one;
}

const bar = (target, more = {}) => ({ key: " ", repeat: false, composedPath: () => [target], ...more });
const stands = one => found.set(".st-key-look", [{ querySelectorAll: () => (one ? [one] : []) }]);

beforeEach(() => {
  done.length = 0;
  document.activeElement = null;
  found.clear();
  window.opstoreClicks = key => done.push(`gone ${key}`);
});

test("the space bar presses the button that has come in the place of the one it went down on", async () => {
  const [one, other] = [button(), button()];
  space(bar(one));
  one.isConnected = false;
  stands(other);
  rise(bar(document.body));
  await settled();
  rise(bar(document.body));
  await settled();
  assert.deepEqual(done, ["Look"]);
});

test("where none stands any more, or it cannot be pressed now, the page's script is told", async () => {
  const one = button();
  space(bar(one));
  one.isConnected = false;
  stands(null);
  rise(bar(document.body));
  await settled();
  const closed = button();
  space(bar(closed));
  closed.disabled = true;
  rise(bar(document.body));
  await settled();
  assert.deepEqual(done, ["gone look", "gone look"]);
});

test("a button that stands is the browser's own, and who goes elsewhere with the focus presses nothing, nor does a key of somebody else's", async () => {
  const one = button();
  space(bar(one));
  rise(bar(one));
  await settled();
  space(bar(one));
  one.isConnected = false;
  stands(button());
  document.activeElement = el("input", { type: "text" });
  rise(bar(document.activeElement));
  await settled();
  document.activeElement = null;
  for (const [down, up] of [
    [true, false],
    [false, true],
  ]) {
    const tile = button();
    space(bar(tile, { defaultPrevented: down }));
    tile.isConnected = false;
    rise(bar(document.body, { defaultPrevented: up }));
    await settled();
  }
  space(bar(button(), { repeat: true }));
  rise(bar(document.body));
  await settled();
  assert.deepEqual(done, []);
});

/** A key that arrives at nothing, as one does where the button with the focus has gone. */
const enter = (more = {}) => ({ key: "Enter", composedPath: () => [document.body], preventDefault() {}, ...more });

test("a key presses what has come in the place of the button with the focus, or tells of it, once and soon", context => {
  let now = 1000;
  context.mock.method(performance, "now", () => now);
  const [gone, here, closed] = [button("Save"), button("Save"), button("Save")];
  focus(bar(gone));
  strike(enter()); // it stands, and the key is another's
  gone.isConnected = false;
  stands(here);
  strike(enter({ ctrlKey: true }));
  strike(enter({ composedPath: () => [el("input", { type: "text" })] }));
  strike(enter({ key: "x" }));
  strike(enter());
  strike(enter());
  assert.deepEqual(done, ["Save"]);
  focus(bar(closed));
  closed.disabled = true;
  strike(enter({ key: " " }));
  assert.deepEqual(done, ["Save", "gone look"]);
  focus(bar(closed));
  now += 3000;
  strike(enter());
  focus(bar(closed));
  elsewhere({});
  strike(enter());
  focus(bar(el("input", { type: "text" })));
  strike(enter());
  assert.deepEqual(done, ["Save", "gone look"]);
});
