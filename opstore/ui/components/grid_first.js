/* The first screen of the Library: the grid itself, over rows that came with the page's answer, where it will stand. It hears keys, clicks
   and the wheel from the first moment; what needs the page's script waits in it. Then all of it moves into its place in the page, unless
   a pointer is down or something is open over it: that is waited for. Where something else comes, or nothing, it ends. */

import { scriptState, themeKey } from "../streamlit_private/page.js";
import { el, part } from "./dom.js";
import { Grid } from "./grid.js";
import { asked } from "./grid_ahead.js";
import { isIdleKey, press } from "./grid_keys.js";
import { stored } from "./grid_memory.js";
import { STANDS } from "./grid_place.js";
import { isWritten } from "./grid_search.js";

/** @typedef {{ left: number, top: number, width: number }} Stand Where the grid's list stands. */
/** @typedef {{ answer: import("./grid_pages.js").Answer, source: string, words: import("./grid_tiles.js").Spoken, colours: string,
 *   grounds: Record<string, string> }} Brought What the page's answer brings: see ui/first_screen.py. */

const WAIT = 20000,
  LOOK = 50,
  MARGIN = 4,
  /** The height of the page's own bar, and of the grid's, which stands on its list. */
  BAR = 60,
  TOOLBAR = 48;
/** How near the grid's two places are where they are the same; and for how long one elsewhere has to be still. */
const NEAR = 2,
  STILL = 600;
/** For how many looks in succession the page rests, without a search, before it is clear that no grid comes. */
const NO_GRID = 30;

