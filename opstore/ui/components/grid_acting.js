/* What a person does with operations: shown at once, handed to the page one act at a time, and put right by what it came to. What
   waits for its turn is always shown over what was stored meanwhile. */

import { ActQueue, unsent } from "./grid_acts.js";
import { POLL } from "./grid_follow.js";
import { unique, windowName } from "./grid_memory.js";
import { button } from "./grid_over.js";
import { ask, notice } from "./grid_panels.js";

/** @typedef {import("./grid_acts.js").Act} Act */
/** @typedef {import("./grid_acts.js").Outcome} Outcome */
/** @typedef {import("./grid_pages.js").Pages} Pages */
/** @typedef {import("./grid.js").Grid} Grid */

/** By then no answer is older than the act. */
const STALE = 4 * POLL;
const UNDONE = ["rate", "favorite", "tag", "trash"];

/** Whether an act takes its operations out of the list for certain. @param {{ kind: string, value?: unknown }} act */
export const leaves = ({ kind, value }) => kind === "trash" || kind === "restore" || value === "sure";

/** What an act will make of a row; nothing where that shows nowhere. @param {Act} act @param {string[]} tags */
export function foreseen({ kind, value }, tags = []) {
  if (kind === "rate") return { rating: /** @type {number | null} */ (value) };
  if (kind === "favorite") return { favorite: value === true };
  if (kind !== "tag") return null;
  const { add = [], remove = [] } = /** @type {{ add?: string[], remove?: string[] }} */ (value);
  return { tags: [...new Set([...tags, ...add])].filter(tag => !remove.includes(tag)) };
}

/** Put right what the pages show, by what an act came to; give what has left the list. @param {Pages} pages @param {Act} act
 *  @param {Outcome} outcome @param {{ trash: boolean, waiting: Act[] }} grid */
export function acknowledged(pages, { ids, kind }, outcome, { trash, waiting }) {
  // Told after another list has come: what left the library is in the trash now, and must be seen there.
  const gone = ["restore", "remove"].includes(kind) === trash ? (outcome.gone ?? []) : [];
  for (const id of ids) pages.settle(id, null);
  for (const [id, state] of Object.entries(outcome.changed ?? {})) pages.settle(id, state);
  pages.hide(gone);
  for (const id of [...ids, ...(outcome.back ?? [])]) if (!gone.includes(id)) pages.hidden.delete(id);
  for (const act of waiting) {
    const change = act.kind === "tag" ? null : foreseen(act);
    if (change) for (const id of act.ids) pages.patch(id, change);
  }
  return gone;
}

/** The queue of a grid's acts. @param {Grid} grid */
export function actsOf(grid) {
  let working = false;
  return new ActQueue(unsent(), {
    hand: act => grid.trigger?.("act", act),
    unanswered: () => grid.words.say("unanswered"),
    waiting: said => {
      working = true;
      notice(grid, said, [], 0);
    },
    settled: (act, outcome) => {
      if (working) {
        working = false;
        notice(grid, "");
      }
      settled(grid, act, outcome);
    },
  });
}

/** @param {Grid} grid @param {Act} act @param {Outcome} outcome */
function settled(grid, act, outcome) {
  const { pages, selection, acts } = grid,
    { ids } = act;
  const gone = acknowledged(pages, act, outcome, { trash: grid.trash, waiting: acts.waiting });
  selection.dropped(gone, Boolean(grid.shown));
  setTimeout(() => {
    for (const id of gone) grid.pages.hidden.delete(id);
  }, STALE);
  if (outcome.ask && ids.length > 1) for (const id of ids) selection.chosen.add(id);
  if (outcome.ask) ask(grid, outcome.ask);
  else if (outcome.said) notice(grid, outcome.said, UNDONE.includes(act.kind) ? [undoing(grid)] : []);
  grid.drawing.arrange();
  grid.redraw();
  grid.follower.refresh().then(() => {
    if (outcome.ask) grid.walk.returnTo(ids[0]);
  });
}

/** @param {Grid} grid */
const undoing = grid =>
  button(
    grid.words.say("undo"),
    () => {
      notice(grid, "");
      act(grid, "undo", []);
    },
    { className: "main" },
  );

/** Do something with what is chosen, or with `ids`. @param {Grid} grid @param {string} kind @param {string[]} ids @param {unknown} value */
export function act(grid, kind, ids = grid.targets(), value = null) {
  if ((!ids.length && kind !== "undo") || !grid.may(kind)) return;
  const { pages, acts } = grid,
    wanted = { id: unique(), kind: grid.trash && kind === "trash" ? "remove" : kind, ids, value, window: windowName() };
  acts.push(wanted);
  for (const id of ids) {
    const change = foreseen(wanted, pages.rows.get(id)?.tags);
    if (change) pages.patch(id, change);
  }
  if (leaves(wanted)) leave(grid, ids);
  grid.redraw();
  acts.flush();
}

/** @param {Grid} grid @param {number} value */
export function rate(grid, value) {
  if (!grid.trash) act(grid, "rate", grid.targets(), value || null);
}

/** @param {Grid} grid */
export function favorite(grid) {
  const ids = grid.targets(),
    all = ids.every(id => grid.pages.rows.get(id)?.favorite);
  if (!grid.trash) act(grid, "favorite", ids, !all);
}

/** @param {Grid} grid @param {string[]} ids */
function leave(grid, ids) {
  const { pages, selection } = grid,
    held = grid.list.contains(grid.focused()) || grid.shown,
    { at } = selection;
  pages.hide(ids);
  if (selection.leave(ids)) {
    grid.drawing.arrange();
    if (pages.size && held) grid.walk.go(at);
  }
  if (grid.shown && !pages.size) grid.shown.close();
}

/** Take what is chosen to another page, or out of the house. @param {Grid} grid @param {string} way */
export function away(grid, way) {
  if (!grid.may(way)) return;
  const ids = grid.targets();
  if (!ids.length || grid.trash) return;
  grid.places.save();
  grid.shown?.close();
  grid.trigger?.("away", { way, ids: ids.slice(0, 1000), turn: Date.now() });
}
