/* Listens to clicks on the drawer's pictures, which are plain elements of the page, and shows them on a stage of the whole window:
   the result, and at a key's press what it was made from, in the same place and at the same size. */

import { fitted, STEP } from "./compare_frame.js";
import { Stage } from "./compare_stage.js";
import { around, button, el, part } from "./dom.js";

/** @typedef {Record<"zoom" | "close" | "before" | "after" | "smaller" | "larger" | "fitted" | "hint" | "plain", string>} Words */
/** @typedef {import("./compare_stage.js").Layer} Layer */

const PICTURE = ".ops-media img";

/** @param {string} place */
function pictureIn(place) {
  /** @type {HTMLImageElement | null} */
  const found = document.querySelector(`.st-key-opened ${place} ${PICTURE}`);
  return found;
}

/** @param {HTMLImageElement} image */
const shape = image => (image.naturalWidth || 1) / (image.naturalHeight || 1);

/**
 * A picture as a layer of a frame of width by height `ratio`.
 *
 * @param {HTMLImageElement} image
 * @param {number} ratio
 * @param {string} label
 * @returns {Layer}
 */
const layer = (image, ratio, label) => ({
  src: image.src,
  alt: image.alt,
  kind: "image",
  label,
  box: fitted(shape(image), ratio),
});

/** A stage in a window of its own, over the drawer. */
class Zoom {
  /**
   * @param {HTMLElement} root
   * @param {Words} words
   * @param {Layer[]} before what the result was made from, if that is shown
   */
  constructor(root, words, before) {
    this.root = root;
    this.words = words;
    this.before = before;
    this.percent = button("", words.fitted, () => this.stage.fit(), { className: "percent" });
    const place = el("div", { className: "stage" });
    this.stage = new Stage(place, {}, ({ zoom }) => {
      if (zoom !== undefined) this.percent.textContent = zoom ? `${zoom} %` : "…";
    });
    this.dialog = el("dialog", { "aria-label": words.zoom, tabIndex: -1 }, place, this.line());
    // The drawer behind must not take these keys for its own: Escape would close it as well.
    this.dialog.onkeydown = event => this.key(event);
    this.dialog.onkeyup = event => {
      event.stopPropagation();
      this.blink(false);
    };
    this.dialog.onclose = () => this.end();
  }

  /** @returns {HTMLElement} */
  line() {
    const { words, before } = this;
    const sizes = [
      button("−", words.smaller, () => this.grow(1 / STEP)),
      this.percent,
      button("+", words.larger, () => this.grow(STEP)),
    ];
    return el(
      "div",
      { className: "line" },
      el("span", { className: "hint", textContent: before.length ? words.hint : words.plain }),
      ...(before.length ? [this.hold()] : []),
      el("span", { className: "group" }, ...sizes),
      button(words.close, words.close, () => this.dialog.close()),
    );
  }

  /* The button that shows what was before for as long as it is held. */
  hold() {
    const { before } = this.words,
      release = () => this.blink(false);
    return button(before, before, undefined, {
      onpointerdown: () => this.blink(true),
      onpointerup: release,
      onpointerleave: release,
      onpointercancel: release,
      oncontextmenu: () => false,
      onkeydown: event => {
        if (event.key === "Enter" || event.key === " ") this.blink(true);
      },
    });
  }

  /** @param {boolean} isBefore */
  blink(isBefore) {
    if (!this.before.length) return;
    this.stage.shown = Number(isBefore);
    this.stage.paintBlink();
  }

  /** @param {number} by */
  grow(by) {
    this.stage.zoomTo(this.stage.zoom * by);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { stage } = this;
    /** @type {Record<string, () => void>} */
    const keys = {
      "+": () => this.grow(STEP),
      "=": () => this.grow(STEP),
      "-": () => this.grow(1 / STEP),
      "−": () => this.grow(1 / STEP),
      0: () => stage.fit(),
      1: () => stage.trueSize(stage.panes[0]),
      b: () => this.blink(true),
      ArrowLeft: () => stage.pan(-0.2, 0),
      ArrowRight: () => stage.pan(0.2, 0),
      ArrowUp: () => stage.pan(0, -0.2),
      ArrowDown: () => stage.pan(0, 0.2),
      Escape: () => this.dialog.close(),
    };
    event.stopPropagation();
    const act = event.ctrlKey || event.metaKey || event.altKey ? null : (keys[event.key] ?? keys[event.key.toLowerCase()]);
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** @param {HTMLImageElement} result */
  show(result) {
    const { words, before, stage } = this,
      ratio = shape(result);
    this.root.append(this.dialog);
    this.dialog.showModal();
    this.dialog.focus();
    stage.view = "blink";
    stage.show({ layers: [layer(result, ratio, before.length ? words.after : ""), ...before], ratio, active: [0] });
  }

  end() {
    this.stage.end();
    this.dialog.remove();
    this.root.querySelector("button")?.focus();
  }
}

/**
 * @param {HTMLElement} root
 * @param {HTMLImageElement | null} picture
 * @param {Words} words
 * @param {boolean} compare
 */
function open(root, picture, words, compare) {
  const result = picture ?? pictureIn(""),
    given = compare ? pictureIn(".st-key-inputs") : null;
  if (!result) return;
  const before = given && given.src !== result.src ? [layer(given, shape(result), words.before)] : [];
  new Zoom(root, words, before).show(result);
}

/** @type {WeakMap<HTMLElement | ShadowRoot, (event: Event) => void>} */
const mounted = new WeakMap();

/** @param {Component<{ words: Words, compare: boolean }>} component */
export default function ({ data, parentElement }) {
  const root = part(parentElement, ".root"),
    { words, compare } = data;
  if (!root.firstChild) root.append(el("button", { type: "button" }));
  const opener = part(root, "button");
  opener.textContent = words.zoom;
  opener.onclick = () => open(root, null, words, compare);
  const before = mounted.get(parentElement);
  if (before) document.removeEventListener("click", before);
  const listen = (/** @type {Event} */ event) => {
    const picture = around(event, `.st-key-opened ${PICTURE}`);
    if (picture instanceof HTMLImageElement) open(root, picture, words, compare && !picture.closest(".st-key-inputs"));
  };
  mounted.set(parentElement, listen);
  document.addEventListener("click", listen);
  return () => {
    if (!parentElement.isConnected) document.removeEventListener("click", listen);
  };
}
