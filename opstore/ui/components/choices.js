/* Small buttons of other people's words. They stay the same elements while what is offered stays: a press that waits for the grid
   outlives a run of the page. */

import { el, part } from "./dom.js";

/** @typedef {{ label: string, name: string, value: string, source: string | null }} Choice */
/** @typedef {{ print: string, tell: Tell, buttons: Map<string, HTMLButtonElement>, told: number, next: string | null }} Row what was
 * offered last, how a choice is told, when one was that the page has not answered, and what was chosen since */

/** For how long a page may be on its way to what was chosen, in milliseconds. */
const COMING = 5000;

/** @type {WeakMap<HTMLElement, Row>} */
const rows = new WeakMap();

/**
 * @param {Choice} choice
 * @param {Row} row
 */
function offer({ label, name, value, source }, row) {
  const button = el("button", { type: "button" }, el("span", { textContent: label }));
  const place = el("div", { role: "listitem" }, button);
  place.style.maxWidth = "100%";
  if (name) {
    button.append(el("span", { textContent: "✕", "aria-hidden": "true" }));
    button.setAttribute("aria-label", name);
    button.title = name;
  }
  row.buttons.set(label, button);
  // Another choice came in between: the same one then, of what the page is by now.
  const choose = () => {
    if (!source) row.tell("chosen", { value });
    else if (!place.isConnected) row.buttons.get(label)?.click();
    else if (Date.now() - row.told < COMING) row.next = label;
    else {
      row.told = Date.now();
      row.tell("chosen", { value });
    }
  };
  button.onclick = () => {
    if (!source) {
      choose();
      return;
    }
    dispatchEvent(new CustomEvent("opstore-source", { detail: source }));
    place.style.opacity = "0.4";
    setTimeout(choose, 150); // the grid looks first: a run of the page would take the server's time, and this window's
  };
  return place;
}

/** @param {Component<{ choices: Choice[] }>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  const place = part(parentElement, ".row"),
    print = JSON.stringify(data.choices);
  const row = rows.get(place) ?? { print: "", tell: setTriggerValue, buttons: new Map(), told: -COMING, next: null };
  rows.set(place, row);
  const { next } = row;
  Object.assign(row, { tell: setTriggerValue, told: -COMING, next: null });
  if (print === row.print) {
    for (const item of place.children) if (item instanceof HTMLElement) item.style.opacity = "";
    if (next) row.buttons.get(next)?.click();
    return;
  }
  row.print = print;
  row.buttons.clear();
  place.replaceChildren(...data.choices.map(choice => offer(choice, row)));
  if (next) row.buttons.get(next)?.click();
}
