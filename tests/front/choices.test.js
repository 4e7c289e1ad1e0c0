import assert from "node:assert/strict";
import { test } from "node:test";
import { script } from "./page.js";
import mount from "../../opstore/ui/components/choices.js";

const chip = (label, value) => ({ label, name: `Remove ${label}`, value, source: `/api/search?q=${value}` });

/** A row of chips; a press of one of them, and what was told of it. */
function row(t) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1e12 });
  const place = Object.assign(document.createElement("div"), { className: "row" }),
    parentElement = Object.assign(document.createElement("div"), { querySelector: () => place }),
    looked = [],
    { heard, tell } = script();
  const show = (...choices) => {
    for (const item of place.children) item.isConnected = false;
    mount({ data: { choices }, parentElement, setTriggerValue: tell });
  };
  const press = at => place.children[at].children[0].click();
  globalThis.dispatchEvent = event => looked.push(event.detail) > 0;
  show(chip("castle", "night"), chip("night", "castle"));
  return { show, press, heard, looked };
}

test("a part that is taken away while another goes is taken away too", t => {
  const { show, press, heard, looked } = row(t);
  press(0);
  t.mock.timers.tick(100);
  press(1);
  t.mock.timers.tick(100);
  assert.deepEqual(heard, [["chosen", { value: "night" }]]);
  show(chip("night", ""));
  for (let turn = 0; turn < 2; turn += 1) t.mock.timers.tick(200);
  assert.deepEqual(heard.slice(1), [["chosen", { value: "" }]], "of what the page is by now");
  assert.equal(looked.at(-1), "/api/search?q=", "and the grid looks there");
});

test("a part that is taken away while the page is on its way brings the other one not back", t => {
  const { show, press, heard } = row(t);
  press(0);
  t.mock.timers.tick(160);
  press(1);
  t.mock.timers.tick(160);
  assert.deepEqual(heard, [["chosen", { value: "night" }]], "the page has not answered yet");
  show(chip("night", ""));
  t.mock.timers.tick(160);
  assert.deepEqual(heard.slice(1), [["chosen", { value: "" }]]);
});

test("a page that does not answer takes the next choice all the same", t => {
  const { press, heard } = row(t);
  press(0);
  for (const time of [160, 6000]) t.mock.timers.tick(time);
  press(1);
  t.mock.timers.tick(160);
  assert.equal(heard.length, 2);
});
