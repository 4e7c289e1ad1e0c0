import "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { around, button, clamp, el, part } from "../../opstore/ui/components/dom.js";

test("what is no property becomes an attribute, and null becomes nothing", () => {
  const made = el("input", {
    type: "range",
    "aria-label": "Size",
    role: "slider",
    list: "tags",
    "data-id": 7,
    title: null,
    hidden: false,
  });
  assert.equal(made.localName, "input");
  assert.equal(made.type, "range");
  assert.equal(made.hidden, false);
  assert.deepEqual(Object.fromEntries(made.attributes), { "aria-label": "Size", role: "slider", list: "tags", "data-id": "7" });
  assert.ok(!("title" in made));
});

test("false is a value: an attribute says it, a property has it", () => {
  const made = el("img", { draggable: false, "aria-hidden": false });
  assert.equal(made.draggable, false);
  assert.equal(made.getAttribute("aria-hidden"), "false");
});

test("a button says what it does, in the words that are given last", () => {
  let presses = 0;
  const made = button("+", "Larger", () => (presses += 1), { className: "round", title: "Larger (+)" });
  made.click();
  assert.deepEqual([made.type, made.textContent, made.title, made.className], ["button", "+", "Larger (+)", "round"]);
  assert.equal(made.getAttribute("aria-label"), "Larger");
  assert.equal(presses, 1);
});

test("a part that does not stand there is a fault, and says which", () => {
  const root = el("div", { className: "root" });
  const place = el("div", {}, root);
  assert.equal(part(place, ".root"), root);
  assert.throws(() => part(place, ".row"), /\.row/);
});

test("around an event is the element that is meant, or none", () => {
  const inner = el("span");
  const tile = el("button", { className: "tile" }, inner);
  assert.equal(around({ target: inner }, ".tile"), tile);
  assert.equal(around({ target: inner }, ".other"), null);
  assert.equal(around({ target: globalThis }, ".tile"), null);
});

test("clamp", () => {
  assert.deepEqual(
    [-1, 0.5, 2, Infinity].map(value => clamp(value, 0, 1)),
    [0, 0.5, 1, 1],
  );
});
