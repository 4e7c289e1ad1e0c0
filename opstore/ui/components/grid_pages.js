/* The rows of one search, a hundred a page, each page found by the cursor of the one before it (keyset). `rows` holds exactly the rows
   of the pages in memory; a page that is far from the screen is forgotten and fetched again, so memory does not grow with what is found. */

/** @typedef {{ id: string, type: string, status: string, prompt: string, model: string | null, output: string | null, thumbnail: string | null,
 *   video: boolean, rating: number | null, favorite: boolean, tags: string[], stack: number, note?: string }} Row */
/** @typedef {{ n: number, exact: boolean }} Total */
/** @typedef {{ success: boolean, error?: string, total: Total, next: string | null, rows: Row[], version?: string }} Answer */
/** @typedef {{ cursor: string | null, count: number, rows: Row[] | null, first: string | null, loading: Promise<boolean> | null,
 *   place: import("./grid_drawing.js").Section | null, version?: string }} Page `first` is the id of its first row, `place` where it is
 *   drawn, `version` of which state of the library its rows are. */
/** @typedef {[cursor: string | null, count: number][]} Kept What is kept of the pages of a list, to come back to it. */

export const LIMIT = 100;
const KEPT = 30;

/** @param {string | null} cursor @param {number} count @returns {Page} */
const pageOf = (cursor, count) => ({ cursor, count, rows: null, first: null, loading: null, place: null });

export class Pages {
  /** @param {{ source?: string | null, rows?: Row[] | null, total?: Total | null, saved?: Kept, lost: (error: Error) => void }} given */
  constructor({ source, rows, total, saved, lost }) {
    this.source = source ?? null;
    this.total = total ?? null;
    this.lost = lost;
    /** @type {Map<string, Row>} of the pages in memory */
    this.rows = new Map();
    /** @type {Set<string>} on their way to the trash */
    this.hidden = new Set();
    /** @type {Map<string, Partial<Row>>} what was changed here and is not acknowledged yet */
    this.patches = new Map();
    this.ended = new AbortController();
    const known = saved?.map(([cursor, count]) => pageOf(cursor, count));
    /** @type {Page[]} */
    this.list = known?.length ? known : [pageOf(null, Math.min(LIMIT, total?.n ?? LIMIT))];
    if (rows) {
      this.list = [pageOf(null, rows.length)];
      this.fill(this.list[0], rows);
    }
  }

  close() {
    this.ended.abort();
  }

  get size() {
    return this.list.reduce((sum, page) => sum + page.count, 0);
  }

  /** The number of the page, and the place in it, of a place in the whole. @param {number} at @returns {[number, number] | null} */
  locate(at) {
    for (let number = 0; number < this.list.length; number += 1) {
      if (at < this.list[number].count) return [number, at];
      at -= this.list[number].count;
    }
    return null;
  }

  /** @param {string | null} id */
  placeOf(id) {
    let start = 0;
    for (const page of this.list) {
      const at = page.rows?.findIndex(row => row.id === id) ?? -1;
      if (at >= 0) return start + at;
      start += page.count;
    }
    return -1;
  }

  /** @param {number} at */
  async row(at) {
    const found = this.locate(at);
    if (!found) return null;
    await this.load(found[0]);
    return this.list[found[0]]?.rows?.[found[1]] ?? null;
  }

  /** @param {number} from @param {number} to */
  async between(from, to) {
    const rows = [];
    for (let at = Math.min(from, to); at <= Math.max(from, to); at += 1) {
      const row = this.rowNow(at) ?? (await this.row(at));
      if (row) rows.push(row);
    }
    return rows;
  }

  /** Fetch page after page, up to `most` rows, for as long as `seen` says so of each. @param {number} most @param {(rows: Row[]) => boolean} seen */
  async reach(most, seen) {
    for (let number = 0, rows = 0; number < this.list.length && rows < most; number += 1) {
      const page = this.list[number];
      await this.load(number);
      if (!page.rows || !seen(page.rows)) return;
      rows += page.count;
    }
  }

  /** @param {number} at */
  rowNow(at) {
    const found = this.locate(at);
    return found ? (this.list[found[0]].rows?.[found[1]] ?? null) : null;
  }

