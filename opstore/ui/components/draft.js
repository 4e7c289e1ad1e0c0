/* Tells what stands in a text area while it is being written. A pause of 0.4 s is a thought; shorter ones are between two keys.
   Where it is `kept`, it is kept for this tab at every key, until the page has it: a page that is opened anew has it again.
   Where who `rests` has it stored, it is handed in after a longer pause, and as Back leads away, just as by Ctrl+Enter. */

import { KEPT } from "../streamlit_private/page.js";
import { stored } from "./grid_memory.js";

const PAUSE = 400,
  REST = 3500,
  LATER = 100;
const ENDS = ["focusout", "pointerdown", "keydown"];
/** Told by who begins to listen, with the name under which it keeps what it hears. */
const LISTENS = "opstore-draft-listens";

/** @typedef {{ where: string, finished: string, kept?: string, taken?: boolean | null, stored?: string | null,
 * rests?: boolean | null }} Watched which text area, what the page has been told of it, the name under which it is kept; of what is
 * told with the tab (tab.js), whether the page has `taken` or refused it; what this window has `stored` last, whatever became of
 * that; whether who `rests` hands it in, null where nobody but a person ever does */
/** @typedef {{ over: string, text: string }} Written what was written, over which text */

export class Draft {
  /** @type {Written | null} */
  told = null;
  /** @type {Written | null} what is told after a pause */
  waiting = null;
  /** What was kept is in vain: another text was stored. */
  vain = false;
  /** @type {HTMLTextAreaElement | null} */
  box = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  rest;
  /** What was handed in of a box, until the page has it: what is written on is over that.
   * @type {Written & { box: HTMLTextAreaElement } | null} */
  handed = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  later;
  ended = new AbortController();

  /**
   * @param {Watched} data
   * @param {Tell} tell
   */
  constructor(data, tell) {
    this.data = data;
    this.send = tell;
    const on = { signal: this.ended.signal };
    document.dispatchEvent(new CustomEvent(LISTENS, { detail: data.kept }));
    document.addEventListener("input", event => this.listen(event), on);
    for (const type of ENDS) document.addEventListener(type, event => this.finish(event), { ...on, capture: true });
    addEventListener("popstate", () => this.handIn(), { ...on, capture: true }); // before Streamlit takes the box away
    // Whoever is quick, or has a slow machine, has begun before this was here.
    const box = document.activeElement;
    if (box instanceof HTMLTextAreaElement && stands(box) && box.value !== data.finished) this.listen({ target: box });
  }

