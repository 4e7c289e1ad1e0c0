/* The elements of the grid, and the measures of its tiles. Stored text enters them as text only. */

const GAP = 12, CAPTION = 36, TILE = 190;
const stored = { get: (box, name) => { try { return JSON.parse(box.getItem(name)); } catch { return null; } },
  set: (box, name, value) => { try { box.setItem(name, JSON.stringify(value)); } catch { /* full, or not allowed: not kept */ } } };

/* How many tiles of at least `tile` pixels stand side by side, and how large they are. */
function measured(width, tile, trash = false) {
  const columns = Math.max(width < 480 ? 2 : 1, Math.floor((width + GAP) / (tile + GAP)));
  const side = (width - GAP * (columns - 1)) / columns;
  return { columns, side, caption: side < 130 && !trash ? 0 : CAPTION };
}

function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("aria-") || name === "role" || name === "for" || name === "list") made.setAttribute(name, String(value));
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
const stars = rating => rating ? "★".repeat(rating) + "☆".repeat(5 - rating) : "";
const fileOf = name => "/api/files/" + encodeURIComponent(name) + (name.endsWith(".heic") ? "?shown=1" : "");
const WHOLE = { failed: "failed", "result missing": "failed", unknown: "unknown" };

class Words {
  constructor(words) { this.words = words; this.rules = new Intl.PluralRules(words.language); }
  say(name, values = {}) { return filled(this.words[name] ?? name, values); }
  number(n) { return n.toLocaleString(this.words.language); }
  count(name, n, exact = true) {
    const [one, other] = this.words[name];
    return filled(this.rules.select(n) === "one" ? one : other, { count: this.number(n) + (exact ? "" : "+") });
  }
  type(row) { return this.words.types[row.type] ?? row.type; }
  status(row) { return this.words.statuses[row.status] ?? row.status; }
  label(row) {
    const title = row.prompt.split(/\s+/).join(" ").trim() || this.type(row);
    const more = [row.favorite && this.say("favorite"), row.rating && this.say("rated", { count: row.rating })].filter(Boolean);
    return [`${this.type(row)}: ${title.slice(0, 120)}`, ...more].join(", ");
  }
}

function newTile(row, words, eager = false) {
  const tile = el("button", { type: "button", className: "tile", role: "option", tabIndex: -1, "aria-selected": "false" });
  tile.dataset.id = row.id; tile.eager = eager;
  tile.append(
    el("span", { className: "frame" }), el("span", { className: "marks" }), el("span", { className: "low" }),
    el("span", { className: "pick", "aria-hidden": "true", textContent: "✓" }), el("span", { className: "title", dir: "auto" }),
  );
  dress(tile, row, words);
  return tile;
}

/* Make a tile show its row; the picture is touched only where it is another one. */
function dress(tile, row, words) {
  const note = row.note ?? words.words.notes?.[row.id], print = JSON.stringify([row, note]);
  if (tile.print === print) return;
  tile.print = print;
  const [frame, marks, low, , title] = tile.children, label = words.label(row);
  tile.setAttribute("aria-label", label);
  if (tile.source !== row.thumbnail || !frame.firstChild) picture(tile, frame, row, words);
  else if (frame.firstChild.alt !== undefined) frame.firstChild.alt = label;
  title.textContent = note ?? (row.prompt.split(/\s+/).join(" ").trim() || words.type(row));
  marks.replaceChildren(...[
    row.status !== "stored" && el("span", { className: "badge " + (WHOLE[row.status] ?? "quiet"), textContent: words.status(row) }),
    row.stack > 1 && el("span", { className: "badge stack", textContent: "× " + words.number(row.stack), title: words.say("unstack") }),
    row.video && row.status === "stored" && el("span", { className: "badge", textContent: "▶" }),
    row.favorite && el("span", { className: "badge star", textContent: "★", title: words.say("favorite") }),
  ].filter(Boolean));
  low.replaceChildren(...[
    row.rating && el("span", { className: "badge rating", textContent: stars(row.rating) }),
    el("span", { className: "info", textContent: [words.type(row), row.model].filter(Boolean).join(" · ") }),
  ].filter(Boolean));
}

function picture(tile, frame, row, words) {
  tile.source = row.thumbnail;
  const word = () => frame.replaceChildren(el("span", { className: "word" },
    el("b", { textContent: words.type(row) }), el("span", { dir: "auto", textContent: row.prompt.slice(0, 160) })));
  if (!row.thumbnail) { word(); return; }
  const known = window.opstoreFirst?.picture(row.thumbnail);  // on screen since before the grid
  const image = known ?? el("img", { loading: tile.eager ? "eager" : "lazy", decoding: "async", draggable: false });
  Object.assign(image, { alt: words.label(row), onerror: word, onload: () => frame.classList.add("here") });
  if (known) { image.decoding = "sync"; frame.classList.add("here"); }
  else image.src = row.thumbnail;
  frame.replaceChildren(image);
}

function skeleton() { return el("span", { className: "blank", "aria-hidden": "true" }); }
