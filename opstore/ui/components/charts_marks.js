/* The marks of a figure as a list that keys walk through: each is said, shown with its label, and leads where a click on it does. */

import { asked } from "./charts_plot.js";
import { clamp, el } from "./dom.js";

/**
 * What is said of a mark: what its label says, as words.
 *
 * @param {Trace} trace
 * @param {number} at
 */
export function told(trace, at) {
  const template = (trace.hovertemplate ?? "").replace(/<extra>.*?<\/extra>/g, "").replaceAll("<br>", ", ");
  /** @type {Record<string, unknown>} */
  const given = { ...trace };
  return template.replace(/%\{(\w+)(?:\[(\d+)\])?\}/g, (_whole, name, part) => {
    const values = given[name],
      found = Array.isArray(values) ? values[at] : undefined;
    return String((part === undefined ? found : found?.[part]) ?? "");
  });
}

/**
 * Marks place by place, those of one place beside each other; what has no length is none.
 *
 * @param {Figure} figure
 * @returns {Mark[]}
 */
export function marksOf({ data }) {
  const walked = data.map((trace, number) => ({ trace, number })).filter(({ trace }) => isWalked(trace));
  return walked
    .flatMap(({ trace, number }) =>
      trace.x.map((x, at) => ({ at, number, trace, size: trace.orientation === "h" ? x : trace.y[at] })),
    )
    .filter(({ trace, size }) => trace.type !== "bar" || size)
    .sort((one, other) => one.at - other.at || one.number - other.number)
    .map(({ trace, number, at }) => ({
      curveNumber: number,
      pointNumber: at,
      text: told(trace, at),
      asked: asked(trace.customdata?.[at]),
    }));
}

/** @param {Trace} trace */
const isWalked = trace => trace.type !== "heatmap" && trace.hoverinfo !== "skip";

/** @type {Record<string, (at: number) => number>} */
const STEPS = {
  ArrowRight: at => at + 1,
  ArrowDown: at => at + 1,
  ArrowLeft: at => at - 1,
  ArrowUp: at => at - 1,
  Home: () => 0,
  End: () => Infinity,
};

/**
 * A list box over the figure; `marks` is asked for when somebody comes.
 *
 * @param {HTMLElement} box
 * @param {string} name
 * @param {{ point: (mark: Mark | null) => void, pick: (wanted: string) => void }} plot
 * @param {() => Mark[]} marks
 */
export function listen(box, name, plot, marks) {
  let at = -1;
  const show = (/** @type {number} */ place) => {
    const found = marks();
    at = clamp(place, 0, found.length - 1);
    if (!found.length) return;
    // A new element each time: of one that changes its words a screen reader says nothing.
    const option = el("div", {
      id: `${name}-mark-${at}`,
      textContent: found[at].text,
      role: "option",
      "aria-selected": "true",
      "aria-posinset": at + 1,
      "aria-setsize": found.length,
    });
    box.replaceChildren(option);
    box.setAttribute("aria-activedescendant", option.id);
    plot.point(found[at]);
  };
  const leave = () => {
    at = -1;
    box.replaceChildren();
    box.removeAttribute("aria-activedescendant");
    plot.point(null);
  };
  box.onkeydown = event => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const wanted = event.key === "Enter" || event.key === " " ? marks()[at]?.asked : null;
    if (event.key in STEPS) show(STEPS[event.key](at));
    else if (event.key === "Escape" && at >= 0) leave();
    else if (wanted) plot.pick(wanted);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  box.onblur = leave;
}
