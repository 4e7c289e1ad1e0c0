/* The rows of one search, a hundred a page, each page found by the cursor of the one before it (keyset): a page that is far from
   the screen can be forgotten and fetched again, so memory does not grow with the number of operations. */

const LIMIT = 100, KEPT = 30;

const pageOf = (cursor, count) => ({ cursor, count, rows: null, first: null, loading: null, place: null });

class Pages {
  constructor({ source, rows, total, saved, lost }) {
    this.source = source; this.total = total ?? null; this.lost = lost;
    this.rows = new Map();     // id → row, of the pages in memory
    this.hidden = new Set();   // on their way to the trash
    this.patches = new Map();  // id → what was changed here and is not acknowledged yet
    this.ended = new AbortController();
    const known = saved?.map(([cursor, count]) => pageOf(cursor, count));
    this.list = known?.length ? known : [pageOf(null, Math.min(LIMIT, total?.n ?? LIMIT))];
    if (rows) { this.list = [pageOf(null, rows.length)]; this.fill(this.list[0], rows); }
  }

  close() { this.ended.abort(); }

  get size() { return this.list.reduce((sum, page) => sum + page.count, 0); }

  /* [number of the page, place in it] of a place in the whole. */
  locate(at) {
    for (let number = 0; number < this.list.length; number += 1) {
      if (at < this.list[number].count) return [number, at];
      at -= this.list[number].count;
    }
    return null;
  }

  placeOf(id) {
    let start = 0;
    for (const page of this.list) {
      const at = page.rows?.findIndex(row => row.id === id) ?? -1;
      if (at >= 0) return start + at;
      start += page.count;
    }
    return -1;
  }

  async row(at) {
    const found = this.locate(at);
    if (!found) return null;
    await this.load(found[0]);
    return this.list[found[0]]?.rows?.[found[1]] ?? null;
  }

  async between(from, to) {
    const rows = [];
    for (let at = Math.min(from, to); at <= Math.max(from, to); at += 1) {
      const row = this.rowNow(at) ?? await this.row(at);
      if (row) rows.push(row);
    }
    return rows;
  }

  /* Fetch page after page, up to `most` rows, for as long as `seen` says so of each. */
  async reach(most, seen) {
    for (let number = 0, rows = 0; number < this.list.length && rows < most; number += 1) {
      const page = this.list[number];
      await this.load(number);
      if (!page.rows || !seen(page)) return;
      rows += page.count;
    }
  }

  rowNow(at) {
    const found = this.locate(at);
    return found ? this.list[found[0]].rows?.[found[1]] ?? null : null;
  }

  /* Fetch a page that is not here, or with `fresh` one that is; give whether anything is other than before. */
  load(number, fresh = false) {
    const page = this.list[number];
    if (!page || !this.source || (page.rows && !fresh)) return Promise.resolve(false);
    page.loading ??= this.answer(page).catch(error => {
      if (error.name !== "AbortError") this.lost(error);
      return false;
    }).finally(() => { page.loading = null; });
    return page.loading;
  }

  async answer(page) {
    const cursor = page.cursor === null ? "" : "&cursor=" + encodeURIComponent(page.cursor);
    const reply = await fetch(`${this.source}&limit=${LIMIT}${cursor}`, { signal: this.ended.signal });
    const answer = await reply.json();
    if (!answer.success) {
      if (reply.status === 400 && page.cursor !== null) this.list = [pageOf(null, LIMIT)];  // a cursor of another time
      throw new Error(answer.error);
    }
    const before = JSON.stringify([this.total, page.rows]);
    this.take(answer, page);
    return JSON.stringify([this.total, page.rows]) !== before;
  }

  /* Put an answer into its page. */
  take(answer, page = this.list[0]) {
    this.total = answer.total; this.version ??= answer.version;
    const number = this.list.indexOf(page);
    if (number >= 0) this.fill(page, this.joined(number, answer));
  }

  /* The rows of a page up to where the next one begins; where that is no longer known, the next one is fetched anew. */
  joined(number, { rows, next }) {
    const following = this.list[number + 1];
    const cut = following?.first ? rows.findIndex(row => row.id === following.first) : -1;
    if (cut >= 0) return rows.slice(0, cut);
    if (next === null) this.list.length = number + 1;
    else if (!following) this.list.push(pageOf(next, this.expected(number, rows.length)));
    else if (following.cursor !== next) { this.forget(following); following.cursor = next; following.first = null; }
    return rows;
  }

  expected(number, here) {
    const before = this.list.slice(0, number).reduce((sum, page) => sum + page.count, here);
    return this.total?.exact ? Math.max(1, Math.min(LIMIT, this.total.n - before)) : LIMIT;
  }

  fill(page, rows) {
    this.forget(page);
    page.first = rows[0]?.id ?? null;
    page.rows = rows.filter(row => !this.hidden.has(row.id)).map(row => ({ ...row, ...this.patches.get(row.id) }));
    page.count = page.rows.length;
    for (const row of page.rows) this.rows.set(row.id, row);
  }

  forget(page) {
    for (const row of page.rows ?? []) this.rows.delete(row.id);
    page.rows = null;
  }

  /* Keep the rows of the pages around `number` only. */
  trim(number) {
    if (!this.source) return;
    this.list.forEach((page, at) => { if (page.rows && Math.abs(at - number) > KEPT / 2 && !page.place?.near) this.forget(page); });
  }

  /* What the person has just done, before the server says so. */
  patch(id, change) {
    this.patches.set(id, { ...this.patches.get(id), ...change });
    const row = this.rows.get(id);
    if (row) Object.assign(row, change);
  }

  /* What is stored now. */
  settle(id, state) {
    this.patches.delete(id);
    const row = this.rows.get(id);
    if (row && state) Object.assign(row, state);
  }

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

  saved() { return this.list.slice(0, 1000).map(page => [page.cursor, page.count]); }
}
