import "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Ahead } from "../../opstore/ui/components/grid_ahead.js";

/** A grid that shows one list; `answer` lets what was asked for be answered, in the order of the test. */
function waiting(t) {
  const asked = [],
    begun = [];
  t.mock.method(globalThis, "fetch", source => new Promise(done => asked.push({ source, done })));
  const grid = { source: "/api/search?q=&order=newest", data: {}, ended: new AbortController(), places: { save() {} } };
  grid.begin = data => {
    grid.source = data.source;
    begun.push(data.source);
  };
  const answer = part => asked.find(({ source }) => source.includes(part)).done(Response.json({ success: true }));
  return { grid, begun, answer, ahead: new Ahead(grid) };
}
const searchFor = text => `/api/search?q=${text}&order=newest`;

test("of two searches the later one counts, in whatever order the answers come", async t => {
  const { ahead, answer, begun } = waiting(t);
  const looks = [ahead.look(searchFor("c")), ahead.look(searchFor("cat"))];
  answer("q=cat");
  await looks[1];
  answer("q=c&");
  await looks[0];
  assert.deepEqual(begun, [searchFor("cat")]);
});

test("who takes back what was typed keeps the list that is shown: the answer on its way comes too late", async t => {
  const { ahead, answer, begun, grid } = waiting(t);
  const looked = ahead.look(searchFor("c"));
  ahead.look(searchFor(""));
  answer("q=c&");
  await looked;
  assert.deepEqual([begun, grid.source], [[], searchFor("")]);
});
