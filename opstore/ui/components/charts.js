/* The charts of one part of the page: each a title, a figure, its sentence, and its data as a table and a file. */

import { listen, marksOf } from "./charts_marks.js";
import { Plot, restyle } from "./charts_plot.js";
import { el, part } from "./dom.js";

const TABLE = '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M2.5 4.5h15v11h-15zM2.5 8.5h15M2.5 12h15M8 8.5v7"/></svg>';
const NUMBER = /^-?[\d.]+(e[+-]\d+)?$/;

/**
 * @typedef {object} Content a chart, as the page's script gives it
 * @property {string} key
 * @property {string} title
 * @property {string} sentence
 * @property {Figure | null} figure
 * @property {string[]} columns
 * @property {(string | null)[][]} rows
 * @property {string} csv
 * @property {number} count of all rows
 * @property {[word: string, count: string, text: string][] | null} said what the commonest of them say, in full
 */
/** @typedef {Record<"data" | "labelled" | "csv" | "marks" | "more" | "said" | "unloaded", string>} Words */
/** @typedef {{ charts: Content[], words: Words, script: string }} Data */

class Chart {
  /** @type {Mark[] | null} */
  walked = null;

  /**
   * @param {Content} given
   * @param {Words} words
   * @param {(wanted: string) => void} pick
   */
  constructor(given, words, pick) {
    const { key } = given;
    this.given = given;
    this.words = words;
    this.title = el("h3", { className: "ops-heading", id: `${key}-title` });
    this.place = el("div", { className: "ops-plot", role: "img" });
    this.marks = el("div", { className: "ops-marks", role: "listbox", tabIndex: 0, "aria-describedby": `${key}-sentence` });
    this.drawing = el("div", { className: "ops-drawing" }, this.place, this.marks);
    this.sentence = el("p", { className: "ops-small", id: `${key}-sentence` });
    this.button = el("button", {
      className: "ops-table-button",
      type: "button",
      innerHTML: TABLE,
      "aria-expanded": "false",
      "aria-controls": `${key}-data`,
      onclick: () => this.open(Boolean(this.table.hidden)),
    });
    this.under = el("div", { className: "ops-under" }, this.sentence, this.button);
    this.table = el("div", { className: "ops-data", id: `${key}-data`, hidden: true, onkeydown: event => this.close(event) });
    this.said = el("ul", { className: "ops-examples" });
    this.note = el("div", { className: "ops-note", role: "note" });
    this.element = el(
      "figure",
      { className: "ops-chart", "data-chart": key, "aria-labelledby": `${key}-title` },
      ...[this.title, this.drawing, this.note, this.under, this.table, this.said],
    );
    this.plot = new Plot(this.place, pick);
    listen(this.marks, key, this.plot, () => {
      this.walked ??= this.given.figure ? marksOf(this.given.figure) : [];
      return this.walked;
    });
  }

  /**
   * @param {Content} given
   * @param {Words} words
   * @param {string} script
   */
  give(given, words, script) {
    const { title, sentence, figure } = given;
    Object.assign(this, { given, words, walked: null });
    this.title.textContent = title;
    this.sentence.textContent = figure ? sentence : "";
    this.note.textContent = figure ? "" : sentence;
    this.drawing.hidden = this.under.hidden = !figure;
    this.note.hidden = Boolean(figure);
    this.place.setAttribute("aria-label", `${title}. ${sentence}`);
    this.marks.setAttribute("aria-label", `${title}. ${words.marks}`);
    this.button.title = words.data;
    this.button.setAttribute("aria-label", this.named());
    if (figure) this.plot.give(figure, script, () => this.fail());
    else this.open(false);
    if (!this.table.hidden) this.fill();
    this.tell();
  }

  /* What its data is called among that of the others. */
  named() {
    return this.words.labelled.replace("{title}", () => this.given.title);
  }

  fail() {
    this.note.textContent = this.words.unloaded;
    this.note.hidden = false;
  }

  /* What the commonest of them say, in full. */
  tell() {
    const said = this.given.said ?? [];
    const b = (/** @type {"b" | "span" | "q"} */ tag, /** @type {string} */ textContent) => el(tag, { textContent, dir: "auto" });
    this.said.hidden = !said.length;
    this.said.setAttribute("aria-label", this.words.said);
    this.said.replaceChildren(
      ...said.map(([word, count, text]) => el("li", {}, b("b", word), " ", b("span", count), " ", b("q", text), " ")),
    );
  }

  /** @param {boolean} isOpen */
  open(isOpen) {
    this.table.hidden = !isOpen;
    this.button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.fill();
  }

  /** @param {KeyboardEvent} event */
  close(event) {
    if (event.key !== "Escape") return;
    this.open(false);
    this.button.focus();
  }

  fill() {
    const { columns, rows, count, key, csv } = this.given,
      { words } = this;
    const table = document.createElement("table"),
      head = table.createTHead().insertRow(),
      body = table.createTBody();
    head.append(...columns.map(name => el("th", { scope: "col", textContent: name })));
    for (const row of rows) {
      const line = body.insertRow();
      for (const value of row) {
        const cell = line.insertCell();
        cell.textContent = cell.title = value ?? "–";
        if (NUMBER.test(value ?? "")) cell.className = "number";
      }
    }
    const box = el("div", { className: "ops-rows", tabIndex: 0, role: "region", "aria-label": this.named() }, table);
    const more = words.more.replace("{count}", String(count - rows.length));
    const left = count > rows.length ? [el("p", { className: "ops-small", textContent: more })] : [];
    const file = el("button", { className: "ops-csv", type: "button", textContent: words.csv });
    file.onclick = () => save(csv, `opstore-${key}.csv`);
    this.table.replaceChildren(box, ...left, file);
  }
}

/**
 * @param {string} text
 * @param {string} name
 */
function save(text, name) {
  const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

class Board {
  /** @type {Map<string, Chart>} */
  charts = new Map();

  /**
   * @param {HTMLElement} root
   * @param {Tell} send
   */
  constructor(root, send) {
    this.root = root;
    this.send = send;
  }

  /** @param {string} wanted */
  pick(wanted) {
    this.send("picked", { asked: wanted, turn: Date.now() });
  }

  /**
   * @param {Data} data
   * @param {Tell} send
   */
  give({ charts, words, script }, send) {
    this.send = send;
    const keys = new Set(charts.map(chart => chart.key));
    for (const [key, chart] of this.charts) {
      if (keys.has(key)) continue;
      chart.plot.end();
      chart.element.remove();
      this.charts.delete(key);
    }
    charts.forEach((given, at) => {
      const chart = this.charts.get(given.key) ?? new Chart(given, words, wanted => this.pick(wanted));
      this.charts.set(given.key, chart);
      if (this.root.children[at] !== chart.element) this.root.insertBefore(chart.element, this.root.children[at] ?? null);
      chart.give(given, words, script);
    });
    restyle();
  }

  end() {
    for (const chart of this.charts.values()) chart.plot.end();
  }
}

/** @type {WeakMap<HTMLElement, Board>} */
const boards = new WeakMap();

/** @param {Component<Data>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  const root = part(parentElement, ".ops-charts");
  const board = boards.get(root) ?? new Board(root, setTriggerValue);
  boards.set(root, board);
  board.give(data, setTriggerValue);
  return () => {
    if (!parentElement.isConnected) board.end();
  };
}
