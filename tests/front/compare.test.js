import { pressed, script } from "./page.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Bench, heatBox, sentence } from "../../opstore/ui/components/compare.js";
import { Clock, middle } from "../../opstore/ui/components/compare_clock.js";
import { columnsOf, cut, fitted, framed, grown, span } from "../../opstore/ui/components/compare_frame.js";

const near = (one, other, within = 1e-9) => assert.ok(Math.abs(one - other) < within, `${one} is not ${other}`);

test("a frame stands in the middle of its pane, whole", () => {
  const { frame, centre } = framed(1000, 500, 1, 1, [0.1, 0.9]);
  assert.deepEqual(frame, { left: 250, top: 0, wide: 500, high: 500, width: 1000, height: 500 });
  assert.deepEqual(centre, [0.5, 0.5]);
});

test("of a frame of another shape the longer side fits", () => {
  assert.deepEqual(framed(1000, 800, 2, 1, [0.5, 0.5]).frame, {
    left: 0,
    top: 150,
    wide: 1000,
    high: 500,
    width: 1000,
    height: 800,
  });
  assert.deepEqual(framed(1000, 400, 0.5, 1, [0.5, 0.5]).frame, {
    left: 400,
    top: 0,
    wide: 200,
    high: 400,
    width: 1000,
    height: 400,
  });
});

test("of a frame that is twice as large as its pane the centre stays in the middle half", () => {
  assert.deepEqual(framed(400, 400, 1, 2, [0, 1]).centre, [0.25, 0.75]);
  assert.deepEqual(framed(400, 400, 1, 2, [0.3, 0.7]).centre, [0.3, 0.7]);
});

test("a frame that is larger than its pane never leaves it", () => {
  for (const [x, y] of [
    [0, 0],
    [1, 1],
    [-3, 0.5],
    [0.4, 7],
  ]) {
    const { frame, centre } = framed(1000, 500, 1, 4, [x, y]);
    assert.ok(frame.left <= 0 && frame.left + frame.wide >= 1000, String([x, y]));
    assert.ok(frame.top <= 0 && frame.top + frame.high >= 500, String([x, y]));
    assert.deepEqual(framed(1000, 500, 1, 4, centre).frame, frame, "what was seen is seen again");
  }
});

test("what lies under the pointer stays there while one zooms", () => {
  const { frame, centre } = framed(900, 700, 1.5, 6, [0.45, 0.6]);
  for (const point of [
    [450, 350],
    [100, 650],
    [880, 20],
  ]) {
    for (const by of [0.9, 1.25, 2]) {
      const after = framed(900, 700, 1.5, 6 * by, grown(frame, point, by)).frame;
      near((point[0] - frame.left) / frame.wide, (point[0] - after.left) / after.wide);
      near((point[1] - frame.top) / frame.high, (point[1] - after.top) / after.high);
    }
  }
  grown(frame, [450, 350], 3).forEach((value, axis) => {
    near(value, centre[axis]);
  });
});

test("panes stand beside each other rather than below", () => {
  assert.equal(columnsOf(2, 1000, 600, 1), 2);
  assert.equal(columnsOf(2, 400, 900, 1), 1);
  assert.equal(columnsOf(4, 1000, 1000, 1), 2);
  assert.equal(columnsOf(3, 1000, 400, 0.5), 3);
  assert.equal(columnsOf(1, 1000, 400, 2), 1);
});

test("the divider crosses what is seen of the frame", () => {
  assert.deepEqual(span({ left: 250, wide: 500, width: 1000 }), { from: 250, to: 750 });
  assert.deepEqual(span({ left: -300, wide: 2000, width: 1000 }), { from: 0, to: 1000 });
});

test("a picture is cut where the divider stands in it", () => {
  const frame = { left: 100, wide: 400 };
  assert.equal(cut(frame, [0, 0, 1, 1], 300), 0.5);
  assert.equal(cut(frame, [0.5, 0, 0.5, 1], 300), 0);
  assert.equal(cut(frame, [0.5, 0, 0.5, 1], 400), 0.5);
  assert.equal(cut(frame, [0, 0, 0.5, 1], 450), 1);
});

test("a picture of another shape lies in the middle, as large as fits", () => {
  assert.deepEqual(fitted(1.5, 1.5), [0, 0, 1, 1]);
  assert.deepEqual(fitted(1, 2), [0.25, 0, 0.5, 1]);
  assert.deepEqual(fitted(2, 1), [0, 0.25, 1, 0.5]);
});

test("the heat map lies where the first picture does", () => {
  const answer = { figures: { area: { x: 100, y: 0, width: 100, height: 100 } }, alignment: { first: [400, 200] } };
  assert.deepEqual(heatBox(answer, [0, 0, 1, 1]), [0.25, 0, 0.25, 0.5]);
  assert.deepEqual(heatBox(answer, [0.5, 0.5, 0.5, 0.5]), [0.625, 0.5, 0.125, 0.25]);
});

