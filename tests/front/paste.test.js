import { found, pressed } from "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { el } from "../../opstore/ui/components/dom.js";
import { bring, hold, picturesOf } from "../../opstore/ui/components/paste.js";

const picture = { name: "image.png", type: "image/png" };

/** A paste into an element of this name. */
function pasted(localName, files, text = "") {
  return pressed("", { type: "paste", clipboardData: { files, getData: () => text }, composedPath: () => [{ localName }] });
}

test("a paste brings pictures, no more than there is room for, and no other files", () => {
  const words = { name: "a.txt", type: "text/plain" };
  assert.deepEqual(picturesOf(pasted("body", [words, picture, picture, picture]), 2), [picture, picture]);
  assert.deepEqual(picturesOf(pasted("textarea", [picture]), 2), [picture], "a picture alone, where somebody writes");
  assert.deepEqual(picturesOf({ ...pasted("body", [picture]), defaultPrevented: true }, 2), []);
});

test("words that come with a picture of themselves are words where somebody writes, else the picture", () => {
  assert.deepEqual(picturesOf(pasted("textarea", [picture], "a castle\tat night"), 2), []);
  assert.deepEqual(picturesOf(pasted("body", [picture], "a castle\tat night"), 2), [picture]);
});

test("a file that comes with its name is a file, also where somebody writes", () => {
  const file = { name: "lake.jpg", type: "image/jpeg" };
  for (const text of ["lake.jpg", "/home/me/lake.jpg"]) assert.deepEqual(picturesOf(pasted("textarea", [file], text), 2), [file]);
});

/** Whether a click on Generate gets through. */
function clicks(button) {
  let through = true;
  hold({ type: "click", target: button, stopImmediatePropagation: () => (through = false) });
  return through;
}

test("Generate that is pressed while a pasted picture is read is pressed once it is on its way, and not before", async () => {
  const readers = [],
    done = [];
  globalThis.FileReader = class {
    readAsDataURL() {
      readers.push(this);
    }
  };
  const button = el("button", { type: "button", onclick: () => done.push("generate") });
  el("div", { className: "st-key-generate" }, button);
  found.set(".st-key-generate button", button);
  assert.ok(clicks(button), "nothing is read");
  const brought = bring([picture, picture], pictures => done.push(pictures));
  assert.ok(!clicks(button) && !clicks(button));
  readers[0].result = "data:image/png;base64,AAAA";
  readers[1].result = null; // it cannot be read
  for (const reader of readers) reader.onloadend();
  await brought;
  assert.deepEqual(done, [["AAAA"], "generate"], "the picture first, and one press");
  assert.ok(clicks(button));
});
