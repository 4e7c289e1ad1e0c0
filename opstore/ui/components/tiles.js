/* A tile: a small picture, or words if there is none or it cannot be shown, badges on it and a title. It shows its face and nothing
   else; another face is put on the same element, and the picture is touched only where it is another one. */

import { el } from "./dom.js";

/** @typedef {HTMLButtonElement & { source?: string | null }} Tile `source` is the address of the picture that it shows. */
/** @typedef {{ text: string, tone?: string, hint?: string }} Badge */
/** @typedef {{ source: string | null, label: string, title: string, badges: Badge[], words: () => (Node | string)[] }} Face
 *  `label` is what is said of it to those who do not see it, `words` what stands in the place of its picture. */

/** A tile without a face; `more` stands between its badges and its title. @param {string} id @param {Element[]} more @returns {Tile} */
export function tileOf(id, ...more) {
  const [frame, badges, title] = ["frame", "marks", "title"].map(className => el("span", { className }));
  title.dir = "auto";
  return el("button", { type: "button", className: "tile", "data-id": id }, frame, badges, ...more, title);
}

/** Give a tile a face; `eager`: its picture is asked for at once. @param {Tile} tile @param {Face} face */
export function face(tile, { source, label, title, badges, words }, eager = false) {
  const [frame, marks] = tile.children,
    shown = frame.firstChild;
  tile.setAttribute("aria-label", label);
  if (tile.source !== source || !shown) picture(frame, source, label, words, eager);
  else if (shown instanceof HTMLImageElement) shown.alt = label;
  tile.source = source;
  marks.replaceChildren(...badges.map(badge));
  if (tile.lastElementChild) tile.lastElementChild.textContent = title;
}

/** @param {Badge} badge */
const badge = ({ text, tone = "", hint }) =>
  el("span", { className: `badge ${tone}`.trim(), textContent: text, ...(hint ? { title: hint } : {}) });

/** @param {Element} frame @param {string | null} source @param {string} label @param {() => (Node | string)[]} words @param {boolean} eager */
function picture(frame, source, label, words, eager) {
  const word = () => frame.replaceChildren(el("span", { className: "word" }, ...words()));
  if (!source) {
    word();
    return;
  }
  const known = window.opstoreFirst?.picture(source); // on screen since before the grid
  const image = known ?? el("img", { loading: eager ? "eager" : "lazy", decoding: "async" });
  Object.assign(image, { alt: label, onerror: word, onload: () => frame.classList.add("here") });
  if (known) {
    image.decoding = "sync";
    frame.classList.add("here");
  } else image.src = source;
  frame.replaceChildren(image);
}
