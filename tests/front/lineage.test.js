import "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { curve, next, placed } from "../../opstore/ui/components/lineage.js";

const member = (id, column, row, missing = false) => ({ id, column, row, missing });
/* One sketch, of which three were made; the second is gone, and the third was edited. */
const members = [
  member("sketch", 0, 1),
  member("one", 1, 0),
  member("gone", 1, 1, true),
  member("three", 1, 2),
  member("edit", 2, 2),
];
const links = [
  ["sketch", "one"],
  ["sketch", "gone"],
  ["sketch", "three"],
  ["three", "edit"],
].map(([parent, child]) => ({ parent, child }));
const walked = (...keys) => keys.reduce((id, key) => next({ members, links }, id, `Arrow${key}`) ?? `end at ${id}`, "sketch");

test("arrows follow the lines, to the nearest row, and pass what is gone", () => {
  assert.equal(walked("Right"), "one");
  assert.equal(walked("Right", "Down"), "three");
  assert.equal(walked("Right", "Down", "Right"), "edit");
  assert.equal(walked("Right", "Down", "Right", "Left", "Left"), "sketch");
});

test("of several that an arrow could lead to it takes the nearest", () => {
  const rows = [member("here", 0, 4), member("far", 1, -1), member("near", 1, 6)];
  const lines = ["far", "near"].map(child => ({ parent: "here", child }));
  assert.equal(next({ members: rows, links: lines }, "here", "ArrowRight"), "near");
});

test("at an end an arrow leads nowhere", () => {
  assert.equal(walked("Left"), "end at sketch");
  assert.equal(walked("Right", "Up"), "end at one");
  assert.equal(walked("Right", "Right"), "end at one");
  assert.equal(next({ members, links }, "nobody", "ArrowLeft"), undefined);
});

test("members stand in columns and rows from the upper left corner, with room for the last", () => {
  const { places, wide, high } = placed(members.map(one => ({ ...one, row: one.row - 5 })));
  assert.deepEqual(places.get("one"), { x: 236, y: 4 });
  assert.deepEqual(places.get("edit"), { x: 468, y: 340 });
  assert.deepEqual([wide, high], [468 + 148 + 4, 340 + 148 + 4]);
});

test("a line goes from the right side of a parent to the left side of a child", () => {
  assert.equal(curve({ x: 0, y: 0 }, { x: 232, y: 0 }), "M 148 74 C 190 74, 190 74, 232 74");
  assert.match(curve({ x: 0, y: 0 }, { x: 160, y: 100 }), /^M 148 74 C 188 74, 120 174, 160 174$/);
});
