/* A library without a server, for the tests of the grid: so many operations, and the pages in which they are answered. */

const SIZE = 100;

/** @param {number} number */
export const idOf = number => `op-${String(number).padStart(4, "0")}`;

/** @param {number} number @returns {import("../../opstore/ui/components/grid_pages.js").Row} */
export const rowOf = number => ({
  id: idOf(number),
  type: "text_to_image",
  status: "stored",
  prompt: `prompt ${number}`,
  model: null,
  output: null,
  thumbnail: null,
  video: false,
  rating: null,
  favorite: false,
  tags: [],
  stack: 1,
});

/** @param {number} count */
export const rowsOf = count => Array.from({ length: count }, (_, number) => rowOf(number));

/** Answers as `/api/search` does: a cursor is the id after which a page begins. `rows` may change between two answers. */
export class Library {
  /** @param {number} count */
  constructor(count) {
    this.rows = rowsOf(count);
    this.version = 1;
    /** @type {(string | null)[]} the cursors that were asked for */
    this.asked = [];
    /** @type {string[]} what the next answers refuse */
    this.refusals = [];
  }

  /** Let somebody change it. @param {(rows: import("../../opstore/ui/components/grid_pages.js").Row[]) => unknown} change */
  change(change) {
    change(this.rows);
    this.version += 1;
  }

  /** Stand in for the network of a test. @param {import("node:test").TestContext} test */
  answer(test) {
    test.mock.method(globalThis, "fetch", async (/** @type {string} */ address, /** @type {RequestInit} */ { signal }) => {
      if (address === "/api/health") return Response.json({ success: true, version: String(this.version) });
      const cursor = new URLSearchParams(address.split("?")[1]).get("cursor");
      this.asked.push(cursor);
      await new Promise(done => setImmediate(done));
      signal?.throwIfAborted();
      const error = this.refusals.shift();
      return Response.json(error ? { success: false, error } : this.page(cursor), { status: error ? 400 : 200 });
    });
    return this;
  }

  /** @param {string | null} cursor */
  page(cursor) {
    const start = cursor === null ? 0 : this.rows.findIndex(row => row.id > cursor),
      rows = start < 0 ? [] : this.rows.slice(start, start + SIZE),
      last = rows.at(-1)?.id ?? null;
    return {
      success: true,
      total: { n: this.rows.length, exact: true },
      next: last === this.rows.at(-1)?.id ? null : last,
      rows,
      version: String(this.version),
    };
  }
}

/** What a window keeps, if there is no window. @returns {Storage} */
export function boxOf() {
  /** @type {Map<string, string>} */
  const kept = new Map();
  return /** @type {Storage} */ (
    /** @type {unknown} */ ({
      getItem: (/** @type {string} */ name) => kept.get(name) ?? null,
      setItem: (/** @type {string} */ name, /** @type {string} */ value) => kept.set(name, value),
      removeItem: (/** @type {string} */ name) => kept.delete(name),
    })
  );
}
