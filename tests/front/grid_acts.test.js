import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { acknowledged, foreseen } from "../../opstore/ui/components/grid_acting.js";
import { AGAIN, ActQueue, handOver, leave, PATIENCE, unsent } from "../../opstore/ui/components/grid_acts.js";
import { Pages } from "../../opstore/ui/components/grid_pages.js";
import { boxOf, idOf, rowsOf } from "./grid_samples.js";

const actOf = (id, kind = "rate", ids = ["x"], value = 5) => ({ id, kind, ids, value, window: "" });

/** A queue, and what it does. */
function queueOf(...acts) {
  const handed = [],
    settled = [],
    waiting = [];
  const queue = new ActQueue(acts, {
    hand: act => handed.push(act.id),
    settled: (act, outcome) => settled.push([act.id, outcome]),
    waiting: said => waiting.push(said),
    unanswered: () => "no answer",
  });
  return { queue, handed, settled, waiting };
}

beforeEach(() => {
  globalThis.sessionStorage = boxOf();
  globalThis.dispatchEvent = () => true;
});
afterEach(() => {
  delete globalThis.sessionStorage;
  delete globalThis.dispatchEvent;
});

test("acts are handed in one at a time, in their order, each once it is known what the last one came to", t => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { queue, handed, settled } = queueOf(actOf("a"), actOf("b"));
  queue.flush();
  assert.deepEqual(handed, [], "no page's script has run yet");
  queue.hear(null);
  queue.flush();
  queue.push(actOf("c"));
  queue.flush();
  assert.deepEqual(handed, ["a"]);
  for (const id of ["a", "b", "c"]) queue.hear({ id, done: [id], said: id });
  assert.deepEqual(handed, ["a", "b", "c"]);
  assert.deepEqual(
    settled.map(([id, outcome]) => [id, outcome.said]),
    [
      ["a", "a"],
      ["b", "b"],
      ["c", "c"],
    ],
  );
  assert.deepEqual([queue.sent, queue.open], [null, []]);
  t.mock.timers.tick(PATIENCE * 4);
  assert.equal(handed.length, 3, "what is answered is never handed in again");
});

test("a run that tells of an earlier act answers nothing", () => {
  const { queue, handed, settled } = queueOf(actOf("b"));
  queue.hear({ id: "a", done: ["a"] });
  queue.flush();
  queue.hear({ id: "a", done: ["a"] });
  queue.hear(undefined);
  assert.deepEqual([handed, settled, queue.sent.id], [["b"], [], "b"]);
  queue.end();
});

test("an act that was done, and another since, is settled though nobody tells what it came to", () => {
  const { queue, settled } = queueOf(actOf("a"));
  queue.hear(null);
  queue.flush();
  queue.hear({ id: "z", done: ["a", "z"], said: "of z" });
  assert.deepEqual(settled, [["a", {}]]);
});

test("what is done already when its turn comes is not handed in, and comes to what it came to", () => {
  const { queue, handed, settled } = queueOf(actOf("a"), actOf("b"), actOf("c"));
  queue.hear({ id: "b", done: ["a", "b"], said: "of b" });
  queue.flush();
  assert.deepEqual(
    settled.map(([id, outcome]) => [id, outcome.said]),
    [
      ["a", undefined],
      ["b", "of b"],
    ],
  );
  assert.deepEqual(handed, ["c"]);
  queue.end();
});

test("an act without an answer is handed in again, each time later, and in the end given up", t => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { queue, handed, settled } = queueOf(actOf("a", "rate", ["x", "y"]), actOf("b")),
    times = [];
  queue.hear(null);
  queue.flush();
  for (let passed = 0; !settled.length; passed += AGAIN) {
    while (times.length < handed.length) times.push(passed);
    t.mock.timers.tick(AGAIN);
  }
  assert.deepEqual(
    times,
    [0, 1, 3, 7, 15, 31].map(pauses => pauses * AGAIN),
  );
  assert.deepEqual(settled, [["a", { failed: ["x", "y"], said: "no answer" }]]);
  assert.equal(handed.at(-1), "b", "and the next one has its turn");
  queue.end();
});

