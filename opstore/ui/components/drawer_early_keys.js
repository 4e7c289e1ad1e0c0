/* What is pressed for a drawer before it listens (components/drawer_keys.py), from the click that opens it on, or while the neighbour of
   what is `left` is on its way, waits here, each in its turn, and nobody else hears of it; a drawer that does not come gets nothing. */

import { DIALOG } from "../streamlit_private/page.js";
import { waitFor } from "./drawer_wait.js";
import { PATIENCE } from "./grid_acts.js";
import { typing } from "./grid_keys.js";

/** @typedef {{ dialog: boolean, listens: string | null, address: string | null, now: number }} Now
 *  Whether a drawer is open, of which operation it listens, and which one the page's address names. */

const JUDGES = /^([0-5ft]|delete)$/i,
  STEPS = /^arrow(left|right)$/i,
  AT_ONCE = /^[0-5f]$/i,
  RESTED = 15, // looks of drawer_wait.js: 3 s, where the browser has the time
  LONGEST = 30_000;

/** The drawer of an operation is on its way. @param {string} id */
export function opening(id) {
  if (window.opstoreListens !== id) waitFor({ id });
}

/** Hold a key back that comes before the drawer it is meant for. @param {Event} event */
export function early(event) {
  const waiting = window.opstoreEarly,
    key = keyOf(event);
  // Whoever closes a drawer before it listens comes back to what it showed, which the address tells.
  window.opstoreSeen = new URLSearchParams(location.search).get("operation") ?? window.opstoreSeen;
  if (!waiting || !key) return;
  const now = present();
  if (isOver(waiting, now)) {
    window.opstoreEarly = null;
    return;
  }
  if (!comes(waiting, now) || isOther(event) || !isMeant(waiting, key, now)) return;
  if (!(event instanceof KeyboardEvent && event.repeat)) waiting.keys.push(key);
  if (event.type === "click") window.opstoreHeld?.(); // or it would be made a second time
  event.preventDefault();
  event.stopImmediatePropagation();
  // The drawer closes when the key comes up.
  if (key === "Escape") addEventListener("keyup", risen => risen.stopImmediatePropagation(), { capture: true, once: true });
}

/** @returns {Now} */
const present = () => ({
  dialog: document.querySelector(DIALOG) !== null,
  listens: window.opstoreListens ?? null,
  address: new URLSearchParams(location.search).get("operation"),
  now: performance.now(),
});

/**
 * Whether what is waited for comes no more: the page has gone on to the neighbour, and rests, or it never went; or it rests without a
 * drawer.
 *
 * @param {Early} waiting @param {Now} now
 */
export function isOver({ left, since, rested }, { dialog, address, now }) {
  if (rested < RESTED) return false;
  return left ? address !== left || now - since >= LONGEST : !dialog;
}

/** Whether what is pressed now may be meant for a drawer that does not listen yet. @param {Early} waiting @param {Now} now */
export function comes(waiting, { listens, now }) {
  if (waiting.left) return listens === null || listens === waiting.left;
  return listens !== waiting.id && now - waiting.since < PATIENCE;
}

/**
 * Whether a key is one that a drawer knows, and is meant for the one that comes. Before a drawer is to be seen the grid rates and
 * marks what was clicked; Escape closes one that is to be seen and has nothing to do yet, and the second one any.
 *
 * @param {Early} waiting @param {string} key @param {{ dialog: boolean }} now
 */
export function isMeant(waiting, key, { dialog }) {
  const behind = Boolean(waiting.left) || waiting.keys.length > 0;
  if (key === "Escape") return (behind || !dialog) && !waiting.keys.includes(key);
  return STEPS.test(key) || (JUDGES.test(key) && (behind || dialog || !AT_ONCE.test(key)));
}

/** The key of an event: a person's click on “Previous” or “Next” stands for an arrow; a program's own click is none. @param {Event} event */
function keyOf(event) {
  if (event instanceof KeyboardEvent) return event.key;
  const path = /** @type {Element[]} */ (event.composedPath()),
    button = path.find(item => /st-key-neighbour-/.test(item.className));
  const side = /st-key-neighbour-(left|right)/.exec(button?.className ?? "")?.[1];
  return (event.isTrusted || window.opstoreMeant) && side ? { left: "ArrowLeft", right: "ArrowRight" }[side] : undefined;
}

/** Whether it is another key, or a letter that somebody writes. @param {Event} event */
function isOther(event) {
  const held = /** @type {KeyboardEvent | MouseEvent} */ (event),
    at = /** @type {HTMLInputElement} */ (event.composedPath()[0]);
  return held.altKey || held.ctrlKey || held.metaKey || (typing(event) && !["checkbox", "radio", "button"].includes(at.type));
}
