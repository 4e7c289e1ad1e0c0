/* Small buttons of other people's words. They stay the same elements while what is offered stays: a press that waits for the grid
   outlives a run of the page. */

import { el, part } from "./dom.js";

/** @typedef {{ label: string, name: string, value: string, source: string | null }} Choice */
/** @typedef {{ print: string, tell: Tell, buttons: Map<string, HTMLButtonElement> }} Row what was offered last, and how a choice is told */

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
  const choose = () => {
    if (place.isConnected || !source) row.tell("chosen", { value });
    else row.buttons.get(label)?.click(); // another choice came in between: the same one, of what the page is by now
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
  const row = rows.get(place) ?? { print: "", tell: setTriggerValue, buttons: new Map() };
  rows.set(place, row);
  row.tell = setTriggerValue;
  if (print === row.print) {
    for (const item of place.children) if (item instanceof HTMLElement) item.style.opacity = "";
    return;
  }
  row.print = print;
  row.buttons.clear();
  place.replaceChildren(...data.choices.map(choice => offer(choice, row)));
}
