/* The tiles of a list: they exist near the screen only, a section for each page, each section where its rows stand whether they are
   here or not. A row keeps its tile for as long as its section is drawn, so nothing that stands is drawn anew. */

import { el } from "./dom.js";
import { dress, GAP, measured, newTile, skeleton } from "./grid_tiles.js";

/** @typedef {import("./grid_pages.js").Page} Page */
/** @typedef {import("./grid_tiles.js").Tile} Tile */
/** @typedef {import("./grid.js").Grid} Grid */
/** @typedef {{ page: Page, element: HTMLElement, start: number, near: boolean, whole: boolean, rest: ReturnType<typeof setTimeout> | null }} Section
 *  `whole` once all its rows are drawn, not only those in the window. */

const REST = 150;

export class Drawing {
  /** @param {Grid} grid */
  constructor(grid) {
    const { scroller } = grid.scroll;
    this.grid = grid;
    this.list = grid.list;
    /** @type {Map<Element, Section>} */
    this.sections = new Map();
    this.watch = new IntersectionObserver(entries => this.seen(entries), {
      root: scroller.isConnected ? scroller : null,
      rootMargin: "100% 0px 200%",
    });
    this.wide = new ResizeObserver(() => this.arrange());
    this.wide.observe(grid.root);
  }

  end() {
    this.watch.disconnect();
    this.wide.disconnect();
  }

  clear() {
    for (const section of this.sections.values()) this.drop(section);
  }

  // -- sections -----------------------------------------------------------------------------------------------------------------

  arrange() {
    const { grid, list } = this,
      width = list.clientWidth;
    if (!width) return;
    this.measure(width);
    const last = grid.places.returning ? -1 : grid.scroll.lastShown(),
      pages = grid.pages.list;
    let start = 0;
    for (const page of pages) {
      this.put(page, start, last);
      start += page.count;
    }
    const known = new Set(pages.map(page => page.place));
    for (const section of this.sections.values()) if (!known.has(section)) this.drop(section);
    list.style.height = Math.max(1, this.lines(start)) * grid.scroll.high + "px";
    grid.tell();
    grid.float();
  }

  /** @param {number} count */
  lines(count) {
    return Math.ceil(count / this.grid.scroll.columns);
  }

  /** @param {number} width */
  measure(width) {
    const { scroll, tile, trash } = this.grid,
      { columns, side, caption } = measured(width, tile, trash);
    scroll.columns = columns;
    scroll.high = side + caption + GAP;
    this.list.style.cssText = `--side:${side}px; --caption:${caption}px; --columns:${columns}; --gap:${GAP}px`;
    this.list.classList.toggle("dense", !caption);
  }

  /** Set the section of a page where it begins. @param {Page} page @param {number} start @param {number} last the last place in the window */
  put(page, start, last) {
    page.place ??= this.sectionOf(page);
    const section = page.place,
      { element } = section,
      { scroll } = this.grid;
    section.start = start;
    if (!element.isConnected) {
      section.near ||= start <= last; // what is in the window waits for no observer
      this.list.append(element);
      this.watch.observe(element);
    }
    element.style.top = scroll.top(start) + "px";
    element.style.height = this.lines((start % scroll.columns) + page.count) * scroll.high + "px";
    if (section.near) this.draw(section);
  }

  /** @param {Page} page @returns {Section} */
  sectionOf(page) {
    const element = el("div", { className: "section", role: "presentation" });
    const section = { page, element, start: 0, near: false, whole: false, rest: null };
    this.sections.set(element, section);
    return section;
  }

