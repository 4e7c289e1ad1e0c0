/* The acts of a person on their way to the page's script: one at a time, in their order, none lost and none handed in for another
   time once it is known to be done. It knows no document: whoever makes it says how an act is handed in. */

import { stored } from "./grid_memory.js";

/** @typedef {{ id: string, kind: string, ids: string[], value: unknown, window: string }} Act */
/** @typedef {{ kind: string, ids: string[], text: string }} Question */
/** @typedef {{ id?: string, done?: string[], busy?: string, failed?: string[], gone?: string[], back?: string[], said?: string,
 *   ask?: Question | null, changed?: Record<string, Partial<import("./grid_pages.js").Row>> }} Outcome */
/** @typedef {{ hand: (act: Act) => void, settled: (act: Act, outcome: Outcome) => void, waiting: (said: string) => void,
 *   unanswered: () => string }} Ways How an act is handed in, and what is done when it has come to something. */

export const AGAIN = 3000;
export const PATIENCE = 120000;
const KEPT = "opstore-acts";

/** What another grid of this tab left undone. @returns {Act[]} */
export function unsent() {
  /** @type {Act[]} */
  const acts = stored.get(sessionStorage, KEPT) ?? [];
  sessionStorage.removeItem(KEPT);
  return acts;
}

/** Acts that wait for their turn or their answer are left to the next grid of this tab; the session knows those it did. @param {Act[]} acts */
export function leave(acts) {
  if (acts.length) stored.set(sessionStorage, KEPT, acts);
}

/** The next grid may stand already: it has looked for acts before there were any, and hears of these. @param {Act[]} acts */
export function handOver(acts) {
  leave(acts);
  if (acts.length) dispatchEvent(new Event(KEPT));
}

export class ActQueue {
  /** @param {Act[]} waiting @param {Ways} ways */
  constructor(waiting, ways) {
    this.waiting = waiting;
    this.ways = ways;
    this.ready = false;
    /** @type {Act | null} handed in, and not answered yet */
    this.sent = null;
    /** @type {Outcome | null} the last that was heard */
    this.outcome = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.overdue = undefined;
  }

  /** All that has not come to anything yet. */
  get open() {
    return this.sent ? [this.sent, ...this.waiting] : [...this.waiting];
  }

  /** @param {Act[]} acts */
  push(...acts) {
    this.waiting.push(...acts);
  }

  /** The page's script tells what the last act came to. @param {Outcome | null | undefined} outcome */
  hear(outcome) {
    this.ready = true;
    this.outcome = outcome ?? null;
    if (!this.sent || !outcome) return;
    if (outcome.id !== this.sent.id) {
      // Done, and another since: what came of it was told to a grid that is gone.
      if (outcome.done?.includes(this.sent.id)) this.settle({});
    } else if (outcome.busy) this.wait(outcome.busy);
    else this.settle(outcome);
  }

  /* One act at a time: a second run of the page's script would interrupt the first. */
  flush() {
    if (this.sent || !this.ready) return;
    const act = this.waiting.shift(),
      { outcome } = this;
    if (!act) return;
    this.sent = act;
    // Done through the grid before this one: handed in again it would change nothing on the page, and no answer would ever come.
    if (outcome?.done?.includes(act.id)) this.settle(outcome.id === act.id ? outcome : {});
    else this.hand(act, Date.now(), AGAIN);
  }

  /** An answer that is long in coming: its run was interrupted before it began, perhaps, so the act is handed in again (one that is
   *  done already is not done twice), each time later than before, since every hand-in interrupts the run of the one before.
   *  @param {Act} act @param {number} began @param {number} pause */
  hand(act, began, pause) {
    this.ways.hand(act);
    this.overdue = setTimeout(() => {
      if (Date.now() - began > PATIENCE) this.settle({ failed: act.ids, said: this.ways.unanswered() });
      else this.hand(act, began, pause * 2);
    }, pause);
  }

  /** Done it is not yet, but at work: ask again how far it is. @param {string} said */
  wait(said) {
    const act = this.sent;
    if (!act) return;
    this.ways.waiting(said);
    clearTimeout(this.overdue);
    this.overdue = setTimeout(() => this.hand(act, Date.now(), AGAIN), AGAIN / 2);
  }

  /** @param {Outcome} outcome */
  settle(outcome) {
    clearTimeout(this.overdue);
    const act = this.sent;
    this.sent = null;
    if (act) this.ways.settled(act, outcome);
    this.flush();
  }

  end() {
    clearTimeout(this.overdue);
  }
}
