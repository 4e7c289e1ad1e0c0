/* What is chosen, and which tile is the current one. What has left the list is neither: a key must not reach what nobody sees; of a
   current one that went, only the place is known still (`gap`), and the next one has taken it. It knows no document. */

/** @typedef {import("./grid_pages.js").Row} Row */
/** @typedef {import("./grid_pages.js").Pages} Pages */

/** As many as can be chosen at once. */
export const MOST = 10000;

export class Selection {
  constructor() {
    /** @type {Set<string>} */
    this.chosen = new Set();
    /** @type {string | null} */
    this.current = null;
    this.at = 0;
    /** @type {{ id: string | null, at: number }} where a range begins; its place counts where it has left the list */
    this.anchor = { id: null, at: 0 };
    this.gap = false;
    /** Another one whenever the selection is cleared or another search begun. */
    this.turn = {};
    /** @type {object | null} whoever adds page after page, until the selection is cleared or another search begun */
    this.adding = null;
  }

  get size() {
    return this.chosen.size;
  }
  /** @param {string} id */
  has(id) {
    return this.chosen.has(id);
  }

  /** Another list: nothing is chosen, the current one is where it was on the last visit. @param {{ current: string | null, at: number } | null} place */
  begin(place) {
    this.clear();
    this.current = place?.current ?? null;
    this.gap = false;
    this.at = place?.at ?? 0;
    this.beginRange();
  }

  /** What was chosen in the same list, for as far as it is still there. @param {Pages} pages @param {string[]} chosen @param {string | null} current */
  resume(pages, chosen, current) {
    for (const id of chosen) if (pages.rows.has(id)) this.chosen.add(id);
    if (current === null || !pages.rows.has(current)) return;
    this.stand(current, pages.placeOf(current));
    this.beginRange();
  }

  /** @param {string} id @param {number} at */
  stand(id, at) {
    this.current = id;
    this.at = at;
    this.gap = false;
  }

  /** @param {string} id @param {number} at its place, from which a range goes on */
  toggle(id, at) {
    if (!this.chosen.delete(id)) this.chosen.add(id);
    this.anchor = { id, at };
  }

  /** A range begins with the current one. */
  beginRange() {
    this.anchor = { id: this.current, at: this.at };
  }

  /** Add all from where the range began, wherever that stands by now. @param {Pages} pages @param {number} at */
  async addRange(pages, at) {
    const { turn, anchor } = this,
      from = anchor.id === null ? -1 : pages.placeOf(anchor.id),
      rows = await pages.between(from < 0 ? anchor.at : from, at);
    if (turn === this.turn) this.add(rows);
  }

  /** @param {Row[]} rows */
  add(rows) {
    for (const row of rows) this.chosen.add(row.id);
  }

  /** Add everything that is found, page by page; give whether it came to its end. @param {Pages} pages @param {() => void} seen */
  async addAll(pages, seen) {
    const turn = {};
    this.adding = turn;
    await pages.reach(MOST, rows => {
      if (turn !== this.adding) return false;
      this.add(rows);
      seen();
      return true;
    });
    return turn === this.adding;
  }

  clear() {
    this.adding = null;
    this.turn = {};
    this.chosen.clear();
  }

  /** What an act is for: in a preview the picture that is seen, whatever is chosen behind it. @param {boolean} shown */
  targets(shown) {
    return this.chosen.size && !shown ? [...this.chosen] : this.current ? [this.current] : [];
  }

  /** The place that so many steps lead to; null where they begin nowhere. @param {number} by */
  onward(by) {
    if (this.gap) return this.at + by - Number(by > 0);
    return this.current ? this.at + by : null;
  }

  /** Others took these away. A preview goes on showing its picture. @param {string[]} gone @param {boolean} shown */
  dropped(gone, shown) {
    for (const id of gone) this.chosen.delete(id);
    if (!this.current || !gone.includes(this.current)) return;
    this.gap = true;
    if (!shown) this.current = null;
  }

  /** The person took these away; give whether the current one is among them. @param {string[]} ids */
  leave(ids) {
    for (const id of ids) this.chosen.delete(id);
    if (!this.current || !ids.includes(this.current)) return false;
    this.current = null;
    return true;
  }
}