  /** @param {Section} section */
  drop(section) {
    this.watch.unobserve(section.element);
    emptied(section);
    section.element.remove();
    this.sections.delete(section.element);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  seen(entries) {
    const { pages } = this.grid;
    /** @type {Section | undefined} */
    let first;
    for (const { target, isIntersecting } of entries) {
      const section = this.sections.get(target);
      if (!section) continue;
      section.near = isIntersecting;
      if (isIntersecting) {
        first ??= section;
        this.draw(section);
      } else this.undraw(section);
    }
    if (first) pages.trim(pages.list.indexOf(first.page));
  }

  /** Have the tile at a place drawn now. @param {number} at */
  stand(at) {
    const { pages } = this.grid,
      found = pages.locate(at),
      section = found && pages.list[found[0]]?.place;
    if (!section || (section.near && section.whole)) return;
    section.near = section.whole = true;
    this.arrange();
  }

  // -- tiles --------------------------------------------------------------------------------------------------------------------

  /** @param {Section} section */
  draw(section) {
    if (section.page.rows) this.drawRows(section, section.page.rows);
    else this.expect(section);
  }

  /** The column of a section's first tile; the others follow it. @param {Section} section @param {number} at */
  column({ start }, at) {
    return at ? "" : String((start % this.grid.scroll.columns) + 1);
  }

  /** @param {Section} section */
  expect(section) {
    const { pages } = this.grid,
      { page, element } = section,
      blanks = Array.from({ length: page.count }, skeleton);
    for (const [at, blank] of blanks.entries()) blank.style.gridColumnStart = this.column(section, at);
    element.replaceChildren(...blanks);
    pages.load(pages.list.indexOf(page)).then(() => {
      if (page.rows || !this.grid.pages.list.includes(page)) this.arrange();
    });
  }

  /** @param {Section} section @param {import("./grid_pages.js").Row[]} all */
  drawRows(section, all) {
    const { element, start } = section,
      { words } = this.grid,
      eager = this.portion(section, all.length);
    const tiles = /** @type {Tile[]} */ ([...element.children]),
      before = new Map(tiles.map(tile => [tile.dataset.id, tile]));
    const rows = section.whole ? all : all.slice(0, eager);
    const wanted = rows.map((row, at) => before.get(row.id) ?? newTile(row, words, at < eager));
    if (wanted.length !== tiles.length || wanted.some((tile, at) => tiles[at] !== tile)) {
      const held = element.contains(this.grid.focused());
      element.replaceChildren(...wanted);
      if (held) this.grid.focusCurrent();
    }
    wanted.forEach((tile, at) => {
      dress(tile, rows[at], words);
      this.mark(tile, start + at, this.column(section, at));
    });
    this.list.classList.toggle("choosing", this.grid.selection.size > 0);
    this.grid.takeOver();
  }

  /** What is in the window is drawn first, and its pictures are asked for before the others of its page; those follow.
   *  Give how many rows that is. @param {Section} section @param {number} all */
  portion(section, all) {
    const eager = Math.max(0, this.grid.scroll.lastShown() + 1 - section.start);
    if (eager >= all) section.whole = true;
    if (!section.whole)
      section.rest ??= setTimeout(() => {
        section.rest = null;
        section.whole = true;
        if (section.near) this.draw(section);
      }, REST);
    return eager;
  }

  /** @param {Section} section */
  undraw(section) {
    if (section.element.contains(this.grid.focused())) this.grid.focus(this.list);
    section.whole = false;
    emptied(section);
  }

  /** Show what a tile is among the others; where that is as before, nothing is touched. @param {Tile} tile @param {number} at @param {string} column */
  mark(tile, at, column) {
    const id = tile.dataset.id ?? "",
      { selection, pages } = this.grid,
      current = id === selection.current,
      selected = String(selection.has(id)),
      size = pages.total?.exact ? String(pages.total.n) : "";
    const marked = [current, selected, at, size, column].join();
    if (tile.marked === marked) return;
    tile.marked = marked;
    tile.style.gridColumnStart = column;
    tile.setAttribute("aria-selected", selected);
    tile.setAttribute("aria-posinset", String(at + 1));
    if (size) tile.setAttribute("aria-setsize", size);
    tile.tabIndex = current ? 0 : -1;
    tile.classList.toggle("current", current);
  }

  redraw() {
    for (const { place, rows } of this.grid.pages.list) if (place?.near && rows) this.draw(place);
    // One stop for Tab: the current tile where it is drawn, else the grid.
    this.list.tabIndex = this.tileOf(this.grid.selection.current) ? -1 : 0;
  }

  /** @param {string | null} id @returns {HTMLElement | null} */
  tileOf(id) {
    return id ? this.list.querySelector(`[data-id="${CSS.escape(id)}"]`) : null;
  }
}

/** Take the tiles out of a section: pictures that nobody will see leave the few connections to those that are wanted. @param {Section} section */
function emptied(section) {
  for (const image of section.element.querySelectorAll("img"))
    if (!image.complete) {
      image.onerror = null;
      image.removeAttribute("src");
    }
  if (section.rest !== null) clearTimeout(section.rest);
  section.rest = null;
  section.element.replaceChildren();
}
