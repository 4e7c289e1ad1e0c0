/* Makes a press that is held still on a button a click of that button, even if the page was drawn anew under it meanwhile: of the mouse,
   and of the space bar, which presses when it comes up. A key that comes just after the button with the focus was drawn anew, or closed,
   arrives at nothing: it is a press of that button too. A finger leaves the field after it has tapped. */

import { BUTTON } from "../streamlit_private/page.js";

const STILL = 8;
/** For how long a key is meant for the button that the focus was on, since that lost it to nothing; and how often it is looked. */
const MEANT = 3000,
  LOOK = 250;

/** @typedef {{ button: HTMLButtonElement, name: string, shadowed: boolean, acts: boolean, key: string | undefined }} Pressed */

/** What is held down: by the mouse at a place, or by the space bar. @type {(Pressed & { x: number, y: number, clicked: boolean }) | null} */
let down = null,
  /** @type {(Pressed & { clicked: boolean, event: KeyboardEvent }) | null} */
  spaced = null,
  /** The button of the page that has, or had, the focus, and when it was last seen to. @type {(Pressed & { held: number }) | null} */
  focused = null;

/** @param {HTMLElement} button */
const named = button =>
  button.dataset.id ?? button.dataset.value ?? button.getAttribute("aria-label") ?? button.textContent.trim();

/** @param {Element | null} element */
const keyOf = element => [...(element?.closest('[class*="st-key-"]')?.classList ?? [])].find(name => name.startsWith("st-key-"));

/** @param {EventTarget} [item] */
const isButton = item => /** @type {Element | undefined} */ (item)?.localName === "button";

/**
 * @param {HTMLButtonElement} button
 * @returns {Pressed}
 */
function identify(button) {
  const root = button.getRootNode(),
    shadowed = root instanceof ShadowRoot;
  const acts = !shadowed && Boolean(button.closest(BUTTON));
  return { button, name: named(button), shadowed, acts, key: keyOf(shadowed ? root.host : button) };
}

/**
 * The button that stands for the one pressed now: itself, or else the one of its name under the same key.
 *
 * @param {Pressed} pressed
 */
export function standing({ button, name, shadowed, key }) {
  if (button.isConnected) return button;
  const places = key ? [...document.querySelectorAll(`.${CSS.escape(key)}`)] : [document];
  const roots = shadowed
    ? places.flatMap(place => [...place.querySelectorAll("*")].flatMap(item => item.shadowRoot ?? []))
    : places;
  const found = roots.flatMap(root => [...root.querySelectorAll("button")]);
  const same = found.filter(item => named(item) === name);
  if (same.length === 1) return same[0];
  return found.length === 1 ? found[0] : null;
}

/**
 * A key that is held repeats itself: that is one press, of the key of Generate too.
 *
 * @param {KeyboardEvent} event
 */
function hold(event) {
  const presses = event.key === "Enter" && (event.ctrlKey || event.metaKey || isButton(event.composedPath()[0]));
  if (!presses || !event.repeat) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** @param {PointerEvent} event */
function press(event) {
  const button = /** @type {HTMLButtonElement | undefined} */ (event.composedPath().find(isButton));
  const meant = event.pointerType === "mouse" && event.button === 0 && button && !button.disabled;
  down = meant ? { ...identify(button), x: event.clientX, y: event.clientY, clicked: false } : null;
}

/** @param {PointerEvent} event */
function release(event) {
  const was = down;
  if (!was || event.button !== 0 || Math.hypot(event.clientX - was.x, event.clientY - was.y) > STILL) return;
  // The click that a browser makes comes before.
  setTimeout(() => {
    if (down === was) down = null;
    finish(was);
  });
}

/** Click what stands for a button whose press no click came of. @param {Pressed & { clicked: boolean }} was */
function finish(was) {
  const button = was.clicked ? null : standing(was);
  if (button && !button.disabled) clickFor(button);
  else if (was.key && was.acts && !was.clicked) window.opstoreClicks?.(was.key.slice("st-key-".length));
}

/** @param {KeyboardEvent} event */
export function space(event) {
  if (event.key !== " " || event.repeat) return;
  const button = event.composedPath()[0];
  spaced = isButton(button) ? { ...identify(/** @type {HTMLButtonElement} */ (button)), clicked: false, event } : null;
}

/** @param {KeyboardEvent} event */
export function rise(event) {
  const was = spaced;
  if (!was || event.key !== " ") return;
  setTimeout(() => {
    if (spaced === was) spaced = null;
    if (was.event.defaultPrevented || event.defaultPrevented) return; // it was a key of the grid, say, and no press
    // Who has gone elsewhere with the focus meanwhile, or holds it on the same button, is the browser's.
    const lost = !was.button.isConnected || was.button.disabled,
      nowhere = !document.activeElement || document.activeElement === document.body;
    if (lost && (nowhere || document.activeElement === standing(was))) finish(was);
  });
}

/** Remember the button of the page that the focus is on. @param {Event} event */
export function focus(event) {
  const button = event.composedPath()[0],
    on = isButton(button) ? identify(/** @type {HTMLButtonElement} */ (button)) : null;
  focused = on?.acts ? { ...on, held: performance.now() } : null;
}

/** See whether it is there still. */
export function look() {
  if (focused && document.activeElement === focused.button) focused.held = performance.now();
}

/** Who goes elsewhere means nothing of it any more. @param {Event} event */
export function elsewhere(event) {
  if (!(event instanceof KeyboardEvent) || event.key === "Tab" || event.key === "Escape") focused = null;
}

/**
 * A key for the button that has just lost the focus to nothing, since it was drawn anew or closed under it.
 *
 * @param {KeyboardEvent} event
 */
export function strike(event) {
  const was = focused;
  if (!was || event.repeat || event.defaultPrevented || !/^(Enter| )$/.test(event.key)) return;
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.composedPath()[0] !== document.body) return;
  if ((was.button.isConnected && !was.button.disabled) || performance.now() - was.held >= MEANT) return;
  focused = null;
  event.preventDefault();
  finish({ ...was, clicked: false });
}

/**
 * Click a button as the person who pressed it would have: who holds clicks back asks for whom one is (drawer_early_keys.js).
 *
 * @param {HTMLButtonElement} button
 */
function clickFor(button) {
  window.opstoreMeant = true;
  try {
    button.click();
  } finally {
    window.opstoreMeant = false;
  }
}

function listen() {
  // A click that is held back, for a drawer that is still to come, arrives nowhere else: it is one all the same.
  window.opstoreHeld = () => {
    if (down) down.clicked = true;
  };
  addEventListener("pointerdown", press, true);
  addEventListener("keydown", hold, true);
  addEventListener("keydown", space, true);
  addEventListener("keydown", strike, true);
  addEventListener("keydown", elsewhere, true);
  addEventListener("pointerdown", elsewhere, true);
  addEventListener("focusin", focus, true);
  setInterval(look, LOOK);
  addEventListener("keyup", rise, true);
  addEventListener(
    "pointercancel",
    () => {
      down = null;
    },
    true,
  );
  addEventListener(
    "click",
    event => {
      for (const was of [down, spaced]) {
        const button = was && standing(was);
        if (was && button && event.composedPath().includes(button)) was.clicked = true;
      }
    },
    true,
  );
  addEventListener("pointerup", release, true);
}

/** @param {Component} component */
export default function ({ setTriggerValue }) {
  if (!window.opstoreClicks) listen();
  window.opstoreClicks = key => setTriggerValue("gone", key);
}
