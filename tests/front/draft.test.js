import { found, pressed, script } from "./page.js";
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { el } from "../../opstore/ui/components/dom.js";
import { Draft } from "../../opstore/ui/components/draft.js";

/** What the tab keeps. @type {Map<string, string>} */
const tab = new Map();
globalThis.sessionStorage = {
  getItem: name => tab.get(name) ?? null,
  setItem: (name, value) => tab.set(name, value),
  removeItem: name => tab.delete(name),
};

beforeEach(() => tab.clear());
beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
afterEach(() => mock.timers.reset());

function area(finished = "a hill", more = {}) {
  const { heard, tell } = script();
  const box = el("textarea", { value: finished });
  const place = el("div", { className: "prompt" }, box);
  const draft = new Draft({ where: ".prompt", finished, ...more }, tell);
  const write = value => {
    box.value = value;
    draft.listen({ target: box });
  };
  const leave = (more = {}) => {
    draft.finish({ type: "focusout", target: box, ...more });
    mock.timers.tick(1);
  };
  return { draft, box, place, write, leave, heard, texts: () => heard.map(([, { over, text }]) => `${over} → ${text}`) };
}

test("what is written is told at a pause, once for all keys before it", () => {
  const { write, heard } = area();
  for (const text of ["a hill ", "a hill i", "a hill in"]) {
    write(text);
    mock.timers.tick(399);
  }
  assert.deepEqual(heard, []);
  mock.timers.tick(1);
  assert.deepEqual(heard, [["draft", { over: "a hill", text: "a hill in", turn: 1198 }]]);
});

test("what was written in a box is told where its writer goes on in the one that has taken its place", () => {
  const { draft, place, write, texts } = area();
  write("a hill of mine");
  const next = el("textarea", { value: "a hill of theirs" });
  place.append(next);
  draft.data = { ...draft.data, finished: "a hill of theirs" };
  next.value += " and";
  draft.listen({ target: next });
  assert.deepEqual(texts(), ["a hill → a hill of mine"]);
  mock.timers.tick(400);
  assert.deepEqual(texts(), ["a hill → a hill of mine", "a hill of theirs → a hill of theirs and"]);
});

test("what is written elsewhere is nobody's draft", () => {
  const { draft, heard } = area();
  draft.listen({ target: el("textarea", { value: "a note" }) });
  draft.listen({ target: globalThis });
  mock.timers.tick(1000);
  assert.deepEqual(heard, []);
});

test("who leaves the text, or hands it in, tells it himself: no draft comes after", () => {
  for (const end of [
    { type: "focusout" },
    { type: "pointerdown", target: null },
    pressed("Enter", { ctrlKey: true }),
    pressed("Enter", { metaKey: true }),
  ]) {
    const { write, leave, heard } = area();
    write("a hill in rain");
    leave(end);
    mock.timers.tick(1000);
    assert.deepEqual(heard, [], end.type + end.key);
  }
});

test("a key that hands nothing in, and another box that is left, end no draft", () => {
  for (const end of [pressed("Enter"), pressed("a", { ctrlKey: true }), { type: "focusout", target: el("textarea") }]) {
    const { write, leave, texts } = area();
    write("a hill in rain");
    leave(end);
    mock.timers.tick(1000);
    assert.deepEqual(texts(), ["a hill → a hill in rain"]);
  }
});

test("a text area that another one has replaced is told all the same", () => {
  const { write, leave, box, texts } = area();
  write("a hill in rain");
  box.isConnected = false;
  leave();
  mock.timers.tick(1000);
  assert.deepEqual(texts(), ["a hill → a hill in rain"]);
});

test("a text that was taken back to what it was is told: Streamlit has no news of it", () => {
  const { write, leave, texts } = area();
  write("a hill in rain");
  mock.timers.tick(400);
  write("a hill");
  leave();
  assert.deepEqual(texts(), ["a hill → a hill in rain", "a hill → a hill"]);
  leave();
  assert.equal(texts().length, 2);
});

test("nothing is taken back over a text that the page was told of since", () => {
  const { draft, write, leave, texts } = area();
  write("a hill in rain");
  mock.timers.tick(400);
  draft.data = { ...draft.data, finished: "a lake" };
  write("a hill");
  leave();
  assert.deepEqual(texts(), ["a hill → a hill in rain"]);
});

test("with the component goes what was not told yet", () => {
  const { draft, write, heard } = area();
  write("a hill in rain");
  draft.end();
  mock.timers.tick(1000);
  assert.deepEqual(heard, []);
});

globalThis.KeyboardEvent = class extends Event {
  constructor(type, { key, ctrlKey, ...more }) {
    super(type, more);
    Object.assign(this, { key, ctrlKey });
  }
};

/** A note whose box hears what hands it in. */
function note(more = {}) {
  const made = area("", { kept: "prompt", rests: true, ...more });
  const handed = [];
  made.box.addEventListener("keydown", event => {
    made.draft.finish(event);
    mock.timers.tick(1);
    handed.push(made.box.value);
  });
  return { ...made, handed };
}

