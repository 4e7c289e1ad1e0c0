/* The strip above the stage, the keys, and what passes between the page's script and them. */

import { DIALOG } from "../streamlit_private/page.js";
import { STEP } from "./compare_frame.js";
import { Stage, VIEWS } from "./compare_stage.js";
import { button, el, origin, part } from "./dom.js";

/** @import { Change, Difference, Figures, Layer, View, Words as StageWords } from "./compare_stage.js" */

/**
 * @typedef {"smaller" | "larger" | "fitted" | "previous" | "next" | "full" | "differences" | "views" | "pair" | "fit" | "opacity" |
 *   "auto" | "blinking" | "computing" | "figures" | "language"} Word
 */
/** @typedef {StageWords & Record<Word, string> & { names: Record<View, string> }} Words */
/** @typedef {[value: string, text: string][]} Offered */
/**
 * @typedef {object} Data
 * @property {(Layer & { key: string })[]} layers
 * @property {number[]} active
 * @property {number} ratio
 * @property {{ first: [x: number, y: number, width: number, height: number] }} frame where the first picture lies in it
 * @property {View} view
 * @property {string} fit
 * @property {Offered} fits
 * @property {string} pair
 * @property {Offered} pairs
 * @property {string} note
 * @property {boolean} panel
 * @property {boolean} previous
 * @property {boolean} next
 * @property {Words} words
 */
/**
 * @typedef {object} Answer what `/api/compare` says
 * @property {boolean} success
 * @property {string} error
 * @property {string} heat
 * @property {Figures & { area: { x: number, y: number, width: number, height: number } }} figures
 * @property {{ first: [width: number, height: number] }} alignment
 */

/**
 * The figures of a difference as the sentence that people read.
 *
 * @param {Figures} figures
 * @param {{ figures: string, language: string }} words
 */