/** @param {Brought} brought */
export function firstScreen({ answer, source, words, colours, grounds }) {
  const mode = modeOf();
  paint(grounds[mode]);
  const stand = standing(),
    { host, root } = hostOf(`color-scheme: ${mode}; ${colours}`, stand);
  document.documentElement.append(host); // the body is still to come
  const grid = new Grid(root, { words, source, first: answer, tags: [] }),
    heights = steady(host, grid, stand);
  seen(host, grid);
  /** @type {HTMLElement | ShadowRoot | null} */
  let place = null;
  const busy = held(host, grid);
  const gone = () => {
    clearInterval(look);
    heights.disconnect();
    host.remove();
    delete window.opstoreFirst;
  };
  const stands = rested(host, root);
  const move = () => {
    if (!place?.isConnected || !stands(place) || busy()) return;
    for (const image of grid.list.querySelectorAll("img")) image.decoding = "sync"; // no empty frame
    grid.moveTo(place);
    gone();
  };
  const isOver = over();
  const look = setInterval(() => {
    move();
    if (!host.isConnected || place?.isConnected || !isOver()) return;
    grid.end();
    gone();
  }, LOOK);
  window.opstoreFirst = {
    grid,
    take(parent, data) {
      if (data.trash || asked(data.source ?? null) !== asked(source) || data.words.language !== words.language) {
        grid.end();
        gone();
        return null;
      }
      place = parent;
      queueMicrotask(move);
      return grid;
    },
  };
  for (const event of window.opstoreKeys?.() ?? [])
    if (!isWritten(event) && (grid.list.contains(grid.focused()) || isIdleKey(event))) press(grid, event);
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

/** Where the grid's list will stand: where it last stood in a window of this width, else where it does in a window of no habits. @returns {Stand} */
function standing() {
  /** @type {(Stand & { of: number })[]} */
  const stands = stored.get(localStorage, STANDS) ?? [],
    known = stands.find(stand => stand.of === innerWidth);
  if (known) return known;
  const wide = innerWidth > 768,
    left = wide ? 324 : 12,
    width = innerWidth - left - (wide ? 24 : 12);
  return { left, width, top: width > 960 ? 188 : width > 500 ? 244 : 305 };
}

/** What scrolls as the page will, and shows of itself what is the grid's. @param {string} look @param {Stand} stand */
function hostOf(look, { left, top, width }) {
  const host = el("div", { id: "opstore-first" }),
    above = top - TOOLBAR;
  host.style.cssText = `position: fixed; inset: 0 0 0 ${left - MARGIN}px; overflow: hidden auto; overflow-anchor: none; scrollbar-width: none; z-index: 1; outline: none;
    box-sizing: border-box; padding: ${above}px ${MARGIN}px 6rem; line-height: 1.6; ${look}; color: var(--st-text-color); background: var(--st-background-color)`;
  const show = () => {
    host.style.clipPath = `inset(${Math.max(BAR, above - host.scrollTop - MARGIN)}px 0 0 0)`;
  };
  show();
  host.addEventListener("scroll", show, { passive: true });
  const root = host.attachShadow({ mode: "open" });
  root.append(el("div", { className: "root" }));
  part(root, ".root").style.width = width + "px";
  return { host, root };
}

/** Keep the list where it is when more is said above it. @param {HTMLElement} host @param {Grid} grid @param {Stand} stand */
function steady(host, { root, list }, { top }) {
  const watch = new ResizeObserver(() => {
    host.style.paddingTop = top - (list.getBoundingClientRect().top - root.getBoundingClientRect().top) + "px";
  });
  if (root.firstElementChild) watch.observe(root.firstElementChild);
  return watch;
}

/** Give how to look whether the page has drawn all that stands above the grid's place: then nothing of it moves.
 *  @param {HTMLElement} host @param {ShadowRoot} root */
function rested(host, root) {
  let last = "",
    looks = 0;
  return (/** @type {HTMLElement | ShadowRoot} */ place) => {
    const [here, there] = [root, place].map(parent => {
      const { left, width, top } = part(parent, ".root").getBoundingClientRect();
      return [left, width, top];
    });
    here[2] += host.scrollTop;
    const apart = Math.max(...here.map((side, at) => Math.abs(side - there[at]))),
      now = there.join();
    looks = now === last ? looks + 1 : 0;
    last = now;
    return apart < NEAR || looks > STILL / LOOK;
  };
}

/** Say when all pictures of the window are there; they come before a hundred scripts. @param {HTMLElement} host @param {Grid} grid */
function seen(host, { list }) {
  for (const image of list.querySelectorAll("img")) image.fetchPriority = "high";
  const shown = () => {
    const tiles = [...list.querySelectorAll(".tile")].filter(tile => tile.getBoundingClientRect().top < innerHeight);
    if (tiles.every(tile => tile.querySelector(".frame.here, .word"))) host.dataset.shown = "";
  };
  for (const sign of ["load", "error"]) list.addEventListener(sign, () => setTimeout(shown), true); // after the tile has heard of it
  shown();
}

/** Whether somebody holds something here that a move would take out of their hand. @param {HTMLElement} host @param {Grid} grid */
function held(host, grid) {
  /** @type {Set<number>} */
  const pointers = new Set();
  let fingers = 0;
  host.addEventListener("pointerdown", ({ pointerId }) => pointers.add(pointerId));
  for (const sign of /** @type {const} */ (["pointerup", "pointercancel"]))
    addEventListener(sign, ({ pointerId }) => pointers.delete(pointerId), true);
  for (const sign of /** @type {const} */ (["touchstart", "touchend", "touchcancel"]))
    host.addEventListener(
      sign,
      ({ touches }) => {
        fingers = touches.length;
      },
      { passive: true },
    );
  return () => pointers.size > 0 || fingers > 0 || grid.root.querySelector("dialog[open]") !== null;
}

/** Give how to look whether something else has come: where the page has a search its grid comes too, however long its code takes. */
function over() {
  let ran = false,
    idle = 0;
  return () => {
    const { runs, rests } = scriptState();
    ran ||= runs;
    idle = ran && rests && !document.querySelector(".st-key-search-row") ? idle + 1 : 0;
    return location.pathname !== "/library" || idle > NO_GRID;
  };
}
