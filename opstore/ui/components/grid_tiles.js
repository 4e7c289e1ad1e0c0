/* The tiles of the grid and of its first screen, their words and their measures. A tile shows its row and nothing else, and is touched
   only where the row is another one. */

import { el } from "./dom.js";
import { face, tileOf } from "./tiles.js";

/** @typedef {import("./grid_pages.js").Row} Row */
/** @typedef {import("./tiles.js").Tile & { print?: string, marked?: string, eager?: boolean }} Tile
 *  `print` is all that it shows, `marked` what it is among the others; an eager one's picture is asked for at once. */
/** @typedef {{ language: string, types: Record<string, string>, statuses: Record<string, string>, notes?: Record<string, string>, without?: string[],
 *   help: [keys: string, what: string][], formats: [address: string, name: string, what: string][] } & Record<string, any>} Spoken */

export const GAP = 12;
export const TILE = 190;
const CAPTION = 36;

/** How many tiles of at least `tile` pixels stand side by side, and how large they are. @param {number} width @param {number} tile */
export function measured(width, tile, trash = false) {
  const columns = Math.max(width < 480 ? 2 : 1, Math.floor((width + GAP) / (tile + GAP)));
  const side = (width - GAP * (columns - 1)) / columns;
  return { columns, side, caption: side < 130 && !trash ? 0 : CAPTION };
}

/** @param {string} text @param {Record<string, unknown>} values */
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
/** @param {number | null} rating */
export const stars = rating => (rating ? "★".repeat(rating) + "☆".repeat(5 - rating) : "");
/** @param {string} name */
export const fileOf = name => "/api/files/" + encodeURIComponent(name) + (name.endsWith(".heic") ? "?shown=1" : "");
/** @type {Record<string, string>} the tones of a badge, by status */
const WHOLE = { failed: "failed", "result missing": "failed", unknown: "unknown" };

/** The words of a grid, in one language; `{…}` in them is filled in here. */
export class Words {
  /** @param {Spoken} words */
  constructor(words) {
    this.words = words;
    this.rules = new Intl.PluralRules(words.language);
  }
  /** @param {string} name @param {Record<string, unknown>} values @returns {string} */
  say(name, values = {}) {
    return filled(this.words[name] ?? name, values);
  }
  /** @param {number} n */
  number(n) {
    return n.toLocaleString(this.words.language);
  }
  /** @param {string} name @param {number} n */
  count(name, n, exact = true) {
    const [one, other] = this.words[name] ?? [name, name];
    return filled(this.rules.select(n) === "one" ? one : other, { count: this.number(n) + (exact ? "" : "+") });
  }
  /** @param {Row} row */
  type(row) {
    return this.words.types[row.type] ?? row.type;
  }
  /** @param {Row} row */
  status(row) {
    return this.words.statuses[row.status] ?? row.status;
  }
  /** @param {Row} row */
  title(row) {
    return row.prompt.split(/\s+/).join(" ").trim() || this.type(row);
  }
  /** @param {Row} row */
  label(row) {
    const more = [row.favorite && this.say("favorite"), row.rating && this.count("rated", row.rating)].filter(Boolean);
    const named = this.say("labelled", { name: this.type(row), value: this.title(row).slice(0, 120) });
    return [named, ...more].join(", ");
  }
}

/** @param {Row} row @param {Words} words @returns {Tile} */
export function newTile(row, words, eager = false) {
  const low = el("span", { className: "low" }),
    pick = el("span", { className: "pick", "aria-hidden": "true", textContent: "✓" });
  /** @type {Tile} */
  const tile = tileOf(row.id, low, pick);
  tile.setAttribute("role", "option");
  tile.setAttribute("aria-selected", "false");
  tile.tabIndex = -1;
  tile.eager = eager;
  dress(tile, row, words);
  return tile;
}

/** Make a tile show its row. @param {Tile} tile @param {Row} row @param {Words} words */
export function dress(tile, row, words) {
  const note = row.note ?? words.words.notes?.[row.id],
    print = JSON.stringify([row, note]);
  if (tile.print === print) return;
  tile.print = print;
  const [, , low] = tile.children,
    type = words.type(row);
  const instead = () => [el("b", { textContent: type }), el("span", { dir: "auto", textContent: row.prompt.slice(0, 160) })];
  const title = note ?? words.title(row);
  face(tile, { source: row.thumbnail, label: words.label(row), title, badges: badges(row, words), words: instead }, tile.eager);
  low.replaceChildren(
    ...(row.rating ? [el("span", { className: "badge rating", textContent: stars(row.rating) })] : []),
    el("span", { className: "info", textContent: [type, row.model].filter(Boolean).join(" · ") }),
  );
}

/** @param {Row} row @param {Words} words */
function badges(row, words) {
  return [
    row.status !== "stored" && { text: words.status(row), tone: WHOLE[row.status] ?? "quiet" },
    row.stack > 1 && { text: "× " + words.number(row.stack), tone: "stack", hint: words.say("unstack") },
    row.video && row.status === "stored" && { text: "▶" },
    row.favorite && { text: "★", tone: "star", hint: words.say("favorite") },
  ].filter(made => made !== false);
}

export function skeleton() {
  return el("span", { className: "blank", "aria-hidden": "true" });
}
