import { Element, pressed } from "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import mount from "../../opstore/ui/components/charts.js";
import { listen, marksOf, told } from "../../opstore/ui/components/charts_marks.js";
import { asked, dressed, fitted } from "../../opstore/ui/components/charts_plot.js";
import { el } from "../../opstore/ui/components/dom.js";

const bars = (y, more = {}) => ({
  type: "bar",
  x: ["May", "June", "July"],
  y,
  hovertemplate: "%{x}: %{y}<extra></extra>",
  ...more,
});

test("a mark is said as its label says it", () => {
  const trace = bars([1, 2, 3], {
    hovertemplate: "%{x}<br>%{y} of %{customdata[1]}<extra>hidden</extra>",
    customdata: [["a", 9], null, ["c"]],
  });
  assert.deepEqual(
    [0, 1, 2].map(at => told(trace, at)),
    ["May, 1 of 9", "June, 2 of ", "July, 3 of "],
  );
});

test("a mark without a label is said as nothing", () => {
  assert.equal(told({ x: [1], y: [2] }, 0), "");
});

test("marks go place by place, those of one place beside each other, and what has no length is none", () => {
  const data = [bars([1, 0, 3]), bars([4, 5, 0])];
  assert.deepEqual(
    marksOf({ data }).map(({ curveNumber, pointNumber, text }) => [curveNumber, pointNumber, text]),
    [
      [0, 0, "May: 1"],
      [1, 0, "May: 4"],
      [1, 1, "June: 5"],
      [0, 2, "July: 3"],
    ],
  );
});

test("a bar that lies has its length across", () => {
  const trace = { type: "bar", orientation: "h", x: [0, 7], y: ["none", "some"], hovertemplate: "%{y}" };
  assert.deepEqual(
    marksOf({ data: [trace] }).map(mark => mark.text),
    ["some"],
  );
});

test("a point at zero is a mark; cells and what has no label are none", () => {
  const point = { type: "scatter", x: [1], y: [0], hovertemplate: "%{y}" };
  const marks = marksOf({ data: [{ ...point, type: "heatmap" }, { ...point, hoverinfo: "skip" }, point] });
  assert.deepEqual(
    marks.map(mark => mark.curveNumber),
    [2],
  );
});

test("a mark leads to its customdata, or the first part of it", () => {
  assert.deepEqual(["model:x", ["day:1", 5], "", [], [null], null, undefined].map(asked), [
    "model:x",
    "day:1",
    null,
    null,
    null,
    null,
    null,
  ]);
});

function box(data, plot = {}) {
  const place = el("div");
  const seen = [];
  const picked = [];
  listen(
    place,
    "cost",
    { point: mark => seen.push(mark?.pointNumber ?? null), pick: wanted => picked.push(wanted), ...plot },
    () => marksOf({ data }),
  );
  const press = (key, more) => {
    const event = pressed(key, more);
    place.onkeydown(event);
    return event.defaultPrevented && event.isStopped;
  };
  return { place, seen, picked, press };
}

test("arrows walk through the marks and stop at both ends", () => {
  const { place, seen, press } = box([bars([1, 2, 3])]);
  for (const key of ["ArrowLeft", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowUp", "Home", "End"]) assert.ok(press(key), key);
  assert.deepEqual(seen, [0, 1, 2, 2, 1, 0, 2]);
  const [option] = place.children;
  assert.equal(option.textContent, "July: 3");
  assert.deepEqual([option.getAttribute("aria-posinset"), option.getAttribute("aria-setsize")], ["3", "3"]);
  assert.equal(place.getAttribute("aria-activedescendant"), option.id);
});

test("Enter leads where the mark does, and nowhere from one that leads nowhere", () => {
  const { picked, press } = box([bars([1, 2, 3], { customdata: ["first", null, "third"] })]);
  assert.ok(!press("Enter"), "no mark is chosen yet");
  press("ArrowRight");
  assert.ok(press("Enter"));
  press("ArrowRight");
  assert.ok(!press(" "));
  press("End");
  assert.ok(press(" "));
  assert.deepEqual(picked, ["first", "third"]);
});

test("Escape lets go of the mark once; other keys, and those of the browser, pass", () => {
  const { place, seen, press } = box([bars([1, 2, 3])]);
  press("Home");
  assert.ok(!press("ArrowRight", { ctrlKey: true }));
  assert.ok(!press("a"));
  assert.ok(press("Escape"));
  assert.ok(!press("Escape"));
  assert.deepEqual(seen, [0, null]);
  assert.deepEqual(place.children, []);
});

test("a figure without marks has nothing to walk through", () => {
  const { place, seen, press } = box([]);
  press("End");
  assert.deepEqual([place.children, seen], [[], []]);
});

test("cells that are too narrow for their numbers stand without them", () => {
  const trace = () => ({ x: [], y: [], mode: "text", text: ["1,234", "7"], meta: { columns: 10 } });
  const [narrow, wide, plain] = [trace(), trace(), { ...trace(), meta: undefined }];
  fitted(narrow, 580);
  fitted(wide, 590);
  fitted(plain, 100);
  assert.deepEqual([narrow.mode, wide.mode, plain.mode], ["markers", "text", "text"]);
});

test("a figure takes the page's colours, and keeps what it says itself", () => {
  const style = { color: "black", font: "Inter", line: "grey", ground: "white" };
  const layout = { height: 200, xaxis: { title: { text: "Day" } }, yaxis: { type: "category" }, legend: { x: 1 } };
  const { width, height, xaxis, yaxis, legend, hoverlabel } = dressed(layout, style, 640);
  assert.deepEqual([width, height], [640, 200]);
  assert.deepEqual([xaxis.showgrid, yaxis.showgrid], [false, false]);
  assert.equal(dressed({ height: 200 }, style, 640).yaxis.showgrid, true);
  assert.deepEqual(xaxis.title, { text: "Day", font: { size: 13, color: "black" } });
  assert.deepEqual(legend, { x: 1, font: { size: 12, color: "black" } });
  assert.equal(hoverlabel.bgcolor, "white");
});

test("the data of a chart that has nothing to show any more is closed, and said to be", t => {
  const row = () => ({ append() {} });
  t.mock.method(document, "createElement", name => {
    const made = new Element(name);
    return Object.assign(made, { createTHead: () => ({ insertRow: row }), createTBody: () => ({ insertRow: row }) });
  });
  const root = Object.assign(el("div"), { insertBefore: chart => root.append(chart) });
  const parentElement = Object.assign(el("div"), { querySelector: () => root });
  const chart = { key: "cost", title: "Cost", sentence: "", columns: [], rows: [], csv: "", count: 0, said: null };
  const words = { labelled: "{title}", more: "{count}" };
  const show = figure =>
    mount({ data: { charts: [{ ...chart, figure }], words, script: "" }, parentElement, setTriggerValue() {} });
  const state = () => {
    const [button] = root.querySelectorAll("button");
    return [button.getAttribute("aria-expanded"), root.querySelector(".ops-data").hidden];
  };
  globalThis.getComputedStyle ??= () => ({});
  show({ data: [], layout: { height: 100 } });
  root.querySelectorAll("button")[0].click();
  assert.deepEqual(state(), ["true", false]);
  show(null);
  assert.deepEqual(state(), ["false", true]);
});