  /** Fetch a page that is not here, or with `fresh` one that is; give whether anything is other than before.
   *  @param {number} number @returns {Promise<boolean>} */
  load(number, fresh = false) {
    const page = this.list[number];
    if (!page || !this.source || (page.rows && !fresh)) return Promise.resolve(false);
    page.loading ??= this.answer(page)
      .catch(error => {
        if (error.name !== "AbortError") this.lost(error);
        return false;
      })
      .finally(() => {
        page.loading = null;
      });
    return page.loading;
  }

  /** @param {Page} page */
  async answer(page) {
    const cursor = page.cursor === null ? "" : "&cursor=" + encodeURIComponent(page.cursor);
    const reply = await fetch(`${this.source}&limit=${LIMIT}${cursor}`, { signal: this.ended.signal });
    const answer = await reply.json();
    if (!answer.success) {
      if (reply.status === 400 && page.cursor !== null) {
        this.cut(0); // a cursor of another time
        this.list.push(pageOf(null, LIMIT));
      }
      throw new Error(answer.error);
    }
    const before = JSON.stringify([this.total, page.rows]);
    this.take(answer, page);
    return JSON.stringify([this.total, page.rows]) !== before;
  }

  /** Put an answer into its page. @param {Answer} answer */
  take(answer, page = this.list[0]) {
    this.total = answer.total;
    const number = this.list.indexOf(page);
    if (number < 0) return;
    this.fill(page, this.joined(number, answer));
    page.version = answer.version;
  }

  /** The rows of a page up to where the next one begins; where that is no longer known, the next one is fetched anew.
   *  @param {number} number @param {Answer} answer */
  joined(number, { rows, next }) {
    const following = this.list[number + 1];
    const cut = following?.first ? rows.findIndex(row => row.id === following.first) : -1;
    if (cut >= 0) return rows.slice(0, cut);
    if (next === null) this.cut(number + 1);
    else if (!following) this.list.push(pageOf(next, this.expected(number, rows.length)));
    else if (following.cursor !== next) {
      this.forget(following);
      following.cursor = next;
      following.first = null;
    }
    return rows;
  }

  /** @param {number} number @param {number} here */
  expected(number, here) {
    const before = this.list.slice(0, number).reduce((sum, page) => sum + page.count, here);
    return this.total?.exact ? Math.max(1, Math.min(LIMIT, this.total.n - before)) : LIMIT;
  }

  /** @param {Page} page @param {Row[]} rows */
  fill(page, rows) {
    this.forget(page);
    page.first = rows[0]?.id ?? null;
    page.rows = rows.filter(row => !this.hidden.has(row.id)).map(row => ({ ...row, ...this.patches.get(row.id) }));
    page.count = page.rows.length;
    for (const row of page.rows) this.rows.set(row.id, row);
  }

  /** Nothing comes behind so many pages. @param {number} count */
  cut(count) {
    for (const page of this.list.splice(count)) this.forget(page);
  }

  /** @param {Page} page */
  forget(page) {
    for (const row of page.rows ?? []) this.rows.delete(row.id);
    page.rows = null;
    page.version = undefined;
  }

  /** Keep the rows of the pages around `number` only. @param {number} number */
  trim(number) {
    if (!this.source) return;
    this.list.forEach((page, at) => {
      if (page.rows && Math.abs(at - number) > KEPT / 2 && !page.place?.near) this.forget(page);
    });
  }

  /** What the person has just done, before the server says so. @param {string} id @param {Partial<Row>} change */
  patch(id, change) {
    this.patches.set(id, { ...this.patches.get(id), ...change });
    const row = this.rows.get(id);
    if (row) Object.assign(row, change);
  }

  /** What is stored now. @param {string} id @param {Partial<Row> | null} state */
  settle(id, state) {
    this.patches.delete(id);
    const row = this.rows.get(id);
    if (row && state) Object.assign(row, state);
  }

  /** @param {string[]} ids */
  hide(ids) {
    for (const id of ids) this.hidden.add(id);
    for (const page of this.list) {
      if (!page.rows?.some(row => this.hidden.has(row.id))) continue;
      for (const row of page.rows) if (this.hidden.has(row.id)) this.rows.delete(row.id);
      page.rows = page.rows.filter(row => !this.hidden.has(row.id));
      const gone = page.count - page.rows.length;
      page.count = page.rows.length;
      if (this.total) this.total = { ...this.total, n: Math.max(0, this.total.n - gone) };
    }
  }

  /** @returns {Kept} */
  saved() {
    return this.list.slice(0, 1000).map(page => [page.cursor, page.count]);
  }
}
