/* Two results, nothing said of who made them, and one key for what somebody thinks of them. */

import { DIALOG } from "../streamlit_private/page.js";
import { el, origin, part } from "./dom.js";

/** @typedef {{ id: string, src: string, video: boolean }} Side */
/** @typedef {"left" | "right" | "tie" | "skip" | "undo"} Choice */
/** @typedef {Record<Choice | "votes", string>} Words */
/** @typedef {{ left: Side, right: Side, prompt: string }} Pair */
/** @typedef {{ pair: Pair, words: Words, turn: number, undo: boolean, ahead: string[] }} Data */

const AGAIN = 4000,
  PATIENCE = 20_000;
/** @type {Record<string, Choice>} */
const CHOICES = { 1: "left", ArrowLeft: "left", 2: "right", ArrowRight: "right", "=": "tie", 0: "tie", s: "skip", z: "undo" };

/**
 * What a key votes, undefined for one that votes nothing.
 *
 * @param {KeyboardEvent} event
 * @returns {Choice | undefined}
 */
export function choiceOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return undefined;
  return CHOICES[event.key.length === 1 ? event.key.toLowerCase() : event.key];
}

/**
 * @param {Side} side
 * @param {string} label
 * @param {() => void} choose
 */
function shown(side, label, choose) {
  const item = side.video
    ? el("video", {
        src: side.src,
        muted: true,
        loop: true,
        autoplay: true,
        playsInline: true,
        controls: true,
        "aria-label": label,
      })
    : el("img", { src: side.src, alt: label, draggable: false, onclick: choose });
  return el("div", { className: "side" }, item);
}

export class Booth {
  ended = new AbortController();
  print = "";
  /** @type {{ choice: Choice, left: string, right: string, turn: number } | null} what was voted and has not been counted yet */
  cast = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  overdue;

  /**
   * @param {HTMLElement} root
   * @param {Data} data
   * @param {Tell} trigger
   */
  constructor(root, data, trigger) {
    this.root = root;
    this.data = data;
    this.trigger = trigger;
    document.addEventListener("keydown", event => this.key(event), { signal: this.ended.signal });
  }

  end() {
    this.ended.abort();
    clearInterval(this.overdue);
  }

  /**
   * @param {Data} data
   * @param {Tell} trigger
   */
  update(data, trigger) {
    this.data = data;
    this.trigger = trigger;
    const { pair, words } = data,
      print = JSON.stringify([pair.left.id, pair.right.id, data.turn, words]);
    if (print === this.print) return;
    this.print = print;
    this.cast = null;
    clearInterval(this.overdue);
    this.root.replaceChildren(
      el("p", { className: "prompt", dir: "auto", textContent: pair.prompt }),
      el(
        "div",
        { className: "sides" },
        shown(pair.left, words.left, () => this.choose("left")),
        shown(pair.right, words.right, () => this.choose("right")),
      ),
      this.acts(),
    );
    // The next pair is here before it is asked for.
    this.ahead = data.ahead.map(src => el("img", { src }));
  }

  acts() {
    const { words, undo } = this.data;
    const act = (/** @type {Choice} */ choice, /** @type {string[]} */ ...keys) =>
      el(
        "button",
        { type: "button", onclick: () => this.choose(choice), disabled: choice === "undo" && !undo },
        words[choice],
        ...keys.map(key => el("kbd", { textContent: key, "aria-hidden": "true" })),
      );
    return el(
      "div",
      { className: "acts", role: "group", "aria-label": words.votes },
      act("left", "1", "←"),
      act("tie", "="),
      act("right", "2", "→"),
      act("skip", "S"),
      act("undo", "Z"),
    );
  }

  /** @param {Choice} choice */
  choose(choice) {
    if (this.cast || (choice === "undo" && !this.data.undo)) return;
    const { left, right } = this.data.pair,
      began = Date.now();
    this.cast = { choice, left: left.id, right: right.id, turn: began };
    part(this.root, ".sides").classList.add(choice === "left" || choice === "right" ? choice : "done");
    // A run of the page was interrupted before it began: the same vote counts once.
    this.overdue = setInterval(() => {
      if (Date.now() - began > PATIENCE) {
        clearInterval(this.overdue);
        this.cast = null;
      } else this.trigger("cast", { ...this.cast, again: Date.now() });
    }, AGAIN);
    this.trigger("cast", this.cast);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.defaultPrevented || !this.root.isConnected) return;
    if (/^(input|textarea|select|video)$/i.test(origin(event)?.localName ?? "") || document.querySelector(DIALOG)) return;
    const choice = choiceOf(event);
    if (!choice) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(choice);
  }
}

/** @type {WeakMap<HTMLElement | ShadowRoot, Booth>} */
const booths = new WeakMap();

/** @param {Component<Data>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  const booth = booths.get(parentElement) ?? new Booth(part(parentElement, ".root"), data, setTriggerValue);
  booths.set(parentElement, booth);
  booth.update(data, setTriggerValue);
  return () => {
    if (!parentElement.isConnected) {
      booth.end();
      booths.delete(parentElement);
    }
  };
}
