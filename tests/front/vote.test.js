import { found, pressed, script } from "./page.js";
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { el } from "../../opstore/ui/components/dom.js";
import { Booth, choiceOf } from "../../opstore/ui/components/vote.js";

const words = { left: "Left", right: "Right", tie: "Equal", skip: "Skip", undo: "Undo", votes: "Vote" };
const pair = (left, right) => ({
  prompt: "a hill",
  left: { id: left, src: `/${left}`, video: false },
  right: { id: right, src: `/${right}`, video: true },
});

function booth(more = {}) {
  const { heard, tell } = script();
  const data = { pair: pair("a", "b"), words, turn: 1, undo: false, ahead: [], ...more };
  const made = new Booth(el("div"), data, tell);
  made.update(data, tell);
  const votes = () => heard.map(([, { choice, left, right }]) => [choice, left, right].join(" "));
  return { made, heard, votes, data, tell };
}

test("keys vote, by number, arrow and letter; a held one and one of the browser's do not", () => {
  const keys = {
    1: "left",
    ArrowLeft: "left",
    2: "right",
    ArrowRight: "right",
    0: "tie",
    "=": "tie",
    s: "skip",
    S: "skip",
    z: "undo",
    x: undefined,
  };
  for (const [key, choice] of Object.entries(keys)) assert.equal(choiceOf(pressed(key)), choice, key);
  for (const more of [{ repeat: true }, { ctrlKey: true }, { metaKey: true }, { altKey: true }])
    assert.equal(choiceOf(pressed("1", more)), undefined);
});

test("a pair is voted on once, whatever is pressed until the next one is here", () => {
  const { made, votes, data, tell } = booth();
  for (const key of ["2", "1", "ArrowLeft"]) made.key(pressed(key));
  assert.deepEqual(votes(), ["right a b"]);
  assert.ok(made.root.querySelector(".sides").classList.contains("right"));
  made.update({ ...data }, tell);
  made.key(pressed("1"));
  assert.deepEqual(votes(), ["right a b"], "the same pair, drawn again");
  made.update({ ...data, pair: pair("c", "d"), turn: 2 }, tell);
  made.key(pressed("="));
  assert.deepEqual(votes(), ["right a b", "tie c d"]);
  made.end();
});

test("both sides step back where neither was preferred", () => {
  for (const [key, name] of [
    ["1", "left"],
    ["=", "done"],
    ["s", "done"],
  ]) {
    const { made } = booth();
    made.key(pressed(key));
    assert.ok(made.root.querySelector(".sides").classList.contains(name), key);
    made.end();
  }
});

test("a vote is undone only if there is one", () => {
  const none = booth();
  none.made.key(pressed("z"));
  assert.deepEqual(none.votes(), []);
  const one = booth({ undo: true });
  one.made.key(pressed("z"));
  assert.deepEqual(one.votes(), ["undo a b"]);
  const undo = made => made.root.children[2].children[4].disabled;
  assert.deepEqual([undo(none.made), undo(one.made)], [true, false]);
  one.made.end();
});

test("a vote that no run of the page has answered is told again, and counts as the same one", () => {
  mock.timers.enable({ apis: ["setInterval", "Date"] });
  const pass = seconds => Array.from({ length: seconds }, () => mock.timers.tick(1000));
  const { made, heard } = booth();
  made.choose("left");
  pass(8);
  assert.deepEqual(
    heard.map(([, { turn }]) => turn),
    [0, 0, 0],
  );
  assert.deepEqual(
    heard.map(([, { again }]) => again),
    [undefined, 4000, 8000],
  );
  pass(30);
  assert.equal(made.cast, null, "after that the person may vote anew");
  assert.equal(heard.length, 6);
  mock.timers.reset();
});

test("who writes, plays a video, or has a window open does not vote", () => {
  const { made, votes } = booth();
  for (const localName of ["input", "TEXTAREA", "select", "video"])
    made.key(pressed("1", { composedPath: () => [{ localName }] }));
  made.key(pressed("1", { defaultPrevented: true }));
  found.set('[role="dialog"]', el("div"));
  made.key(pressed("1"));
  found.clear();
  assert.deepEqual(votes(), []);
});

test("a picture is a vote by click, a video is not: it has controls", () => {
  const { made, votes } = booth();
  const [left, right] = made.root.querySelector(".sides").children.map(side => side.children[0]);
  for (const property of ["muted", "loop", "autoplay", "playsInline", "controls"]) assert.equal(right[property], true, property);
  assert.equal(left.draggable, false, "a picture that is pressed is a vote, not a file to take along");
  right.click();
  assert.deepEqual(votes(), []);
  left.click();
  assert.deepEqual(votes(), ["left a b"]);
  made.end();
});

test("a prompt that is written from right to left stands so", () => {
  const { made } = booth();
  assert.equal(made.root.querySelector(".prompt").dir, "auto");
});
