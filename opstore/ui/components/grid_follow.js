/* What others do, seen within seconds. Every page near the screen is fetched anew until it is of the library's present version: also one
   that comes near later, or whose answer was lost; what the person looks at stays where it is. */

/** @typedef {import("./grid.js").Grid} Grid */
/** @typedef {import("./grid_pages.js").Page} Page */

/** How often is looked whether something has changed. */
export const POLL = 2500;

export class Follower {
  /** @param {Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.polling = false;
    this.timer = setInterval(() => this.poll(), POLL);
  }

  end() {
    clearInterval(this.timer);
  }

  /** A text that changes with every change of the library is asked for; of the pages near the screen those that are of another. */
  async poll() {
    const { grid } = this;
    if (document.visibilityState !== "visible" || !grid.source || this.polling) return;
    this.polling = true;
    try {
      const { version } = await (await fetch("/api/health", { signal: grid.ended.signal })).json();
      if (version !== undefined) await this.refresh(page => page.version !== version);
    } catch {
      /* the next look will tell */
    } finally {
      this.polling = false;
    }
  }

  /** Fetch the pages near the screen anew; one that is on its way is what its answer will say. @param {(page: Page) => boolean} isWanted */
  async refresh(isWanted = () => true) {
    const { grid } = this;
    if (!grid.source || grid.acts.sent) return;
    let changed = false;
    for (const page of grid.pages.list.filter(page => page.place?.near && !page.loading && isWanted(page)))
      changed = (await this.again(page)) || changed;
    if (changed) this.show();
  }

  /** Fetch a page anew; give whether anything is other than before. @param {Page} page */
  async again(page) {
    const { grid } = this,
      { pages } = grid,
      number = pages.list.indexOf(page),
      before = (page.rows ?? []).map(row => row.id);
    if (number < 0) return false;
    const changed = await pages.load(number, true);
    const missed = () => before.filter(id => !pages.rows.has(id) && (grid.selection.has(id) || id === grid.selection.current));
    if (missed().length) await pages.load(number + 1); // what came in above may have pushed it there
    if (pages !== grid.pages) return false; // another list has come: what it does not show was not taken away
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
