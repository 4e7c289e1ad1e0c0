/* Pictures laid on each other: one stage, five ways to look, zoom and pan shared by all of them, on the Compare page and in an open
   operation. It fills a window of its own, and takes its wheel and its fingers; what is handed on is a page to be read, which scrolls
   under both and shows its pairs before, and without, a script (shares/compare.js). The line between two pictures is one in both. */

import { Divider } from "../../browser/divider.js";
import { Clock } from "./compare_clock.js";
import { columnsOf, cut, framed, grown, MOST, span } from "./compare_frame.js";
import { clamp, el } from "./dom.js";

/** @import { Box, Frame, Point } from "./compare_frame.js" */

/** @typedef {"slider" | "side" | "blink" | "overlay" | "difference"} View */
/**
 * @typedef {object} Layer a picture or video, at its place in the frame
 * @property {string} src
 * @property {string} kind
 * @property {string} label
 * @property {string} alt
 * @property {Box} box
 * @property {number | null} [rate] frames a second
 */
/** @typedef {{ changed: number, similarity: number, colour: number, width: number, height: number }} Figures */
/** @typedef {{ src: string, box: Box, figures: Figures }} Heat where two pictures differ, at its place in the frame */
/** @typedef {{ waiting: true } | { failed: string } | Heat} Difference */
/** @typedef {{ view?: View, zoom?: number, auto?: boolean, difference?: Difference }} Change */
/** @typedef {HTMLImageElement | HTMLVideoElement} Item */
/** @typedef {{ at: number, item: Item, label: HTMLElement }} Laid a layer in a pane */
/** @typedef {{ element: HTMLElement, world: HTMLElement, items: Laid[], frame: Frame | null }} Pane */
/** @typedef {{ pane: Pane, from?: Point, centre?: Point, divides?: boolean }} Grabbed */
/** @typedef {Partial<Record<"divider" | "heat" | "play" | "pause" | "time" | "earlier" | "later", string>>} Words */

/** @type {View[]} in the order of their keys */
export const VIEWS = ["slider", "side", "blink", "overlay", "difference"];

/** By itself less than three times a second: faster flashes make some people ill (WCAG 2.3.1). */
const BLINK = 600;

