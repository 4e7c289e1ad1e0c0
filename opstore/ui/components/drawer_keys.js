/* The grid's keys in the drawer, and a look every few seconds whether what is open is still as it is shown. */

import { closeDialog, DIALOG, KEPT, KEPT_ATTRIBUTE } from "../streamlit_private/page.js";
import { around, origin, part } from "./dom.js";
import { waitFor } from "./drawer_wait.js";

const WATCH = 3000,
  AGAIN = 15_000;
/** @type {("keydown" | "click")[]} */
const HEARD = ["keydown", "click"];

/** @typedef {{ id: string, turn: number, state: string, kinds: string[], tags: string }} Opened */
/** @typedef {HTMLElement | ShadowRoot} Place */

/** @type {WeakMap<Place, AbortController>} */
const listening = new WeakMap();
/** @type {WeakMap<Place, { ended: AbortController, writing: HTMLElement | null }>} */
const watching = new WeakMap();
/** @type {WeakMap<Place, MutationObserver>} */
const observing = new WeakMap();
/** @type {Place | null} the place of the drawer that listens */
let current = null;

/**
 * Who goes on to the neighbour means that one by what is pressed next: it waits (drawer_early_keys.js) until that one listens.
 *
 * @type {Record<string, string>}
 */
const NEIGHBOUR = { ArrowLeft: ".st-key-neighbour-left button", ArrowRight: ".st-key-neighbour-right button" };

/** @param {string} key */
function neighbour(key) {
  /** @type {HTMLButtonElement | null} */
  const button = key in NEIGHBOUR ? document.querySelector(NEIGHBOUR[key]) : null;
  return button?.disabled ? null : button;
}

/**
 * @param {Event} event
 * @param {{ id: string, turn: number }} from
 */
function going(event, { id, turn }) {
  /** @type {(item: EventTarget) => boolean} */
  const is = item => item instanceof HTMLButtonElement && Object.values(NEIGHBOUR).some(where => item.matches(where));
  const clicked = /** @type {HTMLButtonElement | undefined} */ (
    event.type === "click" ? event.composedPath().find(is) : undefined
  );
  const goes = clicked ? !clicked.disabled : event instanceof KeyboardEvent && neighbour(event.key);
  if (goes && !window.opstoreEarly?.left) waitFor({ left: id, turn });
}

/**
 * Do what was pressed early, in its order: what follows another step waits for that one's drawer.
 *
 * @param {string[]} keys
 * @param {{ id: string, turn: number }} from
 * @param {(key: string) => unknown} asked
 */
export function catchUp(keys, { id, turn }, asked) {
  for (let key = keys.shift(); key; key = keys.shift()) {
    const button = neighbour(key);
    if (button) {
      waitFor({ left: id, turn }, keys);
      button.click();
      return;
    }
    if (key === "Escape") {
      closeDialog();
      return;
    }
    asked(key.toLowerCase());
    if (key === "Delete") return; // and the drawer with it
  }
}

/**
 * Whether this drawer is the one that was waited for; one that another turn shows again is where → led nowhere.
 *
 * @param {Early} early
 * @param {{ id: string, turn: number }} opened
 */
export const hasCome = (early, { id, turn }) =>
  early.id === id || (early.left !== undefined && (early.left !== id || early.turn !== turn));

/**
 * What was pressed for it: what was meant for a neighbour that there is not is meant for nobody else.
 *
 * @param {Early} early
 * @param {string} id
 */
export const meant = ({ left, keys }, id) => (left === id ? keys.filter(key => key === "Escape") : keys);

/**
 * A box to write in, and a window of ours over the drawer, have their keys for themselves.
 *
 * @param {Event} event
 */
export function isTaken(event) {
  const at = origin(event),
    free = ["checkbox", "radio", "range", "button"];
  if (at.isContentEditable || event.composedPath().some(item => /** @type {Element} */ (item).localName === "dialog"))
    return true;
  if (/^(textarea|select)$/.test(at.localName ?? "")) return true;
  return at.localName === "input" && !free.includes(/** @type {HTMLInputElement} */ (at).type);
}

