/* The grid of the library, put together of its parts. Rows come from our own HTTP interface, so that scrolling runs no script of the
   page; what a person does is shown at once, handed to the page one act at a time, and put right where it fails. A part that listens
   ends with the grid. */

import { around, el, part } from "./dom.js";
import { act, actsOf, away, favorite, rate } from "./grid_acting.js";
import { handOver, leave, unsent } from "./grid_acts.js";
import { Ahead, asked } from "./grid_ahead.js";
import { Drawing } from "./grid_drawing.js";
import { early, opening } from "./drawer_early_keys.js";
import { Follower } from "./grid_follow.js";
import { click, press, pressAnywhere, pressHere, touches } from "./grid_keys.js";
import { stored } from "./grid_memory.js";
import { showPreview } from "./grid_over.js";
import { Pages } from "./grid_pages.js";
import { notice, selectionBar, toolbar } from "./grid_panels.js";
import { Places } from "./grid_place.js";
import { Scroll, scrollerOf } from "./grid_scroll.js";
import { Selection } from "./grid_selection.js";
import { TILE, Words } from "./grid_tiles.js";
import { Walk } from "./grid_walk.js";
import { ownTab } from "./own_tab.js";

/** @typedef {import("./grid_pages.js").Answer} Answer */
/** @typedef {import("./grid_pages.js").Row} Row */
/** @typedef {{ words: import("./grid_tiles.js").Spoken, source?: string | null, rows?: Row[] | null, total?: import("./grid_pages.js").Total,
 *   span?: string, open?: string | null, tags: string[], outcome?: import("./grid_acts.js").Outcome | null, trash?: boolean,
 *   first?: Answer | null, ways?: Record<string, Record<string, string>> }} Given What the page's script gives: see components/grid.py. */

const BACK = 3000,
  CLOSING = 50;
/** @type {WeakMap<object, Grid>} */
const grids = new WeakMap();

/** The elements that a grid is made of. @param {Words} words */
const elements = words => ({
  list: el("div", {
    className: "grid",
    role: "listbox",
    tabIndex: 0,
    "aria-multiselectable": "true",
    "aria-label": words.say("name"),
  }),
  bar: el("div", { className: "bar", role: "toolbar", hidden: true, "aria-label": words.say("selection") }),
  notice: el("div", { className: "notice", hidden: true }),
  count: el("p", { className: "count", role: "status" }),
  fresh: el("button", { type: "button", className: "fresh", hidden: true }),
});

export class Grid {
  /** @param {HTMLElement | ShadowRoot} parent @param {Given} data */
  constructor(parent, data) {
    this.data = data;
    this.words = new Words(data.words);
    this.trash = Boolean(data.trash);
    this.ended = new AbortController();
    /** @type {number} */
    this.tile = stored.get(localStorage, "opstore-tile") ?? TILE;
    /** @type {string | null} where the rows come from, unless the page's script gave them */
    this.source = null;
    /** What the list was begun with: another one is another list. */
    this.print = "";
    /** @type {Tell | null} */
    this.trigger = null;
    /** @type {import("./grid_over.js").Preview | null} */
    this.shown = null;
    /** @type {string | null} what was clicked in the first screen, and is to be opened */
    this.wanted = null;
    /** When the person last went back in the window's history. */
    this.wentBack = 0;
    // Whether a pointer went down last, whether it was held until it chose, and whether the focus moves without the person.
    this.pointing = false;
    this.pressed = false;
    this.quiet = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.noticeEnds = undefined;

    const { list, bar, notice: line, count, fresh } = elements(this.words);
    this.root = part(parent, ".root");
    this.list = list;
    this.bar = bar;
    this.notice = line;
    this.count = count;
    this.fresh = fresh;
    this.root.replaceChildren(toolbar(this), list, el("div", { className: "float" }, line, bar));
    this.scroll = new Scroll(list, scrollerOf(parent instanceof ShadowRoot ? parent.host : parent));
    this.pages = new Pages({ lost: () => {} });
    this.selection = new Selection();
    this.acts = actsOf(this);
    this.walk = new Walk(this);
    this.ahead = new Ahead(this);
    this.listen();
    this.places = new Places(this);
    this.drawing = new Drawing(this);
    this.follower = new Follower(this);
    ownTab().catch(() => {}); // a duplicate of a window is another one, where that can be told
    this.begin(data, true, data.first);
  }

