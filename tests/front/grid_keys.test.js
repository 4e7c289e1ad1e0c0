import assert from "node:assert/strict";
import { test } from "node:test";
import { comes, isMeant, isOver } from "../../opstore/ui/components/drawer_early_keys.js";
import { asked } from "../../opstore/ui/components/grid_ahead.js";
import { PATIENCE } from "../../opstore/ui/components/grid_acts.js";
import { stepOf } from "../../opstore/ui/components/grid_keys.js";

const here = { dialog: true, listens: null, address: "a", now: 1000 };
const drawer = { id: "a", keys: [], since: 0, rested: 0 },
  neighbour = { left: "a", keys: [], since: 0, rested: 0 };

test("a key leads a tile, a row, a window or to an end", () => {
  const steps = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", "x"].map(key =>
    stepOf(key, { columns: 5, rows: 3 }),
  );
  assert.deepEqual(steps, [-1, 1, -5, 5, -15, 15, -Infinity, Infinity, undefined]);
});

test("what is pressed while a drawer is on its way is meant for it, until it listens or is given up", () => {
  assert.ok(comes(drawer, here));
  assert.ok(comes(drawer, { ...here, dialog: false }), "it was opened just now");
  assert.ok(!comes(drawer, { ...here, listens: "a" }), "it hears by itself");
  assert.ok(comes(drawer, { ...here, listens: "b" }), "the one before still listens");
  assert.ok(!comes(drawer, { ...here, now: PATIENCE }));
  assert.ok(!isOver({ ...drawer, rested: 15 }, { ...here, address: "b", now: PATIENCE }));
  assert.ok(isOver({ ...drawer, rested: 15 }, { ...here, dialog: false }), "the page rests without one");
  assert.ok(!isOver({ ...drawer, rested: 14 }, { ...here, dialog: false, now: 60_000 }), "a starved browser looks seldom");
  assert.ok(!isOver(drawer, { ...here, dialog: false, now: 3000 }), "the page is at work");
});

test("what is pressed while a neighbour is on its way is meant for that, whether a drawer stands or not", () => {
  for (const listens of [null, "a"]) assert.ok(comes(neighbour, { ...here, dialog: false, listens }));
  assert.ok(!comes(neighbour, { ...here, listens: "b" }), "the neighbour hears by itself");
});

test("a neighbour that does not come gets nothing once the page has gone on to it and rests, and not before", () => {
  const there = { ...here, address: "b" };
  assert.ok(isOver({ ...neighbour, rested: 15 }, there));
  assert.ok(!isOver({ ...neighbour, rested: 14 }, { ...there, now: 60_000 }));
  assert.ok(!isOver(neighbour, { ...there, now: 60_000 }), "the page is at work");
  assert.ok(!isOver({ ...neighbour, rested: 15 }, { ...here, now: 29_999 }), "the page has not heard of it yet");
  assert.ok(isOver({ ...neighbour, rested: 15 }, { ...here, now: 30_000 }));
});

test("only keys that a drawer knows are held back, each behind those before it", () => {
  const unseen = { dialog: false },
    begun = { ...drawer, keys: ["ArrowRight"] };
  for (const key of ["0", "5", "f", "F", "t", "Delete"]) {
    assert.ok(isMeant(drawer, key, here) && isMeant(neighbour, key, here) && isMeant(begun, key, unseen), key);
    assert.equal(isMeant(drawer, key, unseen), /^(t|delete)$/i.test(key), "the grid rates and marks what was clicked");
  }
  for (const key of ["ArrowLeft", "ArrowRight"])
    for (const waiting of [drawer, neighbour, begun]) assert.ok(isMeant(waiting, key, here) && isMeant(waiting, key, unseen), key);
  for (const key of ["6", "x", "Enter", "ArrowUp", "ff"])
    for (const waiting of [drawer, neighbour, begun]) assert.ok(!isMeant(waiting, key, here), key);
});

test("Escape closes a drawer that has nothing to do yet, waits behind what it has, and is not held twice", () => {
  assert.ok(!isMeant(drawer, "Escape", here) && isMeant(drawer, "Escape", { dialog: false }));
  assert.ok(isMeant(neighbour, "Escape", here) && isMeant({ ...drawer, keys: ["5"] }, "Escape", here));
  assert.ok(!isMeant({ ...drawer, keys: ["5", "Escape"] }, "Escape", here));
});

test("two addresses ask for the same however they are written", () => {
  assert.equal(asked("/api/search?q=a+b&order=newest"), asked("/api/search?q=a%20b&order=newest"));
  assert.notEqual(asked("/api/search?q=a"), asked("/api/search?q=b"));
  assert.equal(asked(null), null);
});
