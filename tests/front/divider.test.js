import assert from "node:assert/strict";
import { test } from "node:test";
import { Element, pressed } from "./page.js";
import { Divider } from "../../opstore/browser/divider.js";

/** A divider, and where it was told to stand. */
function made() {
  const told = [],
    divider = new Divider(new Element("div"), () => told.push(divider.at));
  return { divider, told };
}

test("keys move it by a hundredth, by a tenth, or to an end, with Shift ten times as far", () => {
  const { divider, told } = made();
  for (const [key, shiftKey, at] of [
    ["ArrowRight", false, 0.51],
    ["ArrowUp", false, 0.52],
    ["ArrowLeft", true, 0.42],
    ["ArrowDown", false, 0.41],
    ["PageUp", false, 0.51],
    ["PageDown", false, 0.41],
    ["Home", false, 0],
    ["ArrowLeft", false, 0],
    ["End", false, 1],
    ["PageUp", true, 1],
  ]) {
    const event = pressed(key, { shiftKey });
    divider.handle.onkeydown(event);
    assert.ok(Math.abs(divider.at - at) < 1e-9, key);
    assert.equal(divider.handle.getAttribute("aria-valuenow"), String(Math.round(at * 100)));
    assert.ok(event.defaultPrevented && event.isStopped);
  }
  assert.equal(told.length, 10);
});

test("a key that moves nothing goes on to whoever wants it", () => {
  const { divider, told } = made(),
    event = pressed("Enter");
  divider.handle.onkeydown(event);
  assert.deepEqual([divider.at, told, event.defaultPrevented, event.isStopped], [0.5, [], false, false]);
});

test("it stands under the pointer, and never beside what is seen", () => {
  const { divider, told } = made();
  for (const x of [150, 50, 900]) divider.dragTo(x, 100, 300);
  divider.dragTo(5, 7, 7);
  assert.deepEqual(told, [0.25, 0, 1, 0]);
});