test("who rests hands a note in, once for all keys before it, and writes on over that", () => {
  const { write, handed, texts } = note();
  for (const text of ["mi", "mine"]) {
    write(text);
    mock.timers.tick(3499);
  }
  assert.deepEqual(handed, []);
  mock.timers.tick(1);
  assert.deepEqual(handed, ["mine"]);
  mock.timers.tick(10_000);
  assert.deepEqual(handed, ["mine"]);
  write("mine, too"); // before the page has what was handed in
  mock.timers.tick(400);
  assert.equal(texts().at(-1), "mine → mine, too");
  assert.deepEqual(JSON.parse(tab.get("prompt")), { over: "mine", text: "mine, too" });
});

test("nobody's rest hands in a prompt, a note over another's, one that is as it was, or one whose box has gone", () => {
  for (const rests of [null, false]) {
    const { write, handed } = note({ rests });
    write("mine");
    mock.timers.tick(10_000);
    assert.deepEqual(handed, [], String(rests));
  }
  const { write, handed, box, draft } = note();
  write("mine");
  write("");
  mock.timers.tick(10_000);
  write("mine");
  box.isConnected = false;
  mock.timers.tick(10_000);
  box.isConnected = true;
  write("mine");
  draft.end();
  mock.timers.tick(10_000);
  assert.deepEqual(handed, []);
});

const KEPT = { kept: "prompt", taken: true };
const looks = (draft, finished, more = {}) => {
  draft.data = { ...draft.data, finished, ...more };
  draft.look();
  return JSON.parse(tab.get("prompt") ?? "null");
};

test("at every key a text is kept, where it is to be, until the page has it", () => {
  const { write } = area();
  write("a hill in");
  assert.equal(tab.size, 0);
  const { draft, write: keep } = area("a hill", KEPT);
  keep("a hill in");
  assert.deepEqual(looks(draft, "a hill"), { over: "a hill", text: "a hill in" });
  keep("");
  assert.deepEqual(looks(draft, "a hill"), { over: "a hill", text: "" });
  assert.equal(looks(draft, ""), null);
});

test("what is written on while the page takes what was there before stays kept, over that", () => {
  const { draft, write } = area("", KEPT);
  write("a hill in");
  assert.deepEqual(looks(draft, "a hill"), { over: "a hill", text: "a hill in" });
});

test("what is written on over a text that the page has set meanwhile is told over that, once", () => {
  const { draft, write, texts } = area("", KEPT);
  write("a sledge");
  mock.timers.tick(400);
  for (let turn = 0; turn < 3; turn += 1) {
    looks(draft, "a boat");
    mock.timers.tick(400);
  }
  assert.deepEqual(texts(), [" → a sledge", "a boat → a sledge"]);
  const note = area("a hill", { kept: "prompt" });
  note.write("a hill in rain");
  mock.timers.tick(400);
  looks(note.draft, "a lake");
  mock.timers.tick(400);
  assert.deepEqual(note.texts(), ["a hill → a hill in rain"], "of a note both texts are wanted");
});

test("a text that the page has put in its place is kept no more", () => {
  const { draft, write, box } = area("", KEPT);
  write("a hill in");
  box.isConnected = false;
  assert.equal(looks(draft, "a lake"), null);
});

test("what this window has stored is not written again, whatever became of it since", () => {
  for (const finished of ["", "a lake"]) {
    area("", { kept: "prompt" }).write("a hill");
    const { draft, heard } = area(finished, { kept: "prompt", stored: "a hill" });
    assert.equal(looks(draft, finished), null, "the drawer was closed, and what was in it taken back");
    assert.deepEqual(heard, []);
  }
  area("", { kept: "prompt" }).write("a hill in");
  assert.ok(looks(area("a lake", { kept: "prompt", stored: "a hill" }).draft, "a lake"), "it was written on");
});

test("what was kept before the page was opened waits until the page has taken or refused it", () => {
  area("a hill", KEPT).write("a hill in");
  const { draft } = area("", { kept: "prompt", taken: false });
  for (const finished of ["a lake", "a hill in"]) assert.deepEqual(looks(draft, finished), { over: "a hill", text: "a hill in" });
  assert.equal(looks(draft, "a lake", { taken: true }), null);
});

/** What the browser has: the setter that React does not see. */
globalThis.HTMLTextAreaElement = class {
  static [Symbol.hasInstance](item) {
    return item?.localName === "textarea";
  }

  set value(text) {
    this.value = text; // of an element, which has its own
  }
};

test("what was begun before this was here is told and kept, too", () => {
  const { heard, tell } = script();
  const box = el("textarea", { value: "half of it" });
  el("div", { className: "prompt" }, box);
  document.activeElement = box;
  new Draft({ where: ".prompt", finished: "", ...KEPT }, tell);
  document.activeElement = null;
  assert.equal(JSON.parse(tab.get("prompt")).text, "half of it");
  mock.timers.tick(400);
  assert.deepEqual(heard, [["draft", { over: "", text: "half of it", turn: 400 }]]);
});

test("what was kept waits for a text area that is still on its way", () => {
  const { draft, box } = area("", { kept: "prompt" });
  tab.set("prompt", JSON.stringify({ over: "", text: "half of it" }));
  draft.look();
  assert.equal(box.value, "");
  found.set(".prompt textarea", box);
  mock.timers.tick(100);
  assert.equal(box.value, "half of it");
  found.delete(".prompt textarea");
});