  // -- life ---------------------------------------------------------------------------------------------------------------------

  listen() {
    const { list, acts } = this,
      on = { signal: this.ended.signal };
    list.onclick = event => click(this, event);
    list.ondragstart = () => false;
    list.onkeydown = event => pressHere(this, event);
    list.onfocus = () => {
      if (this.quiet) return;
      if (this.selection.current) this.focusCurrent();
      else this.walk.go(this.scroll.firstShown());
    };
    list.addEventListener("focusin", event => this.walk.met(around(event, ".tile")), on);
    this.fresh.onclick = () => this.toTop();
    touches(this);
    document.addEventListener("keydown", event => pressAnywhere(this, event), on);
    for (const type of ["keydown", "click"]) addEventListener(type, early, { ...on, capture: true }); // before the drawer
    const shown = new URLSearchParams(location.search).get("operation");
    if (shown) opening(shown);
    document.addEventListener("visibilitychange", () => this.follower.poll(), on);
    addEventListener(
      "popstate",
      () => {
        this.wentBack = Date.now();
        this.ahead.followed();
      },
      on,
    );
    this.ahead.listen(on);
    addEventListener(
      "opstore-acts",
      () => {
        acts.push(...unsent());
        acts.flush();
      },
      on,
    );
    addEventListener(
      "pagehide",
      () => {
        this.places.save();
        leave(acts.waiting);
      },
      on,
    );
    this.listenToScrolling({ ...on, passive: true });
  }

  /** @param {AddEventListenerOptions} on */
  listenToScrolling(on) {
    const { scroller } = this.scroll;
    scroller.addEventListener("scroll", () => this.places.scrolled(), on);
    for (const sign of ["wheel", "pointerdown", "keydown", "touchmove"])
      scroller.addEventListener(
        sign,
        () => {
          this.places.returning = null;
        },
        on,
      );
  }

  end() {
    this.places.end();
    this.ended.abort();
    handOver(this.acts.open);
    this.acts.end();
    this.pages.close();
    this.drawing.end();
    this.follower.end();
    clearTimeout(this.noticeEnds);
  }

  /** Show another search, from its top or, on the way back, from where it was. @param {Given} data @param {boolean} back @param {Answer | null} answer */
  begin(data, back, answer = null) {
    const source = data.source ?? null,
      again = this.print !== "" && !this.source && !source; // the rows of the same list, some of them others
    const place = back && source ? this.places.of(source) : null,
      { current } = this.selection,
      chosen = [...this.selection.chosen];
    this.pages.close();
    this.walk.halt();
    this.drawing.clear();
    this.source = source;
    this.print = printOf(data);
    this.pages = new Pages({
      source,
      rows: data.rows,
      total: data.total,
      saved: place?.pages,
      lost: error => notice(this, this.words.say("lost", { reason: error.message })),
    });
    if (answer) this.pages.take(answer);
    this.selection.begin(place);
    if (again) this.resume(chosen, current);
    this.places.comeTo(place);
    selectionBar(this);
    if (!back) this.toTop();
    this.drawing.arrange();
    if (place) this.places.hold();
  }

  /** What was chosen stays chosen, and what was just taken away stays away, whatever list came in between. @param {string[]} chosen @param {string | null} current */
  resume(chosen, current) {
    const leaving = this.acts.open.filter(({ kind, value }) => kind === "restore" || value === "sure");
    this.pages.hide(leaving.flatMap(({ ids }) => ids));
    this.selection.resume(this.pages, chosen, current);
  }

  /** The page's script has run. @param {Given} data @param {Tell} trigger */
  update(data, trigger) {
    const was = this.data;
    this.trigger = trigger;
    this.data = data;
    if (this.ahead.isBefore(data.source)) this.data = { ...data, source: this.source, span: "" };
    else if (data.source && asked(data.source) === asked(this.source)) {
      this.source = this.pages.source = data.source;
      this.ahead.followed();
    } else if (printOf(data) !== this.print) this.begin(data, Date.now() - this.wentBack < BACK, data.first);
    this.tell();
    this.takeOver();
    this.acts.hear(data.outcome);
    if (was.open && !data.open) setTimeout(() => this.walk.returnTo(window.opstoreSeen ?? was.open ?? ""), CLOSING); // where the drawer was last
    if (was !== data) this.follower.poll(); // something on the page was changed, perhaps: look
    this.acts.flush();
  }

