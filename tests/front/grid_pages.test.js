import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMIT, Pages } from "../../opstore/ui/components/grid_pages.js";
import { idOf, Library, rowOf, rowsOf } from "./grid_samples.js";

const SOURCE = "/api/search?q=&order=newest&group=";
const fails = error => assert.fail(error);

/** Pages of a library, the first of them loaded. */
async function begun() {
  const pages = new Pages({ source: SOURCE, lost: fails });
  await pages.load(0);
  return pages;
}

/** What must be so whatever was done: rows are exactly those of the pages, counts are true, nothing hidden is shown. */
function check(pages) {
  const shown = pages.list.flatMap(page => page.rows ?? []);
  assert.deepEqual([...pages.rows.keys()].sort(), shown.map(row => row.id).sort());
  for (const page of pages.list) if (page.rows) assert.equal(page.count, page.rows.length);
  assert.ok(!shown.some(row => pages.hidden.has(row.id)));
  for (const [at, row] of shown.entries()) if (pages.list.every(page => page.rows)) assert.equal(pages.placeOf(row.id), at);
}

test("pages follow each other by their cursors, each asked for once", async t => {
  const library = new Library(250).answer(t),
    pages = await begun();
  assert.deepEqual(
    pages.list.map(page => page.count),
    [100, 100],
    "the next page is known with its first",
  );
  await Promise.all([pages.load(1), pages.load(1)]);
  await pages.load(2);
  assert.deepEqual(library.asked, [null, idOf(99), idOf(199)]);
  assert.deepEqual(
    pages.list.map(page => page.count),
    [100, 100, 50],
  );
  assert.equal((await pages.row(249)).id, idOf(249));
  assert.equal(pages.rowNow(250), null);
  assert.equal(pages.placeOf(idOf(123)), 123);
  assert.equal(pages.placeOf("nobody"), -1);
  check(pages);
});

test("the last page is as long as the total says, before it is here", async t => {
  new Library(130).answer(t);
  const pages = await begun();
  assert.deepEqual(
    pages.list.map(page => page.count),
    [LIMIT, 30],
  );
  assert.equal(pages.size, 130);
});

test("a place is in one page, and what lies between two places is in their order, whichever is first", async t => {
  new Library(250).answer(t);
  const pages = await begun();
  assert.deepEqual([pages.locate(0), pages.locate(99), pages.locate(100), pages.locate(200)], [[0, 0], [0, 99], [1, 0], null]);
  const there = await pages.between(98, 102),
    back = await pages.between(102, 98);
  assert.deepEqual(
    there.map(row => row.id),
    [98, 99, 100, 101, 102].map(idOf),
  );
  assert.deepEqual(back, there);
});

test("to reach far fetches page after page, to the limit, for as long as somebody wants", async t => {
  new Library(500).answer(t);
  const pages = await begun(),
    seen = [];
  await pages.reach(250, rows => seen.push(rows.length) > 0);
  assert.deepEqual(seen, [100, 100, 100]);
  await pages.reach(10_000, rows => {
    seen.push(rows[0].id);
    return seen.length < 5;
  });
  assert.deepEqual(seen.slice(3), [idOf(0), idOf(100)]);
});

test("rows that came in above are shown, and no row is shown twice or missing at the border of two pages", async t => {
  const library = new Library(250).answer(t),
    pages = await begun();
  await pages.load(1);
  library.rows.unshift(rowOf(-1), rowOf(-2));
  assert.equal(await pages.load(0, true), true);
  await pages.load(1);
  check(pages);
  const ids = pages.list.flatMap(page => (page.rows ?? []).map(row => row.id));
  assert.deepEqual(
    ids,
    library.rows.slice(0, ids.length).map(row => row.id),
  );
  assert.equal(await pages.load(0, true), false, "nothing is other than before");
});

test("where rows have gone the pages close up, and the list ends where the rows do", async t => {
  const library = new Library(250).answer(t),
    pages = await begun();
  for (const number of [1, 2]) await pages.load(number);
  library.rows.splice(60);
  assert.equal(await pages.load(0, true), true);
  assert.deepEqual(
    pages.list.map(page => page.count),
    [60],
  );
  check(pages);
});

test("a page that is far from the screen is forgotten, but for one that is drawn, and comes again", async t => {
  new Library(4000).answer(t);
  const pages = await begun();
  await pages.reach(4000, () => true);
  pages.list[30].place = { near: true };
  pages.trim(0);
  assert.deepEqual(
    pages.list.flatMap((page, at) => (page.rows ? [at] : [])),
    [...Array(16).keys(), 30],
  );
  assert.equal(pages.size, 4000, "its place is kept");
  check(pages);
  assert.equal((await pages.row(2000)).id, idOf(2000));
});

