/* Elements of the page, made and found in one way. Stored text enters the page as text only: as `textContent`, an attribute or a child. */

const ATTRIBUTE = /^(aria-|data-)|^(role|for|list)$/;

/**
 * Make an element with properties, with attributes if there is no such property, and with children; nothing is set to null.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Given<HTMLElementTagNameMap[Tag]>} given
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined) continue;
    if (ATTRIBUTE.test(name)) made.setAttribute(name, String(value));
    else Object.assign(made, { [name]: value });
  }
  made.append(...children);
  return made;
}

/**
 * A button that shows `text`, and says what it does.
 *
 * @param {string} text
 * @param {string} label
 * @param {() => unknown} [act]
 * @param {Given<HTMLButtonElement>} more
 */
export function button(text, label, act, more = {}) {
  return el("button", { type: "button", textContent: text, title: label, "aria-label": label, onclick: act, ...more });
}

/**
 * The element of ours that stands in `place`.
 *
 * @param {ParentNode} place
 * @param {string} selector
 */
export function part(place, selector) {
  /** @type {HTMLElement | null} */
  const found = place.querySelector(selector);
  if (!found) throw new Error(`${selector} does not stand in its component`);
  return found;
}

/**
 * The element around what an event came from, or itself, that `selector` means.
 *
 * @param {Event} event
 * @param {string} selector
 */
export function around(event, selector) {
  /** @type {HTMLElement | null} */
  const found = event.target instanceof Element ? event.target.closest(selector) : null;
  return found;
}

/**
 * Where an event began, which inside a component is not its `target`.
 *
 * @param {Event} event
 */
export function origin(event) {
  return /** @type {HTMLElement} */ (event.composedPath()[0]);
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
