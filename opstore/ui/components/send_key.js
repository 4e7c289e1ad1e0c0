/* Ctrl+Enter presses Generate once, also where it comes before that button does: a quick hand has written before all of a new page has
   arrived. It is with every page from its first byte (page_opening.py), and Streamlit's own listener, which the button brings, hears
   nothing of the key. */

import { MODAL } from "../streamlit_private/page.js";

const PATIENCE = 30_000;
const BUTTON = ".st-key-generate button";
/** Where a wish is written; on pages without it the key is nothing of ours. */
const PROMPT = '[class*="st-key-prompt"] textarea';

/** @type {AbortController | null} what waits for the button */
let waiting = null;

/**
 * Press the button if it stands and can be pressed.
 *
 * @returns {boolean} whether it was
 */
function pressed() {
  /** @type {HTMLButtonElement | null} */
  const button = document.querySelector(BUTTON);
  if (!button || button.disabled) return false;
  button.click();
  return true;
}

/** Press the button as soon as it stands; not after more was written, or when the page was left. */
function wait() {
  waiting?.abort();
  const ended = new AbortController(),
    from = location.pathname;
  waiting = ended;
  const watch = new MutationObserver(() => {
    if (location.pathname !== from || pressed()) ended.abort();
  });
  watch.observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ["disabled"] });
  const timer = setTimeout(() => ended.abort(), PATIENCE);
  addEventListener("input", () => ended.abort(), { capture: true, signal: ended.signal });
  ended.signal.addEventListener("abort", () => {
    watch.disconnect();
    clearTimeout(timer);
  });
}

/**
 * Behind what is written in, which tells the page what stands in it, and before Streamlit's listener on the document.
 *
 * @param {KeyboardEvent} event
 */
export function hear(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  if (!document.querySelector(BUTTON) && !document.querySelector(PROMPT)) return;
  event.stopPropagation();
  if (event.repeat || document.querySelector(MODAL)) return;
  event.preventDefault();
  if (!pressed()) wait();
}

document.documentElement.addEventListener("keydown", hear);
