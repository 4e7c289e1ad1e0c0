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

/** The bar at the bottom: there with the first selection. Its buttons stay the same elements while the same is offered: a finger or the
 *  focus may be on one. @param {Grid} grid */
export function selectionBar(grid) {
  const { selection, bar, pages } = grid,
    { size } = selection,
    more = (pages.total?.n ?? 0) > size,
    shape = size ? JSON.stringify([more, ...(grid.trash ? [] : [size === 1, size > 4])]) : "";
  const label = grid.words.count("selected", size),
    held = bar.contains(grid.focused()) ? named(grid.focused()) : null; // what is hidden loses the focus
  bar.hidden = size === 0;
  if (bar.dataset.shape === shape) {
    const count = bar.querySelector(".chosen");
    if (count && count.textContent !== label) count.textContent = label;
    return;
  }
  bar.dataset.shape = shape;
  bar.replaceChildren(...(size ? barOf(grid, label, more) : []));
  if (held === null) return;
  const same = [...bar.querySelectorAll("button")].find(item => named(item) === held && !item.disabled);
  if (same) same.focus();
  else grid.focusCurrent();
}

/** @param {Element | null} item */
const named = item => item?.getAttribute("aria-label") ?? item?.textContent ?? "";

/** @param {Grid} grid @param {string} label @param {boolean} more */
function barOf(grid, label, more) {
  const { words } = grid,
    count = el("b", { className: "chosen", role: "status", textContent: label }),
    clear = sign("✕", words.say("clear"), () => grid.clear(), { className: "round" }),
    all = more ? [button(words.say("all"), () => grid.all(), { className: "plain" })] : [];
  return [count, ...all, el("span", { className: "acts" }, ...(grid.trash ? trashed(grid) : offered(grid))), clear];
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
  const held = grid.notice.contains(grid.focused());
  clearTimeout(grid.noticeEnds);
  grid.notice.hidden = !text;
  grid.notice.replaceChildren(el("span", { textContent: text, role: "status" }), ...buttons);
  if (held) grid.focusCurrent(); // what had the focus is gone
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
  grid.shown?.close(); // nobody sees it behind a preview
  notice(grid, text, [sure, keep], 0);
  if (grid.mayFocus()) sure.focus();
}