test("what was just changed is shown over what the server still says, until it is acknowledged", async t => {
  new Library(10).answer(t);
  const pages = await begun();
  pages.patch(idOf(3), { rating: 5 });
  await pages.load(0, true);
  assert.equal(pages.rows.get(idOf(3)).rating, 5);
  pages.settle(idOf(3), { rating: 4 });
  assert.equal(pages.rows.get(idOf(3)).rating, 4);
  await pages.load(0, true);
  assert.equal(pages.rows.get(idOf(3)).rating, null, "now the server is right");
});

test("what is on its way to the trash is neither shown nor counted, and comes back where it stays", async t => {
  new Library(150).answer(t);
  const pages = await begun(),
    gone = [idOf(3), idOf(120)];
  pages.hide(gone);
  assert.equal(pages.size, 149);
  assert.equal(pages.total.n, 149);
  await pages.load(1);
  await pages.load(0, true);
  assert.equal(pages.placeOf(idOf(3)), -1);
  assert.equal(pages.placeOf(idOf(120)), -1);
  check(pages);
  for (const id of gone) pages.hidden.delete(id);
  for (const number of [0, 1]) await pages.load(number, true);
  assert.equal(pages.placeOf(idOf(120)), 120);
  check(pages);
});

test("the way back finds every page where it was, without a request", async t => {
  const library = new Library(450).answer(t),
    pages = await begun();
  await pages.reach(300, () => true);
  const again = new Pages({ source: SOURCE, saved: JSON.parse(JSON.stringify(pages.saved())), lost: fails });
  assert.equal(again.size, pages.size);
  library.asked.length = 0;
  assert.equal((await again.row(250)).id, idOf(250));
  assert.deepEqual(library.asked, [idOf(199)], "only the page that is looked at");
});

test("a cursor of another time begins the list anew, and says why", async t => {
  const library = new Library(150).answer(t),
    told = [];
  const pages = new Pages({
    source: SOURCE,
    saved: [
      [null, 100],
      ["of another time", 50],
    ],
    lost: error => told.push(error.message),
  });
  library.refusals.push("no such cursor");
  assert.equal(await pages.load(1), false);
  assert.deepEqual(told, ["no such cursor"]);
  assert.deepEqual(
    pages.list.map(page => page.cursor),
    [null],
  );
});

test("a list that is closed fetches no more, and tells nobody", async t => {
  new Library(150).answer(t);
  const pages = new Pages({ source: SOURCE, lost: fails }),
    loading = pages.load(0);
  pages.close();
  assert.equal(await loading, false);
  assert.equal(pages.rows.size, 0);
});

test("rows that the page's script gave are all there is", async t => {
  const library = new Library(0).answer(t),
    pages = new Pages({ rows: rowsOf(7), total: { n: 7, exact: true }, lost: fails });
  assert.equal(await pages.load(0, true), false);
  assert.equal(pages.size, 7);
  assert.deepEqual(library.asked, []);
  pages.trim(50);
  check(pages);
  assert.equal(pages.rows.size, 7, "they could not be fetched again");
});

test("whatever happens to a library, what is shown is what is there once every page was fetched anew", async t => {
  let seed = 7;
  const random = below => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor(seed / 65536) % below;
  };
  for (let round = 0; round < 40; round += 1) {
    const library = new Library(random(420)).answer(t),
      pages = await begun();
    for (let step = 0; step < 12; step += 1) {
      const at = random(Math.max(1, library.rows.length)),
        number = random(pages.list.length);
      if (step % 3 === 0) library.rows.splice(at, random(30));
      if (step % 3 === 1) library.rows.unshift({ ...rowOf(0), id: `new-${round}-${String(99 - step).padStart(2, "0")}` });
      await pages.load(number, random(2) > 0);
      if (step === 6) pages.trim(random(pages.list.length));
      check(pages);
    }
    library.rows.sort((a, b) => (a.id < b.id ? -1 : 1));
    for (let number = 0; number < pages.list.length; number += 1) await pages.load(number, true);
    check(pages);
    assert.deepEqual(
      pages.list.flatMap(page => page.rows.map(row => row.id)),
      library.rows.map(row => row.id),
      `round ${round}`,
    );
    t.mock.restoreAll();
  }
});
