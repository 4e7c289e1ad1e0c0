/* The tiles of the grid, of the first screen and of what Create shows, and their measures. A tile shows its row and nothing else;
   stored text enters it as text only. */

import { el } from "./dom.js";

/** @typedef {import("./grid_pages.js").Row} Row */
/** @typedef {HTMLButtonElement & { print?: string, source?: string | null, eager?: boolean }} Tile
 *  `print` is all that it shows, `source` its picture's address; an eager one's picture is asked for at once. */
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
    const [one, other] = this.words[name];
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
    const more = [row.favorite && this.say("favorite"), row.rating && this.say("rated", { count: row.rating })].filter(Boolean);
    return [`${this.type(row)}: ${this.title(row).slice(0, 120)}`, ...more].join(", ");
  }
}

/** @param {Row} row @param {Words} words @returns {Tile} */
export function newTile(row, words, eager = false) {
  /** @type {Tile} */
  const tile = el("button", { type: "button", className: "tile", role: "option", tabIndex: -1, "aria-selected": "false" });
  tile.dataset.id = row.id;
  tile.eager = eager;
  tile.append(
    el("span", { className: "frame" }),
    el("span", { className: "marks" }),
    el("span", { className: "low" }),
    el("span", { className: "pick", "aria-hidden": "true", textContent: "✓" }),
    el("span", { className: "title", dir: "auto" }),
  );
  dress(tile, row, words);
  return tile;
}

/** Make a tile show its row; the picture is touched only where it is another one. @param {Tile} tile @param {Row} row @param {Words} words */
export function dress(tile, row, words) {
  const note = row.note ?? words.words.notes?.[row.id],
    print = JSON.stringify([row, note]);
  if (tile.print === print) return;
  tile.print = print;
  const [frame, marks, low, , title] = tile.children,
    label = words.label(row),
    shown = frame.firstChild;
  tile.setAttribute("aria-label", label);
  if (tile.source !== row.thumbnail || !shown) picture(tile, frame, row, words);
  else if (shown instanceof HTMLImageElement) shown.alt = label;
  title.textContent = note ?? words.title(row);
  marks.replaceChildren(...badges(row, words));
  low.replaceChildren(
    ...(row.rating ? [el("span", { className: "badge rating", textContent: stars(row.rating) })] : []),
    el("span", { className: "info", textContent: [words.type(row), row.model].filter(Boolean).join(" · ") }),
  );
}

/** @param {Row} row @param {Words} words */
function badges(row, words) {
  return [
    row.status !== "stored" &&
      el("span", { className: "badge " + (WHOLE[row.status] ?? "quiet"), textContent: words.status(row) }),
    row.stack > 1 &&
      el("span", { className: "badge stack", textContent: "× " + words.number(row.stack), title: words.say("unstack") }),
    row.video && row.status === "stored" && el("span", { className: "badge", textContent: "▶" }),
    row.favorite && el("span", { className: "badge star", textContent: "★", title: words.say("favorite") }),
  ].filter(made => made !== false);
}

/** Put a row's picture into the frame of its tile, its words where there is none. @param {Tile} tile @param {Element} frame @param {Row} row @param {Words} words */
function picture(tile, frame, row, words) {
  tile.source = row.thumbnail;
  const word = () =>
    frame.replaceChildren(
      el(
        "span",
        { className: "word" },
        el("b", { textContent: words.type(row) }),
        el("span", { dir: "auto", textContent: row.prompt.slice(0, 160) }),
      ),
    );
  if (!row.thumbnail) {
    word();
    return;
  }
  const known = window.opstoreFirst?.picture(row.thumbnail); // on screen since before the grid
  const image = known ?? el("img", { loading: tile.eager ? "eager" : "lazy", decoding: "async", draggable: false });
  Object.assign(image, { alt: words.label(row), onerror: word, onload: () => frame.classList.add("here") });
  if (known) {
    image.decoding = "sync";
    frame.classList.add("here");
  } else image.src = row.thumbnail;
  frame.replaceChildren(image);
}

export function skeleton() {
  return el("span", { className: "blank", "aria-hidden": "true" });
}
