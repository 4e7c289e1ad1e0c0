import assert from "node:assert/strict";
import { test } from "node:test";
import "./page.js";
import { Follower } from "../../opstore/ui/components/grid_follow.js";
import { Pages } from "../../opstore/ui/components/grid_pages.js";
import { Selection } from "../../opstore/ui/components/grid_selection.js";
import { idOf, Library, rowOf } from "./grid_samples.js";

document.visibilityState = "visible";

/** A grid over a library, of which the first pages are here, and those of these numbers near the screen. */
async function begun(t, library, near) {
  const lost = [],
    nothing = () => {};
  const pages = new Pages({ source: "/api/search?q=", lost: error => lost.push(error.message) }),
    scroll = { down: () => 0, high: 100 };
  const grid = { source: pages.source, pages, scroll, selection: new Selection(), acts: { sent: null }, shown: null, lost };
  Object.assign(grid, { ended: new AbortController(), drawing: { arrange: nothing }, redraw: nothing });
  library.answer(t);
  await pages.reach(10_000, () => true);
  const look = (...numbers) => {
    for (const [number, page] of pages.list.entries()) page.place = { near: numbers.includes(number) };
  };
  look(...near);
  const follower = new Follower(grid);
  t.after(() => follower.end());
  library.asked.length = 0;
  return { grid, pages, follower, look };
}

test("a look that finds the present version fetches nothing, and one that finds another only what is near", async t => {
  const library = new Library(250),
    { pages, follower } = await begun(t, library, [1]);
  await follower.poll();
  assert.deepEqual(library.asked, []);
  library.change(rows => rows.splice(150, 1));
  await follower.poll();
  assert.deepEqual(library.asked, [idOf(99)]);
  assert.equal(pages.placeOf(idOf(150)), -1);
  await follower.poll();
  assert.equal(library.asked.length, 1, "now it is the present one");
});

test("an answer that was lost is asked for again at the next look", async t => {
  const library = new Library(50),
    { grid, pages, follower } = await begun(t, library, [0]);
  library.change(rows => rows.splice(7, 1));
  library.refusals.push("the disk is full");
  await follower.poll();
  assert.deepEqual(grid.lost, ["the disk is full"]);
  assert.equal(pages.placeOf(idOf(7)), 7);
  await follower.poll();
  assert.equal(pages.placeOf(idOf(7)), -1);
});

test("a page that comes near after the change was seen follows as well", async t => {
  const library = new Library(250),
    { pages, follower, look } = await begun(t, library, [2]);
  library.change(rows => rows.unshift(rowOf(-1)));
  await follower.poll();
  assert.equal(pages.placeOf(idOf(-1)), -1, "nobody looks there");
  look(0);
  await follower.poll();
  assert.equal(pages.placeOf(idOf(-1)), 0);
});

test("what changes while a page is on its way is met by the next look", async t => {
  const library = new Library(50),
    { pages, follower } = await begun(t, library, [0]);
  library.change(rows => rows.splice(3, 1));
  const loading = pages.load(0, true);
  await follower.poll();
  await loading;
  library.change(rows => rows.splice(8, 1));
  await follower.poll();
  assert.deepEqual(
    pages.list[0].rows.map(row => row.id),
    library.rows.map(row => row.id),
  );
});

test("what another list does not show was not taken away: a look that it overtakes says nothing of it", async t => {
  const library = new Library(50),
    { grid, pages, follower } = await begun(t, library, [0]);
  library.change(rows => rows.splice(7, 1));
  const looked = follower.refresh();
  grid.selection.begin({ current: idOf(7), at: 7 }); // Back, to a list whose rows are still to come
  grid.pages = new Pages({ source: "/api/search?q=other", lost: assert.fail });
  pages.close();
  await looked;
  assert.equal(grid.selection.current, idOf(7));
});
