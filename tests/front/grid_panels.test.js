import { Element } from "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { tags } from "../../opstore/ui/components/grid_over.js";
import { ask, notice, selectionBar } from "../../opstore/ui/components/grid_panels.js";
import { Selection } from "../../opstore/ui/components/grid_selection.js";
import { Words } from "../../opstore/ui/components/grid_tiles.js";

const element = () => document.createElement("div");

/** A grid of ten operations, of which nothing is chosen yet; whoever has the focus is `document.activeElement`. */
function begun() {
  const grid = { selection: new Selection(), pages: { total: { n: 10, exact: true }, rows: new Map() }, data: { tags: [] } };
  Object.assign(grid, { root: element(), bar: element(), notice: element(), list: element(), shown: null, elsewhere: false });
  Object.assign(grid, { may: () => true, focused: () => document.activeElement, clear() {}, targets: () => ["a"] });
  grid.mayFocus = () => !grid.elsewhere;
  grid.focusCurrent = () => grid.list.focus();
  grid.words = new Words({ language: "en", types: {}, statuses: {}, help: [], formats: [], selected: ["{count} selected", "{count} selected"] });
  document.activeElement = null;
  return grid;
}
const buttonOf = (place, name) =>
  place.querySelectorAll("button").find(item => (item.getAttribute("aria-label") ?? item.textContent) === name);
const choose = (grid, ...ids) => {
  grid.selection.clear();
  grid.selection.add(ids.map(id => ({ id })));
  selectionBar(grid);
};

test("the bar counts what is chosen, and a button that is held or has the focus stays where the same is offered", () => {
  const grid = begun();
  choose(grid, "a", "b");
  const held = buttonOf(grid.bar, "tag");
  held.focus();
  choose(grid, "a", "b", "c");
  assert.equal(grid.bar.querySelector(".chosen").textContent, "3 selected");
  assert.equal(buttonOf(grid.bar, "tag"), held);
});

test("the focus stays on the button of the same name where another is offered, and in the grid where the bar goes", () => {
  const grid = begun();
  choose(grid, "a", "b");
  buttonOf(grid.bar, "favorite").focus();
  choose(grid, "a");
  assert.equal(document.activeElement, buttonOf(grid.bar, "favorite"));
  choose(grid);
  assert.ok(grid.bar.hidden);
  assert.equal(document.activeElement, grid.list);
});

test("the line that goes leaves the focus in the grid", () => {
  const grid = begun(),
    undo = document.createElement("button");
  notice(grid, "1 moved", [undo], 0);
  undo.focus();
  notice(grid, "");
  assert.equal(document.activeElement, grid.list);
});

test("a question takes the focus from nobody who writes elsewhere, and is not asked behind a preview", () => {
  const grid = begun(),
    search = document.createElement("input"),
    question = { kind: "trash", ids: ["a"], text: "really?" };
  let closed = 0;
  grid.shown = { close: () => closed++ };
  ask(grid, question);
  assert.equal(document.activeElement.textContent, "trash");
  assert.equal(closed, 1);
  grid.elsewhere = true;
  search.focus();
  ask(grid, question);
  assert.equal(document.activeElement, search);
});

test("a card closes by a click beside it, not by one on its edge nor by a drag out of it", t => {
  const grid = begun();
  let closed = 0;
  t.mock.method(globalThis.document, "createElement", name =>
    Object.assign(new Element(name), {
      showModal() {},
      close: () => closed++,
      getBoundingClientRect: () => ({ left: 100, right: 300, top: 100, bottom: 300 }),
    }),
  );
  tags(grid);
  const dialog = grid.root.children.at(-1),
    at = (clientX, clientY, target = dialog) => ({ target, clientX, clientY });
  const clicked = (down, up) => {
    dialog.onpointerdown(down);
    dialog.onclick(up);
    return closed;
  };
  assert.equal(clicked(at(110, 110), at(110, 110)), 0, "its edge");
  assert.equal(clicked(at(150, 150, element()), at(50, 50)), 0, "a text was marked, and the mouse let go beside it");
  assert.equal(clicked(at(50, 50), at(50, 50)), 1);
});
