/* Tells what stands in a text area while it is being written. A pause of 0.4 s is a thought; shorter ones are between two keys. */

const PAUSE = 400;
const ENDS = ["focusout", "pointerdown", "keydown"];

/** @typedef {{ where: string, finished: string }} Watched which text area, and what the page has been told of it */

export class Draft {
  /** @type {{ over: string, text: string } | null} */
  told = null;
  /** @type {HTMLTextAreaElement | null} */
  box = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;
  ended = new AbortController();

  /**
   * @param {Watched} data
   * @param {Tell} tell
   */
  constructor(data, tell) {
    this.data = data;
    this.send = tell;
    const on = { signal: this.ended.signal };
    document.addEventListener("input", event => this.listen(event), on);
    for (const type of ENDS) document.addEventListener(type, event => this.finish(event), { ...on, capture: true });
  }

  /** @param {Event} event */
  listen(event) {
    const box = /** @type {HTMLTextAreaElement} */ (event.target);
    if (!box.closest?.(this.data.where)) return;
    clearTimeout(this.timer);
    this.box = box;
    const text = box.value,
      over = this.data.finished;
    this.timer = setTimeout(() => this.tell(over, text), PAUSE);
  }

  /**
   * @param {string} over
   * @param {string} text
   */
  tell(over, text) {
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
    setTimeout(() => {
      if (!box?.isConnected) return;
      clearTimeout(timer);
      // Taken back to what it was, a text is no news to Streamlit.
      const { over, text } = this.told ?? {};
      if (over !== undefined && text !== over && box.value === over && over === this.data.finished) this.tell(over, over);
    }, 0);
  }

  end() {
    clearTimeout(this.timer);
    this.ended.abort();
  }
}

/** @param {KeyboardEvent} event */
const handsIn = event => event.key === "Enter" && (event.ctrlKey || event.metaKey);

/** @type {WeakMap<HTMLElement | ShadowRoot, Draft>} */
const drafts = new WeakMap();

/** @param {Component<Watched>} component */
export default function ({ data, parentElement, setStateValue }) {
  const draft = drafts.get(parentElement) ?? new Draft(data, setStateValue);
  drafts.set(parentElement, draft);
  draft.data = data;
  return () => {
    if (parentElement.isConnected) return;
    draft.end();
    drafts.delete(parentElement);
  };
}
