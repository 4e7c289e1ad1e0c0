import { pressed } from "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { pressHere, touches } from "../../opstore/ui/components/grid_keys.js";
import { Pages } from "../../opstore/ui/components/grid_pages.js";
import { Selection } from "../../opstore/ui/components/grid_selection.js";
import { Walk } from "../../opstore/ui/components/grid_walk.js";
import { idOf, Library } from "./grid_samples.js";

globalThis.PointerEvent ??= class {};
globalThis.navigator ??= {};

/** A grid that stands on the last of the first hundred rows; what is done in it, and to which tile. */
async function standing(t) {
  const library = new Library(250).answer(t),
    pages = new Pages({ source: "/api/search?q=", lost: () => {} }),
    selection = new Selection(),
    done = [],
    focused = [],
    nothing = () => {};
  await pages.load(0);
  const grid = { pages, selection, shown: null, trash: false, bar: { hidden: true }, scroll: { columns: 1, rows: 5, reveal: nothing } };
  Object.assign(grid, { drawing: { stand: nothing, arrange: nothing }, redraw: nothing });
  grid.mayFocus = () => !grid.elsewhere;
  grid.focusCurrent = () => focused.push(selection.current);
  grid.rate = value => done.push([value, selection.current]);
  grid.act = kind => done.push([kind, selection.current]);
  grid.walk = new Walk(grid);
  selection.stand(idOf(99), 99);
  return { grid, library, done, focused, press: key => pressHere(grid, pressed(key)) };
}
/** Wait until the way that one is on has led there, or nowhere. */
const arrival = async ({ walk: { way } }) => {
  await way;
  await new Promise(done => setImmediate(done));
};

test("what is pressed while the next tile is on its way is for that one", async t => {
  const { grid, done, press } = await standing(t);
  press("ArrowDown");
  press("5");
  press("Delete");
  assert.deepEqual(done, [], "the one that is left is not meant");
  await arrival(grid);
  assert.deepEqual(done, [
    [5, idOf(100)],
    ["trash", idOf(100)],
  ]);
  press("1");
  assert.deepEqual(done[2], [1, idOf(100)], "once it is there, at once");
});

test("what is pressed for a tile that does not come is for none, and the next step goes from where one stands", async t => {
  const { grid, library, done, press } = await standing(t);
  library.refusals.push("the disk is full");
  press("ArrowDown");
  press("Delete");
  await arrival(grid);
  assert.deepEqual([done, grid.selection.current, grid.selection.at], [[], idOf(99), 99]);
});

test("what is pressed on the way to the end is for the last", async t => {
  const { grid, done, press } = await standing(t);
  press("End");
  press("3");
  await arrival(grid);
  assert.deepEqual(done, [[3, idOf(249)]]);
});

test("a way that waits leads nowhere once the person is elsewhere", async t => {
  const { grid, done, press } = await standing(t);
  press("ArrowDown");
  press("5");
  const arrived = arrival(grid);
  grid.walk.met({ dataset: { id: idOf(3) } });
  press("4");
  await arrived;
  assert.deepEqual([done, grid.selection.current], [[[4, idOf(3)]], idOf(3)]);
});

test("a tile that comes late takes the focus from nobody who has begun to write elsewhere", async t => {
  const { grid, focused, press } = await standing(t);
  press("ArrowUp");
  assert.deepEqual(focused, [idOf(98)]);
  press("End");
  grid.elsewhere = true;
  await arrival(grid);
  assert.deepEqual([grid.selection.current, focused], [idOf(249), [idOf(98)]]);
});

test("a finger that rests chooses, two that zoom do not", t => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const list = {},
    chosen = [],
    tile = { closest: () => ({ dataset: { id: "a" } }) };
  Object.setPrototypeOf(tile, Element.prototype);
  touches({ list, bar: { classList: { add() {}, remove() {} } }, toggle: id => chosen.push(id) });
  const finger = isPrimary => ({ pointerType: "touch", isPrimary, target: tile, clientX: 0, clientY: 0 });
  list.onpointerdown(finger(true));
  list.onpointerdown(finger(false));
  list.onpointercancel();
  list.onpointercancel();
  t.mock.timers.tick(1000);
  assert.deepEqual(chosen, []);
  list.onpointerdown(finger(true));
  t.mock.timers.tick(1000);
  assert.deepEqual(chosen, ["a"]);
});
