/* Hears pictures that are pasted, holds Generate back while one is on its way or refused, and tells which files are refused. Who presses
   Generate while a picture is on its way has pressed it: that is done once the picture is here, and said meanwhile. */

import { MODAL, refusedFiles, REFUSED_ATTRIBUTE, scriptState, UPLOADER, WAITING_FILE } from "../streamlit_private/page.js";
import { around, el, origin } from "./dom.js";

/** @type {WeakMap<HTMLElement | ShadowRoot, AbortController>} */
const listeners = new WeakMap();
/** @type {WeakMap<HTMLElement | ShadowRoot, string>} */
const told = new WeakMap();

const GENERATE = ".st-key-generate";
/** How often it is looked whether a picture is here, and in how many looks in succession it must be: the page has to hear of it. */
const LOOK = 100,
  LOOKS = 3;
/** For how long it is said that a press was given up. */
const SAID = 8000;
/** Pastes that are being read, and whether Generate was pressed meanwhile. */
let reading = 0,
  pressed = false;
/** @typedef {{ waits: string, dropped: string }} Words what is said while a press waits, and where it was given up */
/** @type {Words | null} in the viewer's language */
let words = null;
/** @type {AbortController | null} what presses Generate once the picture is here */
let waiting = null;

/** @returns {HTMLButtonElement | null} */
const generate = () => document.querySelector(`${GENERATE} button`);

/**
 * Press Generate once no picture is on its way any more. Not after something else was done: written, chosen, a file taken away or refused, a
 * dialog opened, the page left: it would be another request than was asked for.
 */
function later() {
  if (waiting) return;
  const ended = new AbortController(),
    from = location.pathname,
    note = el("div", { className: "ops-waits", role: "status", textContent: words?.waits ?? "" });
  let here = 0;
  waiting = ended;
  document.body.append(note);
  const over = (/** @type {boolean} */ dropped) => {
    if (ended.signal.aborted) return;
    ended.abort();
    waiting = null;
    clearInterval(timer);
    if (dropped) note.textContent = words?.dropped ?? "";
    setTimeout(() => note.remove(), dropped ? SAID : 0);
  };
  const timer = setInterval(() => {
    if (location.pathname !== from || refusedFiles().length || document.querySelector(MODAL)) return over(true);
    here = !reading && !document.querySelector(WAITING_FILE) && scriptState().rests ? here + 1 : 0;
    if (here < LOOKS) return;
    over(false);
    const box = document.activeElement;
    if (!(box instanceof HTMLTextAreaElement)) return generate()?.click();
    box.blur(); // it tells the page what stands in it, which the key that was held back did not
    generate()?.click();
    box.focus({ preventScroll: true });
  }, LOOK);
  const on = { capture: true, signal: ended.signal };
  addEventListener("input", () => over(true), on);
  addEventListener("click", event => around(event, GENERATE) || over(true), on);
}

/**
 * What a picture is, in Base64; nothing of one that cannot be read.
 *
 * @param {File} file
 * @returns {Promise<string[]>}
 */
const read = file =>
  new Promise(done => {
    const reader = new FileReader();
    reader.onloadend = () => {
      const text = String(reader.result ?? "").split(",", 2)[1];
      done(text ? [text] : []);
    };
    reader.readAsDataURL(file);
  });

/**
 * Read pictures and tell of them; then press Generate, where it was pressed before they were on their way.
 *
 * @param {File[]} files
 * @param {(pictures: string[]) => void} tell
 */
export async function bring(files, tell) {
  reading += 1;
  tell((await Promise.all(files.map(read))).flat());
  reading -= 1;
  if (reading || !pressed) return;
  pressed = false;
  generate()?.click();
}

/**
 * The first pictures that a paste brings to the page; what goes into the upload widget is the widget's. Cells and slides come as words
 * with a picture of these: where somebody writes, the words are meant. Files may come with their names.
 *
 * @param {ClipboardEvent} event
 * @param {number} most
 */
export function picturesOf(event, most) {
  if (event.defaultPrevented || around(event, UPLOADER)) return [];
  const files = [...(event.clipboardData?.files ?? [])].filter(file => file.type.startsWith("image/")),
    text = event.clipboardData?.getData("text/plain").trim();
  if (text && /^(textarea|input)$/.test(origin(event).localName) && !files.some(({ name }) => text.includes(name))) return [];
  return files.slice(0, most);
}

/** @param {Event} event */
export function hold(event) {
  const clicked = event.type === "click" && around(event, GENERATE); // so does the key in the end (send_key.js)
  const sends = clicked || (event instanceof KeyboardEvent && event.key === "Enter" && (event.ctrlKey || event.metaKey));
  const waits = document.querySelector(WAITING_FILE);
  if (clicked && reading && !waits) pressed = true;
  if (!sends || !(waits || (clicked && reading))) return;
  event.stopImmediatePropagation();
  if (waits && !refusedFiles().length && !document.querySelector(MODAL)) later();
}

/** @param {Component<{ most: number } & Words>} component */
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  listeners.get(parentElement)?.abort();
  words = data;
  const ended = new AbortController();
  const listen = async (/** @type {ClipboardEvent} */ event) => {
    const files = picturesOf(event, data.most);
    if (!files.length) return;
    event.preventDefault();
    await bring(files, pictures => setTriggerValue("pasted", pictures));
  };
  const look = () => {
    const names = refusedFiles();
    if ((told.get(parentElement) ?? "[]") === JSON.stringify(names)) return;
    told.set(parentElement, JSON.stringify(names));
    setStateValue("refused", names);
  };
  const watch = new MutationObserver(look);
  watch.observe(document.body, { subtree: true, childList: true, attributeFilter: [REFUSED_ATTRIBUTE] });
  ended.signal.addEventListener("abort", () => watch.disconnect());
  look();
  listeners.set(parentElement, ended);
  document.addEventListener("paste", listen, { signal: ended.signal });
  for (const type of ["keydown", "click"]) addEventListener(type, hold, { capture: true, signal: ended.signal });
  return () => {
    if (parentElement.isConnected) return;
    ended.abort();
    listeners.delete(parentElement);
  };
}
