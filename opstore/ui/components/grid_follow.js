/* What others do, seen within seconds. Only a change of the library's version makes the pages near the screen be fetched anew, and a
   version counts as seen once every one of them was; what the person looks at stays where it is. */

/** @typedef {import("./grid.js").Grid} Grid */
/** @typedef {import("./grid_pages.js").Page} Page */

/** How often is looked whether something has changed. */
export const POLL = 2500;

export class Follower {
  /** @param {Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.polling = false;
    /** @type {number | null} the version that all pages near the screen are of */
    this.version = null;
    this.timer = setInterval(() => this.poll(), POLL);
  }

  end() {
    clearInterval(this.timer);
  }

  /** Another list: nothing is known of it. */
  begin() {
    this.version = null;
  }

  /** A number that changes with every change of the library is asked for; only then are the pages on screen. */
  async poll() {
    const { grid } = this;
    if (document.visibilityState !== "visible" || !grid.source || this.polling) return;
    this.polling = true;
    try {
      const { version = null } = await (await fetch("/api/health", { signal: grid.ended.signal })).json();
      const known = this.version ?? grid.pages.version;
      this.version = (version !== null && version === known) || (await this.refresh()) ? version : null;
    } catch {
      /* the next look will tell */
    } finally {
      this.polling = false;
    }
  }

  /** Give whether every page near the screen was fetched anew: one that was on its way already may be older than the change. */
  async refresh() {
    const { grid } = this;
    if (!grid.source || grid.acts.sent) return false;
    const near = grid.pages.list.filter(page => page.place?.near),
      free = near.filter(page => !page.loading);
    let changed = false;
    for (const page of free) changed = (await this.again(page)) || changed;
    if (changed) this.show();
    return free.length === near.length;
  }

  /** Fetch a page anew; give whether anything is other than before. @param {Page} page */
  async again(page) {
    const { grid } = this,
      number = grid.pages.list.indexOf(page),
      before = (page.rows ?? []).map(row => row.id);
    if (number < 0) return false;
    const changed = await grid.pages.load(number, true);
    const missed = () =>
      before.filter(id => !grid.pages.rows.has(id) && (grid.selection.has(id) || id === grid.selection.current));
    if (missed().length) await grid.pages.load(number + 1); // what came in above may have pushed it there
    grid.selection.dropped(missed(), Boolean(grid.shown));
    const added = number ? -1 : (page.rows?.findIndex(row => row.id === before[0]) ?? -1);
    if (added > 0 && grid.scroll.down() > grid.scroll.high) this.announce(added);
    return changed;
  }

  show() {
    const { grid } = this,
      at = grid.pages.placeOf(grid.selection.current);
    if (at >= 0) grid.selection.at = at;
    grid.drawing.arrange();
    grid.redraw();
  }

  /** New ones came in above: what the person looks at stays where it is. @param {number} count */
  announce(count) {
    const { scroll, fresh, words } = this.grid;
    scroll.by(Math.round(count / scroll.columns) * scroll.high);
    fresh.textContent = "↑ " + words.count("new", count);
    fresh.hidden = false;
  }
}
