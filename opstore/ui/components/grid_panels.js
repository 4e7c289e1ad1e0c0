/* What stands around the grid: its toolbar, the bar of a selection, and one line with what was done or is asked. They show what the grid
   holds and hold nothing themselves; what a role does not allow is not offered. */

import { button as sign, el } from "./dom.js";
import { button, exporting, help, tags } from "./grid_over.js";

/** @typedef {import("./grid.js").Grid} Grid */
/** @typedef {import("./grid_acts.js").Question} Question */

/** @param {Grid} grid */
export function toolbar(grid) {
  const { words } = grid,
    size = el("input", {
      type: "range",
      min: "90",
      max: "360",
      step: "10",
      value: String(grid.tile),
      "aria-label": words.say("size"),
      className: "size",
    });
  size.oninput = () => grid.resize(Number(size.value));
  const keys = sign("?", words.say("keys"), () => help(grid), { className: "round" });
  return el("div", { className: "toolbar" }, grid.count, el("span", { className: "gap" }), size, keys, grid.fresh);
}

/** The bar at the bottom: there with the first selection. @param {Grid} grid */
export function selectionBar(grid) {
  const {
    words,
    selection,
    bar,
    pages: { total },
  } = grid;
  bar.hidden = selection.size === 0;
  if (bar.hidden) {
    bar.replaceChildren();
    return;
  }
  const count = el("b", { className: "chosen", role: "status", textContent: words.count("selected", selection.size) });
  const clear = sign("✕", words.say("clear"), () => grid.clear(), { className: "round" });
  const all = total && total.n > selection.size ? [button(words.say("all"), () => grid.all(), { className: "plain" })] : [];
  bar.replaceChildren(count, ...all, el("span", { className: "acts" }, ...(grid.trash ? trashed(grid) : offered(grid))), clear);
}

/** The button of an act, where it may be done. @param {Grid} grid @param {string} act @param {() => unknown} done @param {Given<HTMLButtonElement>} given */
const may = (grid, act, done, given = {}) => (grid.may(act) ? [button(grid.words.say(act), done, given)] : []);

/** @param {Grid} grid */
const trashed = grid => [
  ...may(grid, "restore", () => grid.act("restore")),
  ...may(grid, "remove", () => grid.act("remove"), { className: "danger" }),
];

/** @param {Grid} grid */
const offered = grid => {
  const {
    words,
    selection: { size },
  } = grid;
  return [
    ...(grid.may("rate") ? [rating(grid)] : []),
    ...may(grid, "favorite", () => grid.favorite()),
    ...may(grid, "tag", () => tags(grid)),
    ...may(grid, "review", () => grid.away("review"), { disabled: size < 2 }),
    button(words.say("compare"), () => grid.away("compare"), { disabled: size > 4, title: words.say("few") }),
    ...may(grid, "use", () => grid.away("use")),
    ...(size === 1 ? may(grid, "remix", () => grid.away("remix")) : []),
    ...may(grid, "share", () => grid.away("share")),
    ...may(grid, "export", () => exporting(grid)),
    ...may(grid, "trash", () => grid.act("trash"), { className: "danger" }),
  ];
};

/** Five stars, which light up to the one under the pointer. @param {Grid} grid */
function rating(grid) {
  const { words } = grid,
    bar = el("span", { className: "rate", role: "group", "aria-label": words.say("rate") });
  const stars = [1, 2, 3, 4, 5].map(value => sign("★", words.count("rated", value), () => grid.rate(value)));
  /** @param {number} last */
  const light = last => {
    for (const [at, star] of stars.entries()) star.classList.toggle("on", at <= last);
  };
  bar.append(...stars);
  bar.onmouseover = ({ target }) => light(stars.indexOf(/** @type {HTMLButtonElement} */ (target)));
  bar.onmouseleave = () => light(-1);
  return bar;
}

/** One line over the bar: what was done, with a way back, or a question. @param {Grid} grid @param {string} text @param {HTMLElement[]} buttons */
export function notice(grid, text, buttons = [], seconds = 12) {
  clearTimeout(grid.noticeEnds);
  grid.notice.hidden = !text;
  grid.notice.replaceChildren(el("span", { textContent: text, role: "status" }), ...buttons);
  if (text && seconds) grid.noticeEnds = setTimeout(() => notice(grid, ""), seconds * 1000);
}

/** @param {Grid} grid @param {Question} question */
export function ask(grid, { kind, ids, text }) {
  const { words } = grid,
    sure = button(
      words.say(kind),
      () => {
        notice(grid, "");
        grid.act(kind, ids, "sure");
        grid.focusCurrent();
      },
      { className: "danger" },
    );
  const keep = button(words.say("keep"), () => {
    notice(grid, "");
    grid.walk.returnTo(ids[0]);
    grid.focusCurrent();
  });
  notice(grid, text, [sure, keep], 0);
  sure.focus();
}