/**
 * The drawer closes when Escape comes up: not this time.
 *
 * @param {KeyboardEvent} risen
 */
function swallow(risen) {
  if (risen.key !== "Escape") return;
  risen.stopImmediatePropagation();
  document.removeEventListener("keyup", swallow, true);
}

/**
 * Escape in a box that somebody writes in leaves the box, which stores what it holds; the next one closes the drawer.
 *
 * @param {KeyboardEvent} event
 */
function leave(event) {
  const at = origin(event);
  if (event.key !== "Escape" || event.isComposing || at.localName !== "textarea" || !at.closest(".st-key-opened")) return false;
  event.preventDefault();
  event.stopImmediatePropagation();
  document.addEventListener("keyup", swallow, true);
  /** @type {HTMLElement | null} */
  const dialog = at.closest(DIALOG);
  if (!dialog) {
    at.blur();
    return true;
  }
  if (!dialog.hasAttribute("tabindex")) dialog.tabIndex = -1;
  dialog.focus({ preventScroll: true }); // to nowhere: the drawer holds the focus, and would give it back to the box
  return true;
}

/* Where another has changed a note, a new box takes the place of the old one, and Streamlit keeps the old one beside it while it
   has the focus and the page is not drawn to its end: the style hides it (streamlit_private/style.css). Whoever goes on writing does
   so in the new one, for what is typed must not arrive at our keys. */
const NOTE = '.st-key-opened [class*="st-key-note-"]';
/** @type {{ pen: HTMLElement, drawer: Element | null } | null} the box that somebody writes in, and where it stands */
let writer = null;

function handOver() {
  if (!writer || (writer.pen.isConnected && !writer.pen.closest(KEPT))) return;
  /** @type {HTMLElement | null} */
  const next = writer.drawer?.isConnected ? document.querySelector(`${NOTE}:not(${KEPT}) textarea`) : null;
  writer = null;
  next?.focus({ preventScroll: true });
}

/** @param {FocusEvent} event */
function follow(event) {
  if (writer && !writer.pen.isConnected) {
    handOver(); // the dialog gives the focus to its first button
    return;
  }
  const pen = event.target instanceof HTMLElement && event.target.matches(`${NOTE} textarea`) ? event.target : null;
  writer = pen && { pen, drawer: pen.closest(".st-key-opened") };
}

/**
 * The drawer has the focus from the beginning, and what loses it to nothing gives it back: Escape and Tab would arrive nowhere. Its
 * dialog (react-aria's) takes the focus only after every transition of the page where a screen reader opened it, and lets go of
 * itself half a second later.
 *
 * @param {FocusEvent} event
 */
function hold(event) {
  const opened = around(event, DIALOG);
  if (!opened || event.relatedTarget) return;
  setTimeout(() => {
    if (document.activeElement === document.body && opened.isConnected) opened.focus({ preventScroll: true });
  });
}

function begin() {
  /** @type {HTMLElement | null | undefined} */
  const opened = document.querySelector(".st-key-opened")?.closest(DIALOG);
  if (opened && !opened.contains(document.activeElement)) opened.focus({ preventScroll: true });
}

/**
 * Look every few seconds whether the operation is still as it is shown; what somebody has written and not left yet stays.
 *
 * @param {Place} place
 * @param {Opened} data
 * @param {() => void} changed
 */
function watch(place, data, changed) {
  const before = watching.get(place),
    ended = new AbortController(),
    on = { signal: ended.signal, capture: true };
  before?.ended.abort();
  const here = { ended, writing: before?.writing ?? null };
  watching.set(place, here);
  document.addEventListener(
    "input",
    event => {
      here.writing = origin(event);
    },
    on,
  );
  document.addEventListener(
    "focusout",
    () => {
      here.writing = null;
    },
    on,
  );
  const timer = setInterval(async () => {
    if (ended.signal.aborted || !place.isConnected) {
      clearInterval(timer);
      ended.abort();
      return;
    }
    if (document.visibilityState !== "visible" || here.writing?.isConnected) return;
    const answer = await fetch(`/api/history/${data.id}`).catch(() => null),
      state = answer?.headers.get("etag");
    if (here.writing?.isConnected || ended.signal.aborted) return;
    if (answer?.status === 404 || (state && state !== data.state)) changed();
  }, WATCH);
}