test("figures are said in the reader's language, small shares more exactly", () => {
  const figures = { changed: 0.0123, similarity: 0.98765, colour: 1.5, width: 1920, height: 1080 };
  const words = { figures: "{changed} % · {similarity} · {colour} · {width} × {height} · {other}", language: "en" };
  assert.equal(sentence(figures, words), "1.23 % · 0.988 · 1.5 · 1,920 × 1,080 · {other}");
  assert.match(sentence({ ...figures, changed: 0.5678 }, { ...words, language: "fr" }), /^56,8 % · 0,988/);
  assert.match(sentence({ ...figures, changed: 1e-6, similarity: 0.99996 }, words), /^0\.0001 % · 0\.999 ·/, "not equal");
  assert.match(sentence({ ...figures, changed: 0, similarity: 1 }, words), /^0 % · 1 ·/);
});

test("a frame of a video is asked for by its middle, and never behind the last", () => {
  near(middle(0, 25, 4), 0.02);
  near(middle(0.04, 25, 4), 0.06);
  near(middle(0.0399999999, 25, 4), 0.06, 1e-6);
  near(middle(9, 25, 4), 3.98);
  assert.equal(middle(1, 25, 0), 0);
});

function clock(...durations) {
  const settled = [];
  const made = new Clock({ paint: () => {}, settled: () => settled.push(made.at) }, {});
  const videos = durations.map(duration => ({
    duration,
    readyState: 1,
    currentTime: 0,
    ended: false,
    play: async () => {},
    pause: () => {},
  }));
  made.reset([{ kind: "image" }, { kind: "video", rate: 10 }]);
  made.join(videos);
  return { made, videos, settled };
}

test("one time moves all videos, frame by frame, and stops at the last frame of the longest", () => {
  const { made, videos, settled } = clock(1, 2);
  assert.deepEqual([made.bar.hidden, made.length, made.rate], [false, 2, 10]);
  for (let step = 0; step < 12; step += 1) made.step(1);
  near(made.at, 1.2);
  near(videos[1].currentTime, 1.25);
  near(videos[0].currentTime, 0.95, 1e-6);
  for (let step = 0; step < 30; step += 1) made.step(1);
  near(made.at, 1.9);
  made.step(-1);
  near(made.at, 1.8);
  assert.equal(settled.length, 43);
});

test("while it plays the longest tells the time, and who drifts is put right", () => {
  const { made, videos } = clock(4, 2);
  made.toggle();
  Object.assign(videos[0], { currentTime: 1 });
  Object.assign(videos[1], { currentTime: 1.1 });
  made.follow();
  assert.deepEqual([made.at, videos[1].currentTime], [1, 1.1]);
  videos[1].currentTime = 1.2;
  made.follow();
  assert.equal(videos[1].currentTime, 1);
  Object.assign(videos[0], { currentTime: 4, ended: true });
  made.follow();
  assert.equal(made.playing, false);
  near(made.at, 3.9);
});

test("the bar shows where the time is, and a drag on it moves the time", () => {
  const { made, videos, settled } = clock(2);
  made.seek(0.5);
  assert.deepEqual([made.range.value, made.text.textContent], ["250", "0.50 / 2.00 s"]);
  made.toggle();
  made.range.value = "750";
  made.range.oninput();
  near(made.at, 1.5);
  near(videos[0].currentTime, 1.55);
  assert.deepEqual([made.playing, settled], [false, []], "a difference is computed when the hand lets go");
  made.range.onchange();
  assert.deepEqual(settled, [1.5]);
});

test("a video that is still on its way has its size later", () => {
  const { made } = clock();
  const video = { readyState: 0, duration: Number.NaN, currentTime: 0 };
  made.join([video]);
  assert.equal(made.length, 0);
  Object.assign(video, { readyState: 1, duration: 3 });
  video.onloadedmetadata();
  assert.equal(made.length, 3);
});

test("a stage of pictures has no bar", () => {
  const { made } = clock();
  made.reset([{ kind: "image" }]);
  assert.equal(made.bar.hidden, true);
  made.follow();
  assert.equal(made.at, 0);
});

/** A bench that two pictures stand on. */
function benched() {
  const { heard, tell } = script(),
    words = { names: {}, figures: "" };
  const layers = ["a", "b"].map(key => ({ key, src: key, kind: "image", label: key, alt: key, box: [0, 0, 1, 1] }));
  const data = {
    layers,
    active: [0, 1],
    ratio: 1,
    frame: { first: [0, 0, 1, 1] },
    fit: "",
    fits: [],
    pair: "0",
    pairs: [],
    note: "",
    words,
  };
  const bench = new Bench(document.createElement("div"), { ...data, view: "slider" }, tell);
  const run = view => bench.update({ ...data, view }, tell);
  const press = key => bench.key(pressed(key, { composedPath: () => [{}] }));
  run("slider");
  return { bench, run, press, told: () => heard.filter(([name]) => name === "view").map(([, { value }]) => value) };
}

test("of two keys that follow closely the later one counts, whatever the page says of the first, and each is told once", () => {
  const { bench, run, press, told } = benched();
  press("2");
  press("3");
  for (const view of ["slider", "side", "blink"]) run(view);
  assert.equal(bench.stage.view, "blink");
  assert.deepEqual(told(), ["side", "blink"]);
  run("side"); // Back
  assert.equal(bench.stage.view, "side");
  assert.deepEqual(told(), ["side", "blink"], "it knows");
  bench.end();
});
