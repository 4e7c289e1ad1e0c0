/* Hears pictures that are pasted, holds Generate back while one is on its way or refused, and tells which files are refused. */

import { refusedFiles, REFUSED_ATTRIBUTE, UPLOADER, WAITING_FILE } from "../streamlit_private/page.js";
import { around, origin } from "./dom.js";

/** @type {WeakMap<HTMLElement | ShadowRoot, AbortController>} */
const listeners = new WeakMap();
/** @type {WeakMap<HTMLElement | ShadowRoot, string>} */
const told = new WeakMap();

/**
 * What a picture is, in Base64.
 *
 * @param {File} file
 * @returns {Promise<string>}
 */
const read = file =>
  new Promise(done => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result).split(",", 2)[1]);
    reader.readAsDataURL(file);
  });

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
function hold(event) {
  const sends =
    event instanceof KeyboardEvent
      ? event.key === "Enter" && (event.ctrlKey || event.metaKey)
      : event.type === "click" && around(event, ".st-key-generate");
  if (sends && document.querySelector(WAITING_FILE)) event.stopImmediatePropagation();
}

/** @param {Component<{ most: number }>} component */
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  listeners.get(parentElement)?.abort();
  const ended = new AbortController();
  const listen = async (/** @type {ClipboardEvent} */ event) => {
    const files = picturesOf(event, data.most);
    if (!files.length) return;
    event.preventDefault();
    setTriggerValue("pasted", await Promise.all(files.map(read)));
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