  // -- what is seen of it -------------------------------------------------------------------------------------------------------

  redraw() {
    this.drawing.redraw();
    selectionBar(this);
    this.float();
    this.tell();
    showPreview(this);
  }

  tell() {
    const { total } = this.pages;
    this.count.textContent = total
      ? [this.words.count("found", total.n, total.exact), this.data.span].filter(Boolean).join(" · ")
      : "";
  }

  /** What floats over the page keeps to the grid's width. */
  float() {
    const { left, width } = this.root.getBoundingClientRect();
    this.root.style.setProperty("--left", left + "px");
    this.root.style.setProperty("--width", width + "px");
  }

  /** @param {number} tile */
  resize(tile) {
    const at = this.scroll.firstShown();
    this.tile = tile;
    stored.set(localStorage, "opstore-tile", tile);
    this.drawing.arrange();
    if (this.scroll.down() > 0) this.scroll.to(at, 0);
  }

  toTop() {
    this.fresh.hidden = true;
    this.scroll.toTop();
  }

  /** The first screen, which came before the grid, has done its work; what was clicked in it opens. */
  takeOver() {
    this.wanted = window.opstoreFirst?.end() ?? this.wanted;
    if (!this.wanted || !this.trigger) return;
    this.selection.current = this.wanted;
    this.wanted = null;
    this.open();
  }

  // -- the focus ----------------------------------------------------------------------------------------------------------------

  focused() {
    return /** @type {Document | ShadowRoot} */ (this.root.getRootNode()).activeElement;
  }
  /** Whether nobody is elsewhere: who writes in the search must not come to stand on a picture, or on a question. */
  mayFocus() {
    const root = this.root.getRootNode(),
      { activeElement } = document;
    return !activeElement || activeElement === document.body || (root instanceof ShadowRoot && activeElement === root.host);
  }
  focusCurrent() {
    this.focus(this.drawing.tileOf(this.selection.current) ?? this.list);
  }
  /** @param {HTMLElement} item */
  focus(item) {
    this.quiet = true;
    item.focus({ preventScroll: true });
    this.quiet = false;
  }

  // -- what a person does -------------------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} event */
  key(event) {
    press(this, event);
  }

  open() {
    const { current } = this.selection;
    if (!current) return;
    this.places.save();
    this.shown?.close();
    opening(current);
    this.trigger?.("opened", current);
  }

  /** @param {string} id */
  toggle(id) {
    this.selection.toggle(id, this.pages.placeOf(id));
    this.redraw();
  }

  /** Choose all from where the range began. @param {number} at */
  async range(at) {
    await this.selection.addRange(this.pages, at);
  }

  async all() {
    const { pages, selection } = this;
    if (!(await selection.addAll(pages, () => selectionBar(this)))) return;
    if (pages.total && pages.total.n > selection.size) notice(this, this.words.count("most", selection.size));
    this.drawing.arrange();
    this.redraw();
  }

  clear() {
    this.selection.clear();
    this.redraw();
    this.focusCurrent();
  }

  targets() {
    return this.selection.targets(Boolean(this.shown));
  }

  /** What a role does not allow is neither shown nor sent; the service refuses it all the same. @param {string} name */
  may(name) {
    return !(this.words.words.without ?? []).includes(name);
  }

  /** @param {string} kind @param {string[]} [ids] @param {unknown} [value] */
  act(kind, ids, value) {
    act(this, kind, ids, value);
  }
  undo() {
    act(this, "undo", []);
  }
  /** @param {number} value */
  rate(value) {
    rate(this, value);
  }
  favorite() {
    favorite(this);
  }
  /** @param {string} way */
  away(way) {
    away(this, way);
  }
}

/** @param {Given} data */
const printOf = data => JSON.stringify([data.source, data.rows]);

/** @param {Component<Given>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  let grid = grids.get(parentElement);
  if (grid && grid.words.words.language !== data.words.language) {
    grid.end();
    grid = undefined;
  }
  if (!grid) {
    grid = new Grid(parentElement, data);
    grids.set(parentElement, grid);
  }
  grid.update(data, setTriggerValue);
  const shown = grid;
  // Where two runs of the page follow each other closely, Streamlit ends the first one's part while the second one's stands.
  return () => {
    if (!parentElement.isConnected) {
      shown.end();
      grids.delete(parentElement);
    }
  };
}
