/* The marks of a figure as a list that keys walk through: each is said, shown with its label, and leads where a click on it does. */

/* What is said of a mark: what its label says, as words. */
function told(trace, at) {
  const template = String(trace.hovertemplate ?? "").replace(/<extra>.*?<\/extra>/g, "").replaceAll("<br>", ", ");
  return template.replace(/%\{(\w+)(?:\[(\d+)\])?\}/g, (_whole, name, part) => {
    const found = trace[name]?.[at];
    return String((part === undefined ? found : found?.[part]) ?? "");
  });
}

/* Marks place by place, those of one place beside each other; what has no length is none. */
function marksOf({ data }) {
  const walked = data.map((trace, number) => ({ trace, number })).filter(({ trace }) => trace.type !== "heatmap" && trace.hoverinfo !== "skip");
  const marks = walked.flatMap(({ trace, number }) => trace.x.map((x, at) => ({ at, number, size: trace.orientation === "h" ? x : trace.y[at], trace })));
  return marks
    .filter(({ trace, size }) => trace.type !== "bar" || size)
    .sort((one, other) => one.at - other.at || one.number - other.number)
    .map(({ trace, number, at }) => ({ curveNumber: number, pointNumber: at, text: told(trace, at), asked: asked(trace.customdata?.[at]) }));
}

/* A list box over the figure; `marks` is asked for when somebody comes. */
function listen(box, name, plot, marks) {
  let at = -1;
  const show = place => {
    const found = marks();
    at = Math.max(0, Math.min(place, found.length - 1));
    if (!found.length) return;
    // A new element each time: of one that changes its words a screen reader says nothing.
    const option = Object.assign(document.createElement("div"), { id: `${name}-mark-${at}`, textContent: found[at].text });
    for (const [key, value] of Object.entries({ role: "option", "aria-selected": "true", "aria-posinset": at + 1, "aria-setsize": found.length })) {
      option.setAttribute(key, value);
    }
    box.replaceChildren(option);
    box.setAttribute("aria-activedescendant", option.id);
    if (plot.isListening) window.Plotly?.Fx.hover(plot.place, [found[at]]);
  };
  const leave = () => {
    at = -1;
    box.replaceChildren();
    box.removeAttribute("aria-activedescendant");
    if (plot.isListening) window.Plotly?.Fx.unhover(plot.place);
  };
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  box.onkeydown = event => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in steps) show(at + steps[event.key]);
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(Infinity);
    else if (event.key === "Escape" && at >= 0) leave();
    else if ((event.key === "Enter" || event.key === " ") && marks()[at]?.asked) plot.pick(marks()[at].asked);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  box.onblur = leave;
}
