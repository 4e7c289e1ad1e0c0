import assert from "node:assert/strict";
import { test } from "node:test";
import { Pages } from "../../opstore/ui/components/grid_pages.js";
import { MOST, Selection } from "../../opstore/ui/components/grid_selection.js";
import { idOf, Library, rowOf, rowsOf } from "./grid_samples.js";

const listOf = async given => {
  const pages = new Pages({ source: "/api/search?q=", lost: assert.fail, ...given });
  await pages.load(0);
  return pages;
};

/** A selection of some, standing on one. */
function selectionOf(chosen, current = null) {
  const selection = new Selection();
  selection.add(chosen.map(id => ({ id })));
  if (current) selection.stand(current, 4);
  return selection;
}

test("to choose one twice is not to choose it, and a range goes on from the last that was touched", () => {
  const selection = new Selection();
  selection.toggle("a", 3);
  selection.toggle("b", 8);
  selection.toggle("a", 3);
  assert.deepEqual([...selection.chosen], ["b"]);
  assert.deepEqual(selection.anchor, { id: "a", at: 3 });
});

test("a range goes from the operation with which it began, wherever that stands by now", async t => {
  const library = new Library(20).answer(t),
    pages = await listOf(),
    selection = new Selection();
  selection.stand(idOf(5), 5);
  selection.beginRange();
  library.change(rows => rows.unshift(rowOf(-1)));
  await pages.load(0, true);
  await selection.addRange(pages, 8);
  assert.deepEqual([...selection.chosen], [idOf(5), idOf(6), idOf(7)]);
  library.change(rows => rows.splice(6, 1));
  selection.clear();
  await pages.load(0, true);
  await selection.addRange(pages, 4);
  assert.deepEqual([...selection.chosen], [idOf(3), idOf(4)], "it has gone: from its place");
});

test("of a range that is still on its way nothing is chosen in another list, and none goes on there", async t => {
  new Library(350).answer(t);
  for (const [name, stop] of [
    ["another search begins", selection => selection.begin(null)],
    ["the selection is cleared", selection => selection.clear()],
  ]) {
    const pages = await listOf(),
      selection = selectionOf([], idOf(4));
    selection.beginRange();
    const done = selection.addRange(pages, 150);
    stop(selection);
    await done;
    assert.equal(selection.size, 0, name);
  }
  const selection = selectionOf([], idOf(40));
  selection.beginRange();
  selection.begin(null);
  await selection.addRange(await listOf(), 1);
  assert.deepEqual([...selection.chosen], [idOf(0), idOf(1)]);
});

test("an act is for what is chosen, else for the current one; in a preview always for what is seen", () => {
  assert.deepEqual(selectionOf(["a", "b"], "c").targets(false), ["a", "b"]);
  assert.deepEqual(selectionOf(["a", "b"], "c").targets(true), ["c"]);
  assert.deepEqual(selectionOf([], "c").targets(false), ["c"]);
  assert.deepEqual(selectionOf(["a"]).targets(true), []);
  assert.deepEqual(new Selection().targets(false), []);
});

test("a neighbour is a step away from the current one, and nowhere if none is", () => {
  const selection = selectionOf([], "c");
  assert.deepEqual([selection.onward(1), selection.onward(-1), selection.onward(-Infinity)], [5, 3, -Infinity]);
  assert.equal(new Selection().onward(1), null);
});

test("where the current one has left the list, the next one stands in its place: one step on leads to that, one back to the one before", () => {
  for (const shown of [true, false]) {
    const selection = selectionOf([], "c");
    selection.dropped(["c"], shown);
    assert.deepEqual([selection.onward(1), selection.onward(-1), selection.onward(6)], [4, 3, 9]);
    assert.equal(selection.current, shown ? "c" : null, "a preview goes on showing it");
    selection.stand("d", 4);
    assert.equal(selection.onward(1), 5);
  }
});

test("what others take away is chosen no more, and the current one stays where it is not among that", () => {
  const selection = selectionOf(["a", "b"], "c");
  selection.dropped(["a", "x"], false);
  assert.deepEqual([[...selection.chosen], selection.current, selection.gap], [["b"], "c", false]);
});

test("what the person takes away is chosen no more; whether the current one went is told", () => {
  const selection = selectionOf(["a", "b"], "c");
  assert.equal(selection.leave(["a"]), false);
  assert.equal(selection.leave(["b", "c"]), true);
  assert.deepEqual([selection.size, selection.current], [0, null]);
  assert.equal(selection.leave(["c"]), false);
});

test("another list begins with nothing chosen, at the place of the last visit", () => {
  const selection = selectionOf(["a"], "c");
  selection.dropped(["c"], true);
  selection.begin({ current: "d", at: 12 });
  assert.deepEqual([selection.size, selection.current, selection.at, selection.gap], [0, "d", 12, false]);
  selection.begin(null);
  assert.deepEqual([selection.current, selection.at], [null, 0]);
});

test("in the same list what was chosen stays chosen as far as it is still there", () => {
  const pages = new Pages({ rows: rowsOf(3), lost: assert.fail }),
    selection = new Selection();
  selection.begin(null);
  selection.resume(pages, [idOf(1), idOf(9)], idOf(2));
  assert.deepEqual([[...selection.chosen], selection.current], [[idOf(1)], idOf(2)]);
  selection.begin(null);
  selection.resume(pages, [], idOf(9));
  assert.equal(selection.current, null);
});

test("everything that is found can be chosen, page by page", async t => {
  const library = new Library(350).answer(t),
    pages = await listOf(),
    selection = new Selection(),
    sizes = [];
  assert.equal(await selection.addAll(pages, () => sizes.push(selection.size)), true);
  assert.deepEqual(sizes, [100, 200, 300, 350]);
  assert.equal(library.asked.length, 4);
});

test("not more than can be acted on at once", async t => {
  new Library(MOST + 300).answer(t);
  const pages = await listOf(),
    selection = new Selection();
  await selection.addAll(pages, () => {});
  assert.equal(selection.size, MOST);
});

for (const [name, stop] of [
  ["the selection is cleared", selection => selection.clear()],
  ["another search begins", selection => selection.begin(null)],
  [
    "all is asked for once more",
    (selection, pages) => {
      selection.addAll(pages, () => {});
    },
  ],
]) {
  test(`to choose everything ends where ${name}`, async t => {
    new Library(350).answer(t);
    const pages = await listOf(),
      selection = new Selection();
    let calls = 0;
    const done = selection.addAll(pages, () => {
      calls += 1;
      if (calls === 2) stop(selection, pages);
    });
    assert.equal(await done, false);
    assert.equal(calls, 2);
  });
}
