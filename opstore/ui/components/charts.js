/* The charts of one part of the page: each a title, a figure, its sentence, and its data as a table and a file. */

const boards = new WeakMap();
const TABLE = '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M2.5 4.5h15v11h-15zM2.5 8.5h15M2.5 12h15M8 8.5v7"/></svg>';

function made(kind, className, said = {}) {
  const element = Object.assign(document.createElement(kind), { className });
  for (const [name, value] of Object.entries(said)) element.setAttribute(name, value);
  return element;
}

class Chart {
  constructor(key, pick) {
    this.element = made("figure", "ops-chart", { "data-chart": key, "aria-labelledby": `${key}-title` });
    this.title = made("h3", "ops-heading", { id: `${key}-title` });
    this.drawing = made("div", "ops-drawing");
    this.place = made("div", "ops-plot", { role: "img" });
    this.marks = made("div", "ops-marks", { role: "listbox", tabindex: "0", "aria-describedby": `${key}-sentence` });
    this.drawing.append(this.place, this.marks);
    this.sentence = made("p", "ops-small", { id: `${key}-sentence` });
    this.button = made("button", "ops-table-button", { type: "button", "aria-expanded": "false", "aria-controls": `${key}-data` });
    this.button.innerHTML = TABLE;
    this.button.onclick = () => this.open(this.table.hidden);
    this.under = made("div", "ops-under");
    this.under.append(this.sentence, this.button);
    this.table = Object.assign(made("div", "ops-data", { id: `${key}-data` }), { hidden: true });
    this.table.onkeydown = event => { if (event.key === "Escape") { this.open(false); this.button.focus(); } };
    this.said = made("ul", "ops-examples");
    this.note = made("div", "ops-note", { role: "note" });
    this.element.append(this.title, this.drawing, this.note, this.under, this.table, this.said);
    this.plot = new Plot(this.place, pick);
    listen(this.marks, key, this.plot, () => this.walked ??= marksOf(this.given.figure));
    this.key = key;
  }

  give(given, words, script) {
    const isDrawn = Boolean(given.figure);
    Object.assign(this, { given, words, walked: null });
    this.title.textContent = given.title;
    this.sentence.textContent = isDrawn ? given.sentence : "";
    this.note.textContent = isDrawn ? "" : given.sentence;
    this.drawing.hidden = this.under.hidden = !isDrawn;
    this.note.hidden = isDrawn;
    this.place.setAttribute("aria-label", `${given.title}. ${given.sentence}`);
    this.marks.setAttribute("aria-label", `${given.title}. ${words.marks}`);
    this.button.title = words.data;
    this.button.setAttribute("aria-label", `${words.data}: ${given.title}`);
    if (isDrawn) {
      this.plot.give(given.figure, script, () => { this.note.textContent = words.unloaded; this.note.hidden = false; });
    } else {
      this.table.hidden = true;
    }
    if (!this.table.hidden) this.fill();
    this.tell(given.said, words);
  }

  /* What the commonest of them say, in full. */
  tell(said, words) {
    this.said.hidden = !said?.length;
    this.said.setAttribute("aria-label", words.said);
    this.said.replaceChildren(...(said ?? []).map(([word, count, text]) => {
      const line = document.createElement("li");
      for (const [kind, part] of [["b", word], ["span", count], ["q", text]]) {
        line.append(Object.assign(document.createElement(kind), { textContent: part }), " ");
      }
      return line;
    }));
  }

  open(isOpen) {
    this.table.hidden = !isOpen;
    this.button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.fill();
  }

  fill() {
    const { columns, rows, count, title, key } = this.given, { words } = this;
    const box = made("div", "ops-rows", { tabindex: "0", role: "region", "aria-label": `${words.data}: ${title}` });
    const table = document.createElement("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    for (const name of columns) head.append(Object.assign(made("th", "", { scope: "col" }), { textContent: name }));
    for (const row of rows) {
      const line = body.insertRow();
      for (const value of row) {
        const cell = line.insertCell();
        cell.textContent = cell.title = value ?? "–";
        if (/^-?[\d.]+(e[+-]\d+)?$/.test(value ?? "")) cell.className = "number";
      }
    }
    box.append(table);
    const file = Object.assign(made("button", "ops-csv", { type: "button" }), { textContent: words.csv });
    file.onclick = () => save(this.given.csv, `opstore-${key}.csv`);
    const left = made("p", "ops-small");
    if (count > rows.length) left.textContent = words.more.replace("{count}", count - rows.length);
    this.table.replaceChildren(box, ...(left.textContent ? [left] : []), file);
  }
}

function save(text, name) {
  const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

class Board {
  constructor(root) {
    this.root = root;
    this.charts = new Map();
  }

  give({ charts, words, script }, send) {
    this.send = send;
    const pick = wanted => this.send("picked", { asked: wanted, turn: Date.now() });
    const keys = new Set(charts.map(chart => chart.key));
    for (const [key, chart] of this.charts) {
      if (!keys.has(key)) { chart.plot.end(); chart.element.remove(); this.charts.delete(key); }
    }
    charts.forEach((given, at) => {
      if (!this.charts.has(given.key)) this.charts.set(given.key, new Chart(given.key, pick));
      const { element } = this.charts.get(given.key);
      if (this.root.children[at] !== element) this.root.insertBefore(element, this.root.children[at] ?? null);
      this.charts.get(given.key).give(given, words, script);
    });
    restyle();
  }

  end() {
    for (const chart of this.charts.values()) chart.plot.end();
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".ops-charts");
  const board = boards.get(root) ?? new Board(root);
  boards.set(root, board);
  board.give(data, setTriggerValue);
  return () => { if (!parentElement.isConnected) board.end(); };
}
