/* What is typed, and what is chosen in the page's boxes, leads to another search: the grid looks for it while the page's script is told.
   Until its rows are here the present ones stay, and what the script says of the list before counts only once it has followed.
   Streamlit's boxes are known by the keys of ours, their options by their words; one that is not known is the script's alone. */

import { around } from "./dom.js";
import { AGAIN } from "./grid_acts.js";
import { SEARCH } from "./grid_keys.js";
import { LIMIT } from "./grid_pages.js";

/** @typedef {import("./grid.js").Grid} Grid */

const TYPING = 40;

/** What an address asks for, however it is written. @param {string | null} source */
export const asked = source => source && String(new URLSearchParams(source.split("?")[1]));

export class Ahead {
  /** @param {Grid} grid */
  constructor(grid) {
    this.grid = grid;
    /** @type {{ source: string, until: number } | null} the list that was left, of which the page's script may tell once more */
    this.left = null;
    /** @type {object | null} the last search that was begun: of several the answer of this one counts */
    this.turn = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.typing = undefined;
  }

  /** @param {{ signal: AbortSignal }} on */
  listen(on) {
    const first = { ...on, capture: true };
    addEventListener("opstore-source", event => this.look(/** @type {CustomEvent<string>} */ (event).detail), on);
    document.addEventListener("input", event => this.typed(event), on);
    document.addEventListener("click", event => this.chosen(event.target), first);
    document.addEventListener("keydown", event => this.pressed(event), first);
  }

  /** Another search was asked for, and the page's script is told of it: look for it now. One that cannot be read changes nothing.
   *  @param {string} source */
  async look(source) {
    const { grid } = this,
      left = grid.source;
    this.turn = null; // who comes back to what is shown wants nothing of what was looked for in between
    if (!left || grid.trash || asked(source) === asked(left)) return;
    const turn = {};
    this.turn = turn;
    try {
      const answer = await (await fetch(`${source}&limit=${LIMIT}`, { signal: grid.ended.signal })).json();
      if (!answer.success || turn !== this.turn || grid.source !== left) return;
      grid.places.save();
      this.left = { source: left, until: Date.now() + AGAIN };
      grid.data = { ...grid.data, source, span: "" };
      grid.begin(grid.data, false, answer);
    } catch {
      /* the page's script will tell */
    }
  }

  /** Whether a run of the page's script began before the person asked for what is shown: the next one follows. @param {string | null | undefined} source */
  isBefore(source) {
    return this.left !== null && source === this.left.source && Date.now() < this.left.until;
  }

  /** The page's script has followed, or the person has gone back: from now on it means what it says. */
  followed() {
    this.left = null;
  }

  /** @param {Event} event */
  typed(event) {
    const { source } = this.grid;
    if (!around(event, SEARCH) || !source) return;
    clearTimeout(this.typing);
    const query = new URLSearchParams(source.split("?")[1]);
    query.set("q", /** @type {HTMLInputElement} */ (event.target).value);
    this.typing = setTimeout(() => this.look("/api/search?" + query), TYPING);
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.key === "ArrowDown" && !event.isComposing && around(event, SEARCH)) {
      event.preventDefault();
      this.grid.list.focus();
    }
    const told = event.key === "Enter" && event.target instanceof Element && event.target.getAttribute("aria-activedescendant");
    if (told) this.chosen(document.getElementById(told));
  }

  /** @param {EventTarget | null} target */
  chosen(target) {
    const item = target instanceof Element ? target : null,
      option = item?.closest('[role="option"]'),
      list = option?.closest('[role="listbox"]');
    const box = list
      ? document.querySelector(`[aria-controls="${CSS.escape(list.id)}"]`)
      : item?.closest("label")?.querySelector('[role="switch"]');
    const source = this.grid.data.ways?.[keyOf(box)]?.[(list && option?.textContent) ?? ""];
    if (source) this.look(source);
  }
}

/** The key of one of our boxes; the page makes anew, under another key, what it sets. @param {Element | null | undefined} box */
function keyOf(box) {
  const name = box?.closest('[class*="st-key-"]')?.className.match(/st-key-([\w-]+)/)?.[1];
  return name?.replace(/-t\d+$/, "") ?? "";
}
