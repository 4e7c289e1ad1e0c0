import { found } from "./page.js";
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { standing } from "../../opstore/ui/components/clicks.js";
import { el } from "../../opstore/ui/components/dom.js";
import { onward } from "../../opstore/ui/components/gallery.js";
import { asks, catchUp, hasCome, isTaken, meant, nowAndAgain } from "../../opstore/ui/components/drawer_keys.js";
import { beside } from "../../opstore/ui/components/oneof.js";

beforeEach(() => {
  found.clear();
  window.opstoreEarly = null;
});

const hearing = () => {
  const heard = [];
  return { heard, tell: (kind, value) => heard.push(value === undefined ? kind : `${kind} ${value}`) };
};

test("keys rate, mark and take away; all others ask for nothing", () => {
  const { heard, tell } = hearing();
  assert.deepEqual(
    ["0", "5", "f", "delete"].map(key => asks(key, ".tags", tell)),
    [true, true, true, true],
  );
  assert.deepEqual(
    ["6", "x", "enter", "t", ""].map(key => asks(key, ".tags", tell)),
    [false, false, false, false, false],
  );
  assert.deepEqual(heard, ["rate 0", "rate 5", "favorite", "trash"]);
});

test("what was told in vain is told again, and not at every look", context => {
  let [now, told] = [1000, 0];
  context.mock.method(performance, "now", () => now);
  const tell = nowAndAgain(() => {
    told += 1;
  }, 15_000);
  for (; now < 46_000; now += 3000) tell();
  assert.equal(told, 3);
});

test("T leads to the field of tags if there is one", () => {
  const field = el("input");
  found.set(".tags input", field);
  assert.ok(asks("t", ".tags", () => assert.fail("nothing is told")));
  assert.equal(document.activeElement, field);
});

test("who writes, and a window over the drawer, have their keys for themselves", () => {
  const taken = (...path) => isTaken({ composedPath: () => path });
  assert.ok(taken({ localName: "textarea" }));
  assert.ok(taken({ localName: "select" }));
  assert.ok(taken({ localName: "div", isContentEditable: true }));
  assert.ok(taken({ localName: "button" }, { localName: "dialog" }));
  for (const type of ["text", "search", "number"]) assert.ok(taken({ localName: "input", type }), type);
  for (const type of ["checkbox", "radio", "range", "button"]) assert.ok(!taken({ localName: "input", type }), type);
  assert.ok(!taken({ localName: "button" }, { localName: "section" }));
  assert.ok(!taken(document));
});

const now = { id: "now", turn: 3 };
const LEFT = ".st-key-neighbour-left button";
const RIGHT = ".st-key-neighbour-right button";

test("keys that were pressed early are done in their order", () => {
  const { heard, tell } = hearing();
  catchUp(["3", "F", "3"], now, tell);
  assert.deepEqual(heard, ["3", "f", "3"]);
});

test("what follows a step to the neighbour waits for that one's drawer", () => {
  const { heard, tell } = hearing();
  let steps = 0;
  found.set(RIGHT, el("button", { onclick: () => (steps += 1) }));
  catchUp(["3", "ArrowRight", "4", "Delete"], now, tell);
  assert.deepEqual([heard, steps], [["3"], 1]);
  assert.deepEqual([window.opstoreEarly.left, window.opstoreEarly.keys], ["now", ["4", "Delete"]]);
});

test("if there is no neighbour a step is none", () => {
  const { heard, tell } = hearing();
  found.set(LEFT, el("button", { disabled: true, onclick: () => assert.fail("it cannot be pressed") }));
  catchUp(["ArrowLeft", "ArrowRight", "2"], now, tell);
  assert.deepEqual(heard.at(-1), "2");
  assert.equal(window.opstoreEarly, null);
});

test("what waits for a neighbour that there is not is meant for nobody else", () => {
  const waiting = { left: "now", turn: 3, keys: ["5", "Escape", "Delete"], since: 0, rested: 0 };
  assert.ok(!hasCome(waiting, now), "it is drawn anew, and the neighbour is on its way");
  assert.ok(hasCome(waiting, { id: "now", turn: 4 }) && hasCome(waiting, { id: "next", turn: 4 }));
  assert.deepEqual(meant(waiting, "now"), ["Escape"]);
  assert.deepEqual(meant(waiting, "next"), waiting.keys);
  assert.ok(hasCome({ ...waiting, id: "now", left: undefined }, now));
});

test("nothing follows what was taken away, or a drawer that was closed", () => {
  const away = hearing();
  catchUp(["Delete", "5"], now, away.tell);
  assert.deepEqual(away.heard, ["delete"]);
  const closed = hearing();
  let closes = 0;
  found.set('[role="dialog"] button[aria-label="Close"]', el("button", { onclick: () => (closes += 1) }));
  catchUp(["Escape", "5"], now, closed.tell);
  assert.deepEqual([closed.heard, closes], [[], 1]);
});

test("the button that is pressed is itself, else the one of its name, else the only one", () => {
  const named = name => el("button", { textContent: name, dataset: {} });
  const pressed = more => ({
    button: Object.assign(named("Save"), { isConnected: false }),
    name: "Save",
    shadowed: false,
    key: "st-key-form",
    ...more,
  });
  const form = (...buttons) => found.set(".st-key-form", { querySelectorAll: () => buttons });
  const here = named("Save");
  assert.equal(standing(pressed({ button: here })), here);
  const [save, other] = [named("Save"), named("Cancel")];
  form(other, save);
  assert.equal(standing(pressed()), save);
  form(save, named("Save"));
  assert.equal(standing(pressed()), null, "of two of the name nobody knows which");
  form(other);
  assert.equal(standing(pressed()), other);
  form();
  assert.equal(standing(pressed()), null);
});

test("arrows go around a row of choices, and through a grid by its columns", () => {
  assert.deepEqual(
    [beside(0, "ArrowLeft", 3), beside(2, "ArrowDown", 3), beside(1, "ArrowUp", 3), beside(1, "Enter", 3)],
    [2, 0, 0, null],
  );
  assert.deepEqual(
    [onward(1, "ArrowDown", 4), onward(5, "ArrowUp", 4), onward(1, "ArrowRight", 4), onward(1, "Enter", 4)],
    [5, 1, 2, null],
  );
  assert.deepEqual([onward(1, "ArrowDown", -1), onward(1, "ArrowUp", -1)], [2, 0], "in one row, to the next");
});