/**
 * Return what tells at most so often, in milliseconds: what changes nothing was lost on its way, and is told again.
 *
 * @param {() => void} tell
 * @param {number} every
 */
export function nowAndAgain(tell, every) {
  let last = -Infinity;
  return () => {
    const now = performance.now();
    if (now - last < every) return;
    last = now;
    tell();
  };
}

/**
 * What a key asks for in the drawer; false for one that asks for nothing.
 *
 * @param {string} key in small letters
 * @param {string} tags where the field of tags is
 * @param {(kind: string, value?: number) => void} tell
 */
export function asks(key, tags, tell) {
  /** @type {HTMLElement | null} */
  const field = key === "t" ? document.querySelector(`${tags} input`) : null;
  if (/^[0-5]$/.test(key)) tell("rate", Number(key));
  else if (key === "f") tell("favorite");
  else if (key === "delete") tell("trash");
  else if (field) {
    field.scrollIntoView({ block: "nearest" });
    field.focus();
  } else return false;
  return true;
}

/**
 * Hear keys and clicks for this drawer from now on. On the way down: the drawer lets no key rise out of it.
 *
 * @param {Place} place
 * @param {{ id: string, turn: number }} opened
 * @param {(key: string) => boolean} asked
 */
function listen(place, opened, asked) {
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (leave(event) || event.defaultPrevented || event.repeat || isTaken(event)) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    going(event, opened);
    if (asked(event.key.toLowerCase())) event.preventDefault();
  };
  const hear = (/** @type {Event} */ event) => {
    if (current !== place) return; // the one that is left stays beside the neighbour until the page is drawn
    if (event instanceof KeyboardEvent) press(event);
    else going(event, opened);
  };
  if (!listening.has(place)) begin();
  listening.get(place)?.abort();
  const ended = new AbortController();
  listening.set(place, ended);
  for (const type of HEARD) document.addEventListener(type, hear, { capture: true, signal: ended.signal });
  current = place;
}

/** @param {Place} place */
function observe(place) {
  document.addEventListener("focusin", follow); // once, however often it is said
  document.addEventListener("focusout", hold, true); // on the way down: the dialog keeps it to itself
  observing.get(place)?.disconnect();
  const observer = new MutationObserver(handOver),
    opened = document.querySelector(".st-key-opened");
  observing.set(place, observer);
  if (opened) observer.observe(opened, { childList: true, subtree: true, attributeFilter: [KEPT_ATTRIBUTE] });
}

/** @param {Component<Opened>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  const { id } = data;
  /** @type {(kind: string, value?: number | null) => void} */
  const tell = (kind, value = null) => {
    if (data.kinds.includes(kind)) setTriggerValue("pressed", { id, kind, value, turn: Date.now() });
  };
  const asked = (/** @type {string} */ key) => asks(key, data.tags, tell);
  listen(parentElement, data, asked);
  window.opstoreListens = window.opstoreSeen = id;
  part(parentElement, "span").dataset.listens = id;
  const early = window.opstoreEarly;
  if (early && hasCome(early, data)) {
    window.opstoreEarly = null;
    catchUp(meant(early, id), data, asked);
  }
  observe(parentElement);
  watch(
    parentElement,
    data,
    nowAndAgain(() => setTriggerValue("changed", { turn: Date.now() }), AGAIN),
  );
  return () => {
    if (parentElement.isConnected) return;
    listening.get(parentElement)?.abort();
    if (current === parentElement) current = window.opstoreListens = null;
  };
}