  /** @param {{ target: EventTarget | null }} event */
  listen(event) {
    const box = /** @type {HTMLTextAreaElement} */ (event.target);
    if (!box.closest?.(this.data.where)) return;
    const { box: before, waiting } = this;
    clearTimeout(this.timer);
    // Who writes on in the box that has taken the place of another one makes no pause between the two.
    if (waiting && before !== box) this.tell(waiting.over, waiting.text);
    this.box = box;
    const text = box.value,
      { over } = this;
    this.waiting = { over, text };
    this.timer = setTimeout(() => this.tell(over, text), PAUSE);
    this.keep(over, text);
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.data.rests && this.handIn(), REST);
  }

  get over() {
    const { handed, data, box } = this;
    return handed?.over === data.finished && handed.box === box ? handed.text : data.finished;
  }

  /** Hand in what is written as the key does that hands it in: pen, caret and the box's own undo stay as they are. */
  handIn() {
    const { box, data } = this;
    if (typeof data.rests !== "boolean" || !stands(box) || box.value === this.over) return;
    box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true }));
  }

  /**
   * @param {string} over
   * @param {string} text
   */
  keep(over, text) {
    const { kept } = this.data;
    if (kept && text !== over) stored.set(sessionStorage, kept, { over, text });
    else this.forget();
  }

  forget() {
    if (this.data.kept) sessionStorage.removeItem(this.data.kept);
  }

  /** Look what becomes of what was kept, now that another text may be stored. */
  look() {
    clearTimeout(this.later);
    if (this.handed?.over !== this.data.finished) this.handed = null;
    const { kept, finished, taken, stored: last } = this.data,
      written = kept ? /** @type {Written | null} */ (stored.get(sessionStorage, kept)) : null;
    if (!written || (taken === false && !this.box)) return;
    const { over, text } = written;
    if (text === finished) this.forget();
    else if (stands(this.box) && this.box.value === text) {
      this.keep(this.over, text);
      // The page has set another text meanwhile, and goes by that.
      if (typeof taken === "boolean" && over !== finished) this.listen({ target: this.box });
    } else if (typeof taken === "boolean") {
      if (over !== finished) this.forget();
    } else if (text === last) this.forget();
    else if (over === finished) this.restore(text);
    else if (!this.vain) {
      this.vain = true;
      clearTimeout(this.timer);
      this.tell(over, text);
    }
  }

  /**
   * Put a text back into the area as if it were being written: nobody has finished it.
   *
   * @param {string} text
   */
  restore(text) {
    const box = this.box ? null : document.querySelector(`${this.data.where} textarea`);
    if (!(box instanceof HTMLTextAreaElement)) {
      if (!this.box) this.later = setTimeout(() => this.look(), LATER); // it is on its way
      return;
    }
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")?.set?.call(box, text);
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.focus({ preventScroll: true }); // who leaves it, or closes what it stands in, finishes it
  }

  /**
   * @param {string} over
   * @param {string} text
   */
  tell(over, text) {
    this.waiting = null;
    this.told = { over, text };
    this.send("draft", { over, text, turn: Date.now() });
  }

  /**
   * Who leaves the text, or hands it in, tells the page: a draft that came after would end the run that does what was asked.
   * Not so a text area that another one has replaced: what stood in it is told by nobody else.
   *
   * @param {Event} event
   */
  finish(event) {
    const { box, timer } = this;
    if (
      event.type === "keydown"
        ? !handsIn(/** @type {KeyboardEvent} */ (event))
        : event.type === "focusout" && event.target !== box
    )
      return;
    if (event.type === "keydown" && typeof this.data.rests === "boolean" && stands(box))
      this.handed = { box, over: this.data.finished, text: box.value };
    setTimeout(() => {
      if (!stands(box)) return;
      clearTimeout(timer);
      if (timer === this.timer) this.waiting = null;
      // Taken back to what it was, a text is no news to Streamlit.
      const { over, text } = this.told ?? {};
      if (over !== undefined && text !== over && box.value === over && over === this.data.finished) this.tell(over, over);
    }, 0);
  }

  end() {
    if (this.vain) this.forget();
    clearTimeout(this.timer);
    clearTimeout(this.rest);
    clearTimeout(this.later);
    this.ended.abort();
    const { kept, taken } = this.data;
    if (kept && typeof taken === "boolean") hearOn(kept);
  }
}

/**
 * Keep what is written where nobody listens: the page was left, and its text area is back before what listens to it.
 *
 * @param {string} kept whose last part is the name of the text area
 */
function hearOn(kept) {
  const where = `[class*="st-key-${kept.slice(kept.lastIndexOf("/") + 1)}"]`,
    ended = new AbortController(),
    on = { capture: true, signal: ended.signal };
  /** @type {{ box: HTMLTextAreaElement, over: string, text?: string } | null} */
  let begun = null;
  /** @param {Event} event */
  const begin = ({ target: box }) => {
    if (!(box instanceof HTMLTextAreaElement) || !box.closest(where)) return;
    if (begun?.box !== box || begun.text === undefined) begun = { box, over: box.value };
  };
  document.addEventListener("focusin", begin, on);
  document.addEventListener("beforeinput", begin, on);
  document.addEventListener(
    "input",
    ({ target }) => {
      if (!begun || begun.box !== target) return;
      begun.text = begun.box.value;
      stored.set(sessionStorage, kept, { over: begun.over, text: begun.text });
    },
    on,
  );
  document.addEventListener(LISTENS, event => /** @type {CustomEvent} */ (event).detail === kept && ended.abort(), on);
}

/**
 * Whether a box is one that is written in still: one that another has replaced stays beside it until the page is drawn.
 *
 * @param {HTMLTextAreaElement | null} box
 * @returns {box is HTMLTextAreaElement}
 */
const stands = box => Boolean(box?.isConnected && !box.closest(KEPT));

/** @param {KeyboardEvent} event */
const handsIn = event => event.key === "Enter" && (event.ctrlKey || event.metaKey);

/** @type {WeakMap<HTMLElement | ShadowRoot, Draft>} */
const drafts = new WeakMap();

/** @param {Component<Watched>} component */
export default function ({ data, parentElement, setStateValue }) {
  const draft = drafts.get(parentElement) ?? new Draft(data, setStateValue);
  drafts.set(parentElement, draft);
  draft.data = data;
  draft.look();
  return () => {
    if (parentElement.isConnected) return;
    draft.end();
    drafts.delete(parentElement);
  };
}
