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
  CLOSING = 50,
  PATIENT = 1000;

/** Give what a grid stands in the look of one: its sheet comes with its code. @param {HTMLElement | ShadowRoot} parent */
function styled(parent) {
  if (!(parent instanceof ShadowRoot) || parent.adoptedStyleSheets.length) return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(window.opstoreGridStyle ?? "");
  parent.adoptedStyleSheets = [sheet];
}

/** What scrolls all that stands in it. @param {HTMLElement | ShadowRoot} parent */
const scrolling = parent => scrollerOf(parent instanceof ShadowRoot ? parent.host : parent);

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
    /** What the page's script is told once it is there, the last of each kind. @type {Map<string, unknown>} */
    this.untold = new Map();
    /** @type {ReturnType<typeof setTimeout> | undefined} until it is said that something waits */
    this.waiting = undefined;
    /** Whether it stands before the page, and moves into it. */
    this.isFirst = parent instanceof ShadowRoot && parent.host.id === "opstore-first";
    /** When the person last went back in the window's history. */
    this.wentBack = 0;
    // Whether a pointer went down last, whether it was held until it chose, and whether the focus moves without the person.
    this.pointing = false;
    this.pressed = false;
    this.quiet = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.noticeEnds = undefined;

    const { list, bar, notice: line, count, fresh } = elements(this.words);
    styled(parent);
    this.root = part(parent, ".root");
    this.list = list;
    this.bar = bar;
    this.notice = line;
    this.count = count;
    this.fresh = fresh;
    this.root.replaceChildren(toolbar(this), list, el("div", { className: "float" }, line, bar));
    this.scroll = new Scroll(list, scrolling(parent));
    this.unscrolled = new AbortController();
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
    if (shown && window.opstoreEarly?.id !== shown) opening(shown); // a grid that is made anew leaves what waits
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
    this.listenToScrolling();
  }

  listenToScrolling() {
    const { scroller } = this.scroll,
      on = { signal: this.unscrolled.signal, passive: true };
    scroller.addEventListener(
      "scroll",
      () => {
        this.places.scrolled();
        if (this.isFirst) this.drawing.wanted();
      },
      on,
    );
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
    this.unscrolled.abort();
    clearTimeout(this.waiting);
    handOver(this.acts.open);
    this.acts.end();
    this.pages.close();
    this.drawing.end();
    this.follower.end();
    clearTimeout(this.noticeEnds);
  }

  /** Stand in the page from now on, with all that is here: nothing of it is another one. @param {HTMLElement | ShadowRoot} parent */
  moveTo(parent) {
    const focused = this.focused(),
      { scroll, places } = this,
      { scrollTop } = scroll.scroller,
      down = scroll.down(),
      root = part(parent, ".root");
    const within = focused instanceof HTMLElement && this.root.contains(focused) ? focused : null;
    styled(parent);
    this.isFirst = false;
    this.unscrolled.abort();
    this.unscrolled = new AbortController();
    root.replaceChildren(...this.root.childNodes);
    this.root = root;
    scroll.scroller = scrolling(parent);
    scroll.scroller.scrollTop = scrollTop;
    this.listenToScrolling();
    this.drawing.moved();
    places.stay(down);
    this.drawing.arrange();
    if (within) this.focus(within);
    places.hold();
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
    this.tellAll();
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

  /** Tell the page's script what has happened; where there is none yet, once it is there. @param {string} name @param {unknown} value */
  happened(name, value) {
    if (this.trigger) {
      this.trigger(name, value);
      return;
    }
    this.untold.set(name, value);
    this.waits();
  }

  tellAll() {
    if (this.waiting !== undefined) notice(this, "");
    clearTimeout(this.waiting);
    this.waiting = undefined;
    for (const [name, value] of this.untold) this.happened(name, value);
    this.untold.clear();
  }

  /** Say of what a person has done that it waits, if it waits long. */
  waits() {
    this.waiting ??= setTimeout(() => notice(this, this.words.say("waits"), [], 0), PATIENT);
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
    this.happened("opened", current);
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
