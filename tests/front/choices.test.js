import assert from "node:assert/strict";
import { test } from "node:test";
import { script } from "./page.js";
import mount from "../../opstore/ui/components/choices.js";

const chip = (label, value) => ({ label, name: `Remove ${label}`, value, source: `/api/search?q=${value}` });

test("a part that is taken away while another goes is taken away too", t => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
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
