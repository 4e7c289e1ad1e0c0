import assert from "node:assert/strict";
import { test } from "node:test";
import { stepOf } from "../../opstore/ui/streamlit_private/history.js";

const at = (/** @type {string} */ address) => new URL(address, "http://opstore.test");
/** @param {string} here @param {string} there @param {string} [before] */
const step = (here, there, before, fresh = false) => stepOf(at(here), at(there), before && at(before).href, fresh);

test("a page, a search and an operation that is opened are steps", () => {
  assert.equal(step("/library?q=sea", "/analytics"), "push");
  assert.equal(step("/library", "/library?q=sea", "/", true), "push");
  assert.equal(step("/library?q=sea", "/library?q=sea&operation=a"), "push");
  assert.equal(step("/library?operation=a", "/library?q=sea&operation=a", "/library"), "push");
});

test("a switch to a page with a search is one step, and not two", () => {
  assert.equal(step("/analytics?q=failed", "/library?q=failed", "/analytics", true), "replace");
  assert.equal(step("/analytics?q=failed", "/library?q=failed", "/analytics", false), "push", "the search has stood for a while");
  assert.equal(step("/analytics?q=failed", "/library?q=other", "/analytics", true), "push");
});

test("an open drawer is one step, and none once it is closed", () => {
  assert.equal(step("/library?operation=a", "/library?operation=b", "/library"), "replace");
  assert.equal(step("/library?operation=b", "/library", "/library"), "close");
  assert.equal(step("/library?q=sea&operation=b", "/library?q=sea", "/library?q=sea"), "close");
});

test("a drawer that something else led to is closed where it stands", () => {
  assert.equal(step("/library?operation=a", "/library", "/"), "replace");
  assert.equal(step("/library?operation=a", "/library", "/library?q=sea"), "replace");
  assert.equal(step("/library?operation=a", "/library"), "replace", "a link, or a reload");
});
