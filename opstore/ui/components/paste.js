/* Hears pictures that are pasted, holds Generate back while one is on its way or refused, and tells which files are refused. */

import { refusedFiles, REFUSED_ATTRIBUTE, UPLOADER, WAITING_FILE } from "../streamlit_private/page.js";
import { around, origin } from "./dom.js";

/** @type {WeakMap<HTMLElement | ShadowRoot, AbortController>} */
const listeners = new WeakMap();
/** @type {WeakMap<HTMLElement | ShadowRoot, string>} */
const told = new WeakMap();

const GENERATE = ".st-key-generate";
/** Pastes that are being read, and whether Generate was pressed meanwhile. */
let reading = 0,
  pressed = false;

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
  /** @type {HTMLButtonElement | null} */
  const button = document.querySelector(`${GENERATE} button`);
  button?.click();
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
  if (sends && (waits || (clicked && reading))) event.stopImmediatePropagation();
}

/** @param {Component<{ most: number }>} component */
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  listeners.get(parentElement)?.abort();
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
