/* The first screen of the Library, from rows that came with the page's answer: a browser has it while it still reads Streamlit's front
   end. The grid takes its pictures over, in the same places; where something else comes, or nothing, this screen goes. */

import { DIALOG, scriptState, themeKey } from "../streamlit_private/page.js";
import { around, el } from "./dom.js";
import { stored } from "./grid_memory.js";
import { GAP, measured, newTile, TILE, Words } from "./grid_tiles.js";

/** @typedef {{ left: number, top: number, width: number }} Stand Where the grid's list stands. */
/** @typedef {import("./grid_tiles.js").Spoken} Spoken */
/** @typedef {{ rows: import("./grid_pages.js").Row[], words: Record<string, Spoken>, cookie: string, colours: string,
 *   grounds: Record<string, string>, form: string }} Given What the answer brings: see ui/first_screen.py. */

const SOURCE = "/api/search?q=&order=newest&group=",
  WAIT = 20000,
  LOOK = 50,
  MARGIN = 4;
/** For how long the page's script rests before it is clear that no grid comes: on a page with a search, and elsewhere. */
const GRID_COMES = 3000,
  NO_GRID = 200;

/** @param {Given} given */
export function firstScreen({ rows, words, cookie, colours, grounds, form }) {
  const mode = modeOf();
  paint(grounds[mode]);
  /** @type {import("./grid_place.js").Place | null} */
  const place = stored.get(sessionStorage, "opstore-place:" + SOURCE);
  if (place && (place.first > 0 || place.offset > MARGIN)) return; // the way back to the middle of the list
  const { host, list, section } = hostOf(`color-scheme: ${mode}; ${colours}`, form),
    spoken = new Words(wordsOf(words, cookie));
  section.append(...rows.slice(0, stand(host, list, standing())).map(row => newTile(row, spoken, true)));
  for (const image of section.querySelectorAll("img")) image.fetchPriority = "high"; // before a hundred scripts
  document.documentElement.append(host); // the body is still to come

  const show = () => {
    if ([...section.children].every(tile => tile.querySelector(".frame.here, .word"))) host.dataset.shown = "";
  };
  for (const sign of ["load", "error"]) section.addEventListener(sign, () => setTimeout(show), true); // after the tile has heard of it
  show();
  const pictures = new Map([...section.querySelectorAll("img")].map(image => [image.getAttribute("src"), image])),
    chosen = choosing(list);
  const end = () => {
    clearInterval(look);
    host.remove();
    delete window.opstoreFirst;
    return chosen();
  };
  const look = setInterval(ending(end), LOOK);
  window.opstoreFirst = {
    end,
    picture(source) {
      const image = pictures.get(source);
      pictures.delete(source);
      return image?.complete && image.naturalWidth ? image : null;
    },
  };
}

/** Light or dark, as Streamlit will be. */
function modeOf() {
  const theme = stored.get(localStorage, themeKey("/library")),
    system = matchMedia("(prefers-color-scheme: dark)").matches;
  return theme === "Dark" || (theme !== "Light" && system) ? "dark" : "light";
}

/** The ground until Streamlit's own: no white page in the dark. @param {string} ground */
function paint(ground) {
  const { style } = document.documentElement;
  style.background = ground;
  setTimeout(() => {
    style.background = "";
  }, WAIT);
}

/** The words of the language that was chosen, else of the browser's. @param {Record<string, Spoken>} words @param {string} cookie */
function wordsOf(words, cookie) {
  const kept = document.cookie
    .split("; ")
    .find(part => part.startsWith(cookie + "="))
    ?.slice(cookie.length + 1);
  return words[kept ?? ""] ?? words[navigator.language.split("-")[0].toLowerCase()] ?? words.en;
}

/** @param {string} look @param {string} form */
function hostOf(look, form) {
  const host = el("div", { id: "opstore-first", "aria-hidden": "true" });
  host.style.cssText = `position: fixed; right: 0; bottom: 0; overflow: hidden; z-index: 1; ${look}; background: var(--st-background-color)`;
  const section = el("div", { className: "section", role: "presentation" }),
    list = el("div", { className: "grid" }, section);
  host.attachShadow({ mode: "closed" }).append(el("style", { textContent: form }), el("div", { className: "root" }, list));
  return { host, list, section };
}

/** Where the grid's list will stand: where it last stood in a window of this width, else where it does in a window of no habits. @returns {Stand} */
function standing() {
  /** @type {(Stand & { of: number })[]} */
  const stands = stored.get(localStorage, "opstore-stands") ?? [],
    known = stands.find(stand => stand.of === innerWidth);
  if (known) return known;
  const wide = innerWidth > 768,
    left = wide ? 324 : 12,
    width = innerWidth - left - (wide ? 24 : 12);
  return { left, width, top: width > 960 ? 188 : width > 500 ? 244 : 305 };
}

/** Put the list there; give how many tiles the window holds. @param {HTMLElement} host @param {HTMLElement} list @param {Stand} place */
function stand(host, list, { left, top, width }) {
  const { columns, side, caption } = measured(width, stored.get(localStorage, "opstore-tile") ?? TILE);
  Object.assign(host.style, { left: left - MARGIN + "px", top: top - MARGIN + "px", padding: MARGIN + "px" });
  list.style.cssText = `width: ${width}px; --side:${side}px; --caption:${caption}px; --columns:${columns}; --gap:${GAP}px`;
  list.classList.toggle("dense", !caption);
  return columns * Math.ceil(Math.max(0, innerHeight - top) / (side + caption + GAP));
}

/** Let a tile be clicked; give how to learn which was. @param {HTMLElement} list */
function choosing(list) {
  /** @type {string | null} */
  let chosen = null;
  list.onclick = event => {
    const tile = around(event, ".tile");
    if (!tile) return;
    list.querySelector(".current")?.classList.remove("current");
    tile.classList.add("current");
    chosen = tile.dataset.id ?? null;
  };
  const last = () => chosen;
  return last;
}

/** Look whether something else has come, or no grid will. @param {() => unknown} end */
function ending(end) {
  let looks = 0,
    ran = false,
    idle = 0;
  const look = () => {
    const { runs, rests } = scriptState(),
      page = document.querySelector(".st-key-search-row");
    ran ||= runs;
    idle = ran && rests ? idle + 1 : 0; // the page's script has run, and there is no grid
    looks += 1;
    const other = location.pathname !== "/library" || location.search || document.querySelector(DIALOG);
    if (other || idle > (page ? GRID_COMES : NO_GRID) / LOOK || looks > WAIT / LOOK) end();
  };
  return look;
}