export function sentence({ changed, similarity, colour, width, height }, words) {
  const number = (/** @type {number} */ value, /** @type {number} */ digits) =>
    value.toLocaleString(words.language, { maximumFractionDigits: digits });
  /** @type {Record<string, string>} */
  const values = {
    // One pixel of a million is a ten-thousandth of a percent; only what is equal is 1.
    changed: number(changed * 100, changed < 0.0001 ? 4 : changed < 0.1 ? 2 : 1),
    similarity: number(similarity < 1 ? Math.min(similarity, 0.999) : 1, 3),
    colour: number(colour, 2),
    width: number(width, 0),
    height: number(height, 0),
  };
  return words.figures.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** For how long the page's script may be on its way to what it was told last, in milliseconds. */
const COMING = 5000;

export class Bench {
  print = "";
  held = false;
  /** @type {View | null} the way to look that the page's script knows of, or was told */
  known = null;
  /** Until when it may still say what it knew before. */
  coming = 0;
  /** @type {Difference | null} */
  difference = null;
  ended = new AbortController();

  /**
   * @param {HTMLElement} root
   * @param {Data} data
   * @param {Tell} trigger
   */
  constructor(root, data, trigger) {
    const { words } = data;
    this.root = root;
    this.data = data;
    this.words = words;
    this.trigger = trigger;
    this.views = VIEWS.map((view, at) => {
      const name = words.names[view];
      return button(name, `${name} (${at + 1})`, () => this.stage.look(view));
    });
    this.pairs = this.chooser("pair");
    this.fits = this.chooser("fit");
    this.opacity = el("input", {
      type: "range",
      min: "0",
      max: "100",
      value: "50",
      className: "opacity",
      "aria-label": words.opacity,
    });
    this.opacity.oninput = () => {
      this.stage.opacity = Number(this.opacity.value) / 100;
      this.stage.paint();
    };
    this.auto = button("⟳", words.auto, () => this.stage.auto(!this.stage.blinking), { "aria-pressed": "false" });
    this.percent = button("", words.fitted, () => this.stage.fit(), { className: "percent" });
    this.previous = button("‹", words.previous, () => this.step(-1));
    this.following = button("›", words.next, () => this.step(1));
    this.panel = button(words.differences, `${words.differences} (D)`, () => this.send("panel"), { className: "panel" });
    this.full = button("", words.full, () => this.fullscreen(), { className: "full" });
    this.line = el("p", { className: "told", role: "status" });
    const place = el("div", { className: "stage" });
    root.replaceChildren(this.strip(), this.line, place);
    this.stage = new Stage(place, words, change => this.changed(change));
    const on = { signal: this.ended.signal };
    document.addEventListener("keydown", event => this.key(event), on);
    document.addEventListener("keyup", event => this.release(event), on);
  }

  end() {
    this.ended.abort();
    this.stage.end();
  }

  strip() {
    const { words } = this;
    const smaller = button("−", words.smaller, () => this.grow(1 / STEP)),
      larger = button("+", words.larger, () => this.grow(STEP));
    return el(
      "div",
      { className: "strip", role: "toolbar", "aria-label": words.views },
      el("span", { className: "group views", role: "group", "aria-label": words.views }, ...this.views),
      ...[this.opacity, this.auto, this.pairs, this.fits, el("span", { className: "gap" })],
      el("span", { className: "group" }, smaller, this.percent, larger),
      el("span", { className: "group" }, this.previous, this.following),
      ...[this.full, this.panel],
    );
  }

  /** @param {"pair" | "fit"} name */
  chooser(name) {
    const select = el("select", { "aria-label": this.words[name] });
    select.onchange = () => this.send(name, select.value);
    return select;
  }

  /**
   * @param {string} name
   * @param {string | number} [value]
   */
  send(name, value) {
    this.trigger(name, { ...(value === undefined ? {} : { value }), turn: Date.now() });
  }

  /**
   * @param {Data} data
   * @param {Tell} trigger
   */
  update(data, trigger) {
    this.trigger = trigger;
    this.data = data;
    const print = JSON.stringify([data.layers, data.active, data.fit]);
    options(this.pairs, data.pairs, data.pair);
    options(this.fits, data.fits, data.fit);
    this.pairs.hidden = data.pairs.length < 2;
    this.fits.hidden = data.fits.length < 2;
    this.previous.disabled = !data.previous;
    this.following.disabled = !data.next;
    this.panel.setAttribute("aria-pressed", String(data.panel));
    if (print === this.print) {
      this.follow(data.view);
      return;
    }
    this.print = print;
    this.coming = 0;
    this.stage.view = this.known = data.view;
    this.stage.show({ layers: data.layers, active: data.active, ratio: data.ratio, heat: at => this.heat(at) });
    this.mark();
  }

  /**
   * Look as the page's script says, after Back perhaps; what it says before it has heard of the last key is over.
   *
   * @param {View} view
   */
  follow(view) {
    if (view === this.known) this.coming = 0;
    else if (Date.now() >= this.coming) {
      this.known = view; // it need not be told
      this.stage.look(view);
    }
  }

  /** @param {number} at */
  async heat(at) {
    const { layers, active, frame, fit } = this.data;
    const keys = active.map(number => {
      const { key, kind } = layers[number];
      return encodeURIComponent(kind === "video" ? `${key}@${Math.round(at * 1000)}` : key);
    });
    const address = `/api/compare/${keys.join("/")}?${new URLSearchParams(fit ? { fit } : {})}`;
    const reply = await fetch(address, { signal: this.ended.signal });
    /** @type {Answer} */
    const answer = await reply.json();
    if (!answer.success) throw new Error(answer.error);
    return { src: answer.heat, figures: answer.figures, box: heatBox(answer, frame.first) };
  }

  /** @param {Change} change */
  changed({ view, zoom, auto, difference }) {
    if (zoom !== undefined) this.percent.textContent = zoom ? `${zoom} %` : "…";
    if (auto !== undefined) this.auto.setAttribute("aria-pressed", String(auto));
    if (view !== undefined) {
      this.mark();
      if (view !== this.known) {
        this.known = view;
        this.coming = Date.now() + COMING;
        this.send("view", view);
      }
    }
    if (difference) this.difference = difference;
    this.tell();
  }

  mark() {
    const { view } = this.stage;
    for (const [at, item] of this.views.entries()) item.setAttribute("aria-pressed", String(VIEWS[at] === view));
    this.opacity.hidden = view !== "overlay";
    this.auto.hidden = view !== "blink";
    this.tell();
  }

  tell() {
    const text = this.told();
    if (this.line.textContent !== text) this.line.textContent = text;
  }

  told() {
    const { words, difference: found } = this,
      { view } = this.stage,
      { note } = this.data;
    if (view === "difference" && found) {
      if ("waiting" in found) return words.computing;
      return "failed" in found ? found.failed : sentence(found.figures, words);
    }
    return view === "blink" ? [words.blinking, note].filter(Boolean).join(" ") : note;
  }

  /** @param {number} by */
  step(by) {
    if (by < 0 ? this.data.previous : this.data.next) this.send("step", by);
  }

  /** @param {number} by */
  grow(by) {
    this.stage.zoomTo(this.stage.zoom * by);
  }

  fullscreen() {
    const root = this.root.getRootNode();
    if (document.fullscreenElement || (root instanceof ShadowRoot && root.fullscreenElement)) document.exitFullscreen();
    else this.root.requestFullscreen?.().catch(() => {});
  }

  /** @param {KeyboardEvent} event */
  release(event) {
    if (event.key === " ") this.held = false;
  }

  /** @returns {Record<string, () => void>} what keys do */
  acts() {
    const { stage } = this,
      { clock } = stage;
    const looks = VIEWS.map((view, at) => [String(at + 1), () => stage.look(view)]);
    const times = clock.bar.hidden ? {} : { ",": () => clock.step(-1), ".": () => clock.step(1), p: () => clock.toggle() };
    return {
      " ": () => {
        if (!this.held) stage.blink();
        this.held = true;
      },
      0: () => stage.fit(),
      "+": () => this.grow(STEP),
      "=": () => this.grow(STEP),
      "-": () => this.grow(1 / STEP),
      "−": () => this.grow(1 / STEP),
      d: () => this.panel.click(),
      f: () => this.fullscreen(),
      ArrowLeft: () => this.step(-1),
      ArrowRight: () => this.step(1),
      ...times,
      ...Object.fromEntries(looks),
    };
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const from = origin(event),
      typing = /^(input|textarea|select)$/i.test(from?.localName ?? "");
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.root.isConnected) return;
    if (document.querySelector(`${DIALOG}, dialog[open]`)) return;
    if (typing && /** @type {HTMLInputElement} */ (from).type !== "range") return;
    // A focused button keeps Space, a focused range its arrows.
    const pressing = from?.localName === "button" || typing;
    if ((event.key === " " && pressing) || (event.key.startsWith("Arrow") && typing)) return;
    const acts = this.acts(),
      act = acts[event.key] ?? acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

/**
 * The heat map lies in pixels of the first picture, the frame in its own: in shares of the first they meet.
 *
 * @param {Answer} answer
 * @param {[x: number, y: number, width: number, height: number]} first
 * @returns {[x: number, y: number, width: number, height: number]}
 */
export function heatBox({ figures: { area }, alignment }, [x, y, w, h]) {
  const [wide, high] = alignment.first;
  return [x + (area.x / wide) * w, y + (area.y / high) * h, (area.width / wide) * w, (area.height / high) * h];
}

/**
 * @param {HTMLSelectElement} select
 * @param {Offered} offered
 * @param {string} chosen
 */
function options(select, offered, chosen) {
  const print = JSON.stringify(offered);
  if (select.dataset.print !== print) {
    select.dataset.print = print;
    select.replaceChildren(...offered.map(([value, textContent]) => el("option", { value, textContent })));
  }
  select.value = chosen;
}

/** @type {WeakMap<HTMLElement | ShadowRoot, Bench>} */
const benches = new WeakMap();

/** @param {Component<Data>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  let bench = benches.get(parentElement);
  if (bench && bench.words.language !== data.words.language) {
    bench.end();
    bench = undefined;
  }
  bench ??= new Bench(part(parentElement, ".root"), data, setTriggerValue);
  benches.set(parentElement, bench);
  bench.update(data, setTriggerValue);
  return () => {
    if (parentElement.isConnected) return;
    benches.get(parentElement)?.end();
    benches.delete(parentElement);
  };
}