test("an act at work is asked after, however long it takes, and says how far it is", t => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { queue, handed, settled, waiting } = queueOf(actOf("a"));
  queue.hear(null);
  queue.flush();
  for (let round = 1; round <= 200; round += 1) {
    queue.hear({ id: "a", done: [], busy: `${round} of 200` });
    t.mock.timers.tick(AGAIN / 2);
    assert.equal(handed.length, round + 1);
  }
  assert.deepEqual([waiting.length, settled], [200, []]);
  queue.hear({ id: "a", done: ["a"] });
  assert.equal(settled.length, 1);
});

test("what has come to nothing yet goes to the next grid of the window, once and in its order", () => {
  const { queue } = queueOf(actOf("a"), actOf("b"), actOf("c"));
  queue.hear(null);
  queue.flush();
  handOver(queue.open);
  queue.end();
  assert.deepEqual(
    unsent().map(act => act.id),
    ["a", "b", "c"],
  );
  assert.deepEqual(unsent(), []);
});

test("a grid that stands hears of acts that are handed over; one whose window goes does not take its own back", () => {
  const heard = [];
  globalThis.dispatchEvent = event => {
    heard.push(...unsent().map(act => act.id));
    return event.type === "opstore-acts";
  };
  handOver([actOf("a")]);
  assert.deepEqual(heard, ["a"]);
  leave([actOf("b")]);
  assert.deepEqual([heard, unsent().map(act => act.id)], [["a"], ["b"]]);
  handOver([]);
  assert.deepEqual(heard, ["a"]);
});

test("an act is seen before it is done", () => {
  assert.deepEqual(foreseen(actOf("a", "rate", ["x"], 3)), { rating: 3 });
  assert.deepEqual(foreseen(actOf("a", "favorite", ["x"], true)), { favorite: true });
  assert.deepEqual(foreseen(actOf("a", "tag", ["x"], { add: ["b", "c"] }), ["a", "b"]), { tags: ["a", "b", "c"] });
  assert.deepEqual(foreseen(actOf("a", "tag", ["x"], { remove: ["a"] }), ["a", "b"]), { tags: ["b"] });
  assert.equal(foreseen(actOf("a", "trash")), null);
});

/** Rows of which two were rated, the second of them once more: that act waits. */
function rated() {
  const pages = new Pages({ rows: rowsOf(4), total: { n: 4, exact: true }, lost: assert.fail });
  for (const number of [0, 1]) pages.patch(idOf(number), { rating: 3 });
  pages.patch(idOf(1), { rating: 5 });
  return { pages, act: actOf("a", "rate", [idOf(0), idOf(1)], 3), waiting: [actOf("b", "rate", [idOf(1)], 5)] };
}
const ratings = pages => pages.list[0].rows.map(row => row.rating);

test("what an act came to is shown, under what waits for its turn", () => {
  const { pages, act, waiting } = rated();
  acknowledged(pages, act, { changed: { [idOf(0)]: { rating: 1 }, [idOf(1)]: { rating: 1 } } }, { trash: false, waiting });
  assert.deepEqual(ratings(pages), [1, 5, null, null]);
});

test("what has left the list is gone from it; a picture that stayed is no longer hidden, and one that is back neither", () => {
  const { pages, waiting } = rated(),
    act = actOf("a", "trash", [idOf(0), idOf(2)], null);
  pages.hide([idOf(0), idOf(2), idOf(3)]);
  const gone = acknowledged(pages, act, { gone: [idOf(0)], back: [idOf(3)] }, { trash: false, waiting });
  assert.deepEqual([gone, [...pages.hidden]], [[idOf(0)], [idOf(0)]]);
});

test("told after the other list has come, what left that one is not hidden in this one", () => {
  for (const [kind, trash] of [
    ["trash", true],
    ["restore", false],
    ["remove", false],
  ]) {
    const { pages } = rated();
    assert.deepEqual(acknowledged(pages, actOf("a", kind, [idOf(0)], null), { gone: [idOf(0)] }, { trash, waiting: [] }), []);
    assert.equal(pages.placeOf(idOf(0)), 0);
  }
});
