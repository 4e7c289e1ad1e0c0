/* One of a few, as radio buttons. They stay the same elements while what is offered stays: a press that is held while the page is
   drawn anew is still a click. */

import { around, el, part } from "./dom.js";

/** @typedef {{ value: string, name: string }} Offered */

/** @type {WeakMap<HTMLElement | ShadowRoot, { print: string, turn: number | null }>} */
const known = new WeakMap();

/** @param {Offered[]} offered */
const built = offered =>
  offered.map(({ value, name }) => el("button", { type: "button", "data-value": value, textContent: name, role: "radio" }));

/**
 * @param {HTMLElement} row
 * @returns {HTMLElement[]}
 */
const buttonsOf = row => [...row.querySelectorAll("button")];

/**
 * @param {HTMLElement} row
 * @param {string} value
 */
function check(row, value) {
  const buttons = buttonsOf(row),
    checked = buttons.find(button => button.dataset.value === value);
  for (const button of buttons) {
    button.setAttribute("aria-checked", String(button === checked));
    button.tabIndex = button === (checked ?? buttons[0]) ? 0 : -1;
  }
}

/**
 * The place of the choice that an arrow leads to; behind the last one is the first.
 *
 * @param {number} at
 * @param {string} key
 * @param {number} count
 */
export function beside(at, key, count) {
  /** @type {Record<string, number>} */
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  return key in steps ? (at + steps[key] + count) % count : null;
}

/** @param {Component<{ label: string, note: string, offered: Offered[], shown: string, turn: number | null }>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  const row = part(parentElement, ".row"),
    label = part(parentElement, ".label"),
    print = JSON.stringify(data.offered);
  const entry = known.get(parentElement) ?? { print: "", turn: null };
  known.set(parentElement, entry);
  if (print !== entry.print) {
    row.replaceChildren(...built(data.offered));
    entry.print = print;
  }
  label.replaceChildren(data.label, el("abbr", { title: data.note, textContent: "?" }));
  const settled = () => row.setAttribute("aria-busy", String(entry.turn !== null));
  // What was chosen here and has not arrived yet stays, whatever a page that was asked for earlier shows.
  if (entry.turn === null || data.turn === entry.turn) {
    entry.turn = null;
    check(row, data.shown);
  }
  settled();
  const choose = (/** @type {string} */ value) => {
    entry.turn = Date.now();
    check(row, value);
    settled();
    setTriggerValue("chosen", { value, turn: entry.turn });
  };
  row.onclick = event => {
    const value = around(event, "button")?.dataset.value;
    if (value !== undefined) choose(value);
  };
  row.onkeydown = event => {
    const buttons = buttonsOf(row),
      from = around(event, "button");
    const at = beside(from ? buttons.indexOf(from) : -1, event.key, buttons.length);
    if (at === null) return;
    event.preventDefault();
    buttons[at].focus();
    choose(buttons[at].dataset.value ?? "");
  };
}