/** @param {Box} box */
const placed = ([x, y, w, h]) => ({ left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${h * 100}%` });

export class Stage {
  /** @type {View} */
  view = "slider";
  opacity = 0.5;
  shown = 1;
  zoom = 1;
  ratio = 1;
  /** @type {Point} */
  centre = [0.5, 0.5];
  /** @type {Layer[]} */
  layers = [];
  active = [0, 1];
  /** @type {Pane[]} */
  panes = [];
  /** @type {Map<number, Point>} */
  pointers = new Map();
  /** @type {Grabbed | null} */
  grabbed = null;
  /** @type {{ span: number, zoom: number } | null} */
  pinch = null;
  /** @type {((at: number) => Promise<Heat>) | null} */
  heat = null;
  asked = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  blinking;
  ended = new AbortController();

  /**
   * @param {HTMLElement} place an empty element
   * @param {Words} words
   * @param {(change: Change) => void} tell is called with what has changed
   */
  constructor(place, words, tell = () => {}) {
    this.place = place;
    this.words = words;
    this.tell = tell;
    this.panesPlace = el("div", { className: "panes" });
    this.handle = this.divided();
    this.divider = new Divider(this.handle, () => this.paint());
    this.clock = new Clock({ paint: () => this.paint(), settled: () => this.settled() }, words);
    place.replaceChildren(this.panesPlace, this.clock.bar);
    this.sized = new ResizeObserver(() => this.layout());
    this.sized.observe(this.panesPlace);
    this.listen();
  }

  end() {
    this.ended.abort();
    this.sized.disconnect();
    this.clock.stop();
    clearInterval(this.blinking);
  }

  /**
   * Show layers in a frame of width by height `ratio`; the two of `active` stand against each other. `heat` gives the difference of
   * these at a time.
   *
   * @param {{ layers: Layer[], ratio: number, active?: number[], heat?: (at: number) => Promise<Heat> }} shown
   */
  show({ layers, ratio, active = [0, 1], heat }) {
    this.layers = layers;
    this.ratio = ratio;
    this.active = active.filter(at => at < layers.length);
    this.heat = heat ?? null;
    this.shown = this.active.at(-1) ?? 0;
    this.fit(false);
    this.clock.reset(layers);
    this.build();
  }

  /** @param {View} view */
  look(view) {
    if (!VIEWS.includes(view)) return;
    this.view = view;
    this.auto(false);
    this.build();
    this.tell({ view });
  }

  // -- building -----------------------------------------------------------------------------------------------------------------

  build() {
    const { view } = this;
    this.place.dataset.view = view;
    const videos = new Map([...this.place.querySelectorAll("video")].map(item => [item.dataset.src ?? "", item]));
    this.panes = this.wanted().map(ats => this.pane(ats, videos));
    this.panesPlace.replaceChildren(...this.panes.map(pane => pane.element));
    if (view === "slider") this.panes[0].element.append(this.handle);
    if (view === "difference") this.askDifference();
    this.layout();
    this.clock.join([...this.place.querySelectorAll("video")]);
  }

  /* Which layers lie in which pane. */
  wanted() {
    const all = this.layers.map((_, at) => at),
      [one, other = one] = this.active;
    if (this.view === "side") return all.map(at => [at]);
    if (this.view === "blink") return [all];
    return this.view === "difference" ? [[one]] : [[one, other]];
  }

  /**
   * @param {number[]} ats
   * @param {Map<string, HTMLVideoElement>} videos
   * @returns {Pane}
   */
  pane(ats, videos) {
    const world = el("div", { className: "world" }),
      labels = el("div", { className: "labels" });
    const items = ats.map(at => {
      const layer = this.layers[at],
        item = this.element(layer, videos),
        label = el("span", { className: "label", textContent: layer.label, title: layer.label });
      item.className = "layer";
      Object.assign(item.style, placed(layer.box), { opacity: "", clipPath: "", visibility: "" });
      world.append(item);
      labels.append(label);
      return { at, item, label };
    });
    return { element: el("div", { className: "pane" }, world, labels), world, items, frame: null };
  }

  /**
   * @param {Layer} layer
   * @param {Map<string, HTMLVideoElement>} videos those that play already
   */
  element({ kind, src, alt }, videos) {
    if (kind !== "video") return el("img", { alt, draggable: false, decoding: "sync", onload: () => this.paint(), src });
    const known = videos.get(src);
    videos.delete(src);
    return known ?? el("video", { src, muted: true, playsInline: true, preload: "auto", "aria-label": alt, "data-src": src });
  }

  divided() {
    return el("div", {
      className: "divider",
      role: "slider",
      tabIndex: 0,
      "aria-label": this.words.divider,
      "aria-valuenow": 50,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-orientation": "horizontal",
    });
  }

  // -- where everything stands --------------------------------------------------------------------------------------------------

  layout() {
    const { clientWidth: width, clientHeight: height } = this.panesPlace,
      count = this.panes.length;
    if (!width || !height || !count) return;
    this.panesPlace.style.gridTemplateColumns = `repeat(${columnsOf(count, width, height, this.ratio)}, minmax(0, 1fr))`;
    this.paint();
  }

  paint() {
    for (const pane of this.panes) {
      const { clientWidth: width, clientHeight: height } = pane.element;
      if (!width || !height) continue;
      const { frame, centre } = framed(width, height, this.ratio, this.zoom, this.centre);
      this.centre = centre;
      pane.frame = frame;
      const transform = `translate(${frame.left}px, ${frame.top}px)`;
      Object.assign(pane.world.style, { width: `${frame.wide}px`, height: `${frame.high}px`, transform });
      for (const { at, item } of pane.items) item.classList.toggle("pixels", this.pixelsOf(at, pane) > 3);
    }
    if (this.view === "slider") this.paintDivider();
    if (this.view === "blink") this.paintBlink();
    const above = this.view === "overlay" ? this.panes[0].items[1] : null;
    if (above) above.item.style.opacity = String(this.opacity);
    this.tell({ zoom: this.percent() });
  }

  /**
   * Screen pixels for one pixel of a layer.
   *
   * @param {number} at
   * @param {Pane | undefined} pane
   */
  pixelsOf(at, pane = this.panes[0]) {
    const item = pane?.items.find(entry => entry.at === at)?.item;
    const wide = item instanceof HTMLVideoElement ? item.videoWidth : item?.naturalWidth;
    return wide && pane.frame ? (pane.frame.wide * this.layers[at].box[2] * devicePixelRatio) / wide : 0;
  }

  percent() {
    return Math.round(this.pixelsOf(this.panes[0]?.items[0]?.at ?? 0) * 100);
  }

  paintDivider() {
    const [pane] = this.panes;
    if (!pane?.frame) return;
    const { from, to } = span(pane.frame),
      x = from + this.divider.at * (to - from);
    this.handle.style.left = `${x}px`;
    for (const [number, { at, item, label }] of pane.items.entries()) {
      const share = cut(pane.frame, this.layers[at].box, x) * 100;
      item.style.clipPath = number ? `inset(0 0 0 ${share}%)` : `inset(0 ${100 - share}% 0 0)`;
      label.classList.toggle("right", number > 0);
    }
  }

  paintBlink() {
    for (const { at, item, label } of this.panes[0].items) {
      item.style.visibility = at === this.shown ? "visible" : "hidden";
      label.hidden = at !== this.shown;
    }
  }

  // -- blinking -----------------------------------------------------------------------------------------------------------------

  blink() {
    if (this.view !== "blink") this.look("blink");
    const at = this.layers.findIndex((_, number) => number === this.shown);
    this.shown = (at + 1) % Math.max(1, this.layers.length);
    this.paintBlink();
  }

  /** @param {boolean} on */
  auto(on) {
    clearInterval(this.blinking);
    this.blinking = on ? setInterval(() => this.blink(), BLINK) : undefined;
    this.tell({ auto: on });
  }

  // -- zoom and pan -------------------------------------------------------------------------------------------------------------

  fit(paint = true) {
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    if (paint) this.paint();
  }

  /**
   * @param {number} zoom
   * @param {Pane} [pane]
   * @param {Point} [point] what lies under it stays there
   */
  zoomTo(zoom, pane = this.panes[0], point) {
    const frame = pane?.frame,
      next = clamp(zoom, Math.min(1, this.trueZoom()), MOST);
    if (!frame) return;
    this.centre = grown(frame, point ?? [frame.width / 2, frame.height / 2], next / this.zoom);
    this.zoom = next;
    this.paint();
  }

  /**
   * Move what is seen, by shares of the window.
   *
   * @param {number} right
   * @param {number} down
   */
  pan(right, down) {
    const frame = this.panes[0]?.frame;
    if (!frame) return;
    this.centre = [this.centre[0] + (right * frame.width) / frame.wide, this.centre[1] + (down * frame.height) / frame.high];
    this.paint();
  }

  /**
   * One pixel of the picture to one of the screen.
   *
   * @param {Pane} [pane]
   * @param {Point} [point]
   */
  trueSize(pane, point) {
    this.zoomTo(this.trueZoom(), pane, point);
  }

  /* The zoom at which that is so: of a small picture it is less than what fits into the window. */
  trueZoom() {
    const now = this.pixelsOf(this.panes[0]?.items[0]?.at ?? 0);
    return now ? this.zoom / now : 2;
  }

  // -- pointers -----------------------------------------------------------------------------------------------------------------

  listen() {
    const on = { signal: this.ended.signal },
      { panesPlace: place } = this;
    place.addEventListener("pointerdown", event => this.down(event), on);
    place.addEventListener("pointermove", event => this.move(event), on);
    place.addEventListener("pointerup", event => this.up(event), on);
    place.addEventListener("pointercancel", event => this.up(event), on);
    place.addEventListener("wheel", event => this.wheel(event), { ...on, passive: false });
    place.addEventListener("dblclick", event => this.double(event), on);
    place.addEventListener("dragstart", event => event.preventDefault(), on);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const pane = this.under(event);
    if (!pane) return;
    event.preventDefault();
    this.zoomTo(this.zoom * Math.exp(-clamp(event.deltaY, -120, 120) / 400), pane, pointIn(pane, event));
  }

  /** @param {MouseEvent} event */
  double(event) {
    const pane = this.under(event);
    if (!pane) return;
    if (this.zoom !== 1) this.fit();
    else this.trueSize(pane, pointIn(pane, event));
  }

  /**
   * The pane that an event means.
   *
   * @param {MouseEvent} event
   */
  under(event) {
    // A click that follows a captured pointer names the panes' place as its target: only where it is says which pane it means.
    const target = event.target instanceof Node ? event.target : null;
    const isIn = (/** @type {Pane} */ { element }) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return event.clientX >= left && event.clientX < right && event.clientY >= top && event.clientY < bottom;
    };
    return this.panes.find(({ element }) => element.contains(target)) ?? this.grabbed?.pane ?? this.panes.find(isIn);
  }

  /** @param {PointerEvent} event */
  down(event) {
    const pane = this.under(event);
    if (!pane || event.button > 0) return;
    const from = pointIn(pane, event);
    this.pointers.set(event.pointerId, from);
    this.panesPlace.setPointerCapture?.(event.pointerId);
    if (this.pointers.size === 2) {
      this.pinch = { span: this.apart(), zoom: this.zoom };
      this.grabbed = { pane };
      return;
    }
    const divides = this.view === "slider" && (this.zoom === 1 || this.isAtDivider(event, from));
    this.grabbed = { pane, from, centre: [...this.centre], divides };
    if (!divides) return;
    this.handle.focus({ preventScroll: true });
    this.dragTo(pane, from[0]);
    event.preventDefault();
  }

  /**
   * @param {PointerEvent} event
   * @param {Point} point
   */
  isAtDivider(event, [x]) {
    const isOn = event.target instanceof Node && this.handle.contains(event.target);
    return isOn || Math.abs(x - parseFloat(this.handle.style.left)) < 24;
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (!this.pointers.has(event.pointerId) || !this.grabbed) return;
    const { pane, from, centre, divides } = this.grabbed,
      point = pointIn(pane, event);
    this.pointers.set(event.pointerId, point);
    if (this.pointers.size >= 2) {
      const [a, b] = [...this.pointers.values()];
      if (this.pinch?.span) {
        this.zoomTo((this.pinch.zoom * this.apart()) / this.pinch.span, pane, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]);
      }
    } else if (divides) this.dragTo(pane, point[0]);
    else if (from && centre && pane.frame && this.zoom > 1) {
      this.centre = [centre[0] - (point[0] - from[0]) / pane.frame.wide, centre[1] - (point[1] - from[1]) / pane.frame.high];
      this.paint();
    }
  }

  /** @param {PointerEvent} event */
  up(event) {
    this.pointers.delete(event.pointerId);
    this.pinch = null;
    // Of two fingers one is left: it pans no more.
    this.grabbed = this.pointers.size ? { pane: this.grabbed?.pane ?? this.panes[0] } : null;
  }

  /* How far two fingers are from each other. */
  apart() {
    const [a, b] = [...this.pointers.values()];
    return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
  }

  /**
   * @param {Pane} pane
   * @param {number} x
   */
  dragTo(pane, x) {
    if (!pane.frame) return;
    const { from, to } = span(pane.frame);
    this.divider.dragTo(x, from, to);
  }

  // -- the difference -----------------------------------------------------------------------------------------------------------

  /* The time of videos was chosen, and does not run. */
  settled() {
    if (this.view === "difference") this.askDifference();
  }

  async askDifference() {
    const [pane] = this.panes;
    this.asked += 1;
    const turn = this.asked;
    pane.element.classList.add("waiting");
    this.tell({ difference: { waiting: true } });
    try {
      if (!this.heat) throw new Error("this stage knows no differences");
      const found = await this.heat(this.clock.at);
      if (turn !== this.asked || this.panes[0] !== pane) return;
      const old = pane.world.querySelector(".heat"),
        heat = el("img", { className: "heat layer", src: found.src, alt: this.words.heat, draggable: false });
      Object.assign(heat.style, placed(found.box));
      await heat.decode().catch(() => {});
      if (turn !== this.asked) return;
      old?.remove();
      pane.world.append(heat);
      this.tell({ difference: found });
    } catch (error) {
      if (turn === this.asked) this.tell({ difference: { failed: /** @type {Error} */ (error).message } });
    } finally {
      pane.element.classList.remove("waiting");
    }
  }
}

/**
 * @param {Pane} pane
 * @param {MouseEvent} event
 * @returns {Point}
 */
function pointIn({ element }, event) {
  const { left, top } = element.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
}
